"""Numbers in sentences."""


def counted(n: float, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 pair`, `2 pairs`. `plural` is given if it is not the noun with an s."""
    return f"{n:g} {noun if n == 1 else plural or noun + 's'}"
