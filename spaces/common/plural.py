"""Numbers in sentences."""


def counted(n: float, noun: str, plural: str = "") -> str:
    """So many of something: `1 pair`, `2 pairs`; the plural where it is not the noun with an s."""
    return f"{n:g} {noun if n == 1 else plural or noun + 's'}"
