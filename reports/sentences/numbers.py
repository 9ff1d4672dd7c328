"""Numbers as sentences and tables write them."""

from spaces.common.plural import counted

LEAST = 1e-4
"""The smallest p that is written out."""

ROUNDING = 1e-9
"""Values up to this size are shown as zero."""


def ranged(low: float, high: float, noun: str) -> str:
    """How many there are at least and at most: `1 seed`, `2 to 4 seeds`."""
    return counted(high, noun) if low == high else f"{low:g} to {counted(high, noun)}"


def signed(value: float) -> str:
    """As `two_decimals`, with a sign."""
    return f"{value:{'+.2g' if _hidden(value) else '+.2f'}}".replace("-", "−")


def two_decimals(value: float) -> str:
    """Two decimals, or two significant digits of a value that they would show as zero; the minus is U+2212."""
    return f"{value:{'.2g' if _hidden(value) else '.2f'}}".replace("-", "−")


def _hidden(value: float) -> bool:
    # Results of arithmetic that are zero but for rounding stay zero.
    return ROUNDING < abs(value) < 0.005


def p_is(p: float) -> str:
    """`p = 0.012`, or `p < 0.0001`."""
    return f"p {p_value(p)}" if p < LEAST else f"p = {p_value(p)}"


def p_value(p: float) -> str:
    """Two significant digits; below `LEAST` the bound, never zero."""
    return f"{p:.2g}" if p >= LEAST else "< 0.0001"


def sentence(words: str) -> str:
    """`words` with a capital letter in front and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."
