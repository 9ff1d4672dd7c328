"""Data sets: readers, splits, loaders."""
