"""Settings that have a name and one value, of a search or of a training."""

Value = bool | int | float | str
