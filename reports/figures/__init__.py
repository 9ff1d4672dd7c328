"""Figures: charts and drawings of cells."""
