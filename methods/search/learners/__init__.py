"""Learners: what moves in a search, step by step."""
