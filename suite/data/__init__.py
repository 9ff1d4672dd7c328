"""Data sets: entries, readers, splits, batches."""
