"""Groups of operations that the kernels compute in one call."""
