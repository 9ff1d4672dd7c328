"""The fast engine's kernels in Triton, for NVIDIA GPUs."""
