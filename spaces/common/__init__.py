"""What every floor uses: errors, random streams, files, TOML, restricted unpickling, plurals."""
