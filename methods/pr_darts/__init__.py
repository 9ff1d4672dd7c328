"""PR-DARTS: its recipes, its theory, and the fixed architectures that the theory is about."""
