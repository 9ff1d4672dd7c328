"""The machinery below the reports."""
