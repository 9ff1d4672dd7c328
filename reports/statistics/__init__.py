"""Statistics of repeated trials: pure functions of data frames."""
