"""The DARTS space and its reduced versions S1 to S4."""
