"""Bilevel problems in two numbers, with solutions in closed form, as a search space."""
