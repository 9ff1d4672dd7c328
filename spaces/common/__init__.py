"""Shared by all folders: errors, random streams, files, TOML, restricted unpickling, plurals, types of settings."""
