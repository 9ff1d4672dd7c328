"""Tables: a frame of numbers and how each column is written."""
