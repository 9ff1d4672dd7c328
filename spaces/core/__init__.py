"""The machinery below the spaces."""
