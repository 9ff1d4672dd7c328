"""The machinery below the methods."""
