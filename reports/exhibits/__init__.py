"""The papers' tables and figures, filled from records and judged."""
