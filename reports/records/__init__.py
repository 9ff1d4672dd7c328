"""Records as data frames, cut into blocks that may stand in one table."""
