"""How is an architecture searched: the loop, its pieces and the recipes."""
