"""DARTS-PRIME: the recipes of the main text and those of its supplement."""
