"""The machinery below the suite."""
