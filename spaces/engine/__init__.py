"""The fast engine: computes a searched cell as one function, with the same result as the reference cell.

- `fast_engine`: what a supernet gives each of its cells; chooses the plan for the operations in use.
- `cell_plan`: the operations that a cell has to compute, read from the reference cell's modules.
- `fused_cell`: a cell as one autograd function; `cell_passes`: its forward and backward pass.
- `op_groups/`: the operations of one source node that are computed together.
- `batch_statistics`: batch norm as coefficients of a node's sum.
- `kernels`: the interface of a family of kernels; `kernel_values`: what its functions take and return.
- `ways`: the ways in which a device can compute; `kernel_choice`: the one place that chooses among them.
- `torch_kernels`, `torch_statistics`, `torch_reductions`: the family in plain torch, for every device; `cpp_kernels/`:
  in C++ for CPUs; `triton_kernels/`: in Triton for NVIDIA GPUs.
- `self_test/`: a device against float64 on the CPU; `trust`: keeps the outcome, without which nothing is used.
- `cuda_graphs`: a supernet's passes as CUDA graphs.
"""
