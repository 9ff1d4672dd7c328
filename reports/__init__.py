"""What do the records mean: statistics, tables, figures, HTML and LaTeX, from data frames alone."""
