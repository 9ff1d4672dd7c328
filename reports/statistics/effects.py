"""Effect sizes from how often one method beats the other, free of units and of assumptions on distributions."""

from typing import Any

from reports.statistics.significance import Values


def a12(first: Values, second: Values) -> Any:
    """Vargha and Delaney's A12: how often a value of `first` [..., n] exceeds one of `second` [..., m]; shape [...].

    A tie counts half. 0.5 is no effect, 1 means every value of `first` is larger. Journal of Educational and
    Behavioral Statistics 25, 2000.
    """
    ours, theirs = first[..., :, None], second[..., None, :]
    return (ours > theirs).mean(axis=(-2, -1)) + (ours == theirs).mean(axis=(-2, -1)) / 2


def cliffs_delta(first: Values, second: Values) -> float:
    """Cliff's delta, how much more often a value of `first` exceeds one of `second` than falls below: 2 A12 - 1.

    Psychological Bulletin 114, 1993.
    """
    return float(2 * a12(first, second) - 1)


def improvement(differences: Values) -> float:
    """The probability of improvement over pairs [n]: the share of positive differences, a zero counting half."""
    return float((differences > 0).mean() + (differences == 0).mean() / 2)
