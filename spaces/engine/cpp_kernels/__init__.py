"""The fast engine's kernels in C++, compiled on first use."""
