"""What the commands print: tables, progress, errors, and JSON for machines."""
