"""The fast engine: a searched cell as one function, computing what the reference cell does.

- `plan`: which operations a cell has to compute, read off the reference cell's modules.
- `groups`: the operations of one source node, computed together; `separable`: those of its separable convolutions.
- `statistics`: batch norm as coefficients of a node's sum.
- `cell`: forward and backward of a cell, for autograd.
- `portable` and `portable_statistics`: the arithmetic in plain torch, on every device; `native` and `kernels/`: in C++
  for CPUs; `fused`, `fused_statistics`, `launching`, `image_kernels` and `statistics_kernels`: in Triton for NVIDIA
  GPUs, which `proof` puts to the test first.
"""
