"""Tabular benchmarks: accuracies of architectures, looked up."""
