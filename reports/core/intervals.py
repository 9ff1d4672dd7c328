"""Intervals of a mean and of a difference of means."""

from math import nan, sqrt

from scipy import stats

from reports.core.significance import LEVEL, Summary, Values, welch


def mean_interval(sample: Values) -> tuple[float, float]:
    """The `LEVEL` interval of the mean of `sample` [n] by Student's t; NaN for n < 2."""
    n = len(sample)
    if n < 2:
        return nan, nan
    centre, error = float(sample.mean()), float(sample.std(ddof=1)) / sqrt(n)
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return centre - reach, centre + reach


def difference_interval(first: Values, second: Values) -> tuple[float, float]:
    """The `LEVEL` interval of mean(first) - mean(second), unpaired, by Welch's t; NaN where a sample has n < 2."""
    found = welch(Summary.of(first), Summary.of(second))
    return found.low, found.high
