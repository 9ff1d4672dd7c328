"""Recipes that stand in a file outside the repository: read, checked, and their errors reported."""
