"""What `dartboard doctor` finds out of a machine: whether it computes what it should, with what, and how fast."""
