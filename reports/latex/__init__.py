"""Tables and text as LaTeX."""
