"""The search loop and the pieces that recipes are made of."""
