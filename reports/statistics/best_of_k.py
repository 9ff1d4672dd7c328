"""What the best of k searches is expected to be, so that "best of 4" can stand beside a mean without flattering it."""

from functools import cache
from math import comb, inf, nan

import numpy as np
from scipy import integrate, stats

from reports.statistics.significance import Values


def expected_best(sample: Values, k: int) -> float:
    """The mean, over all subsets of k values of `sample` [n], of their highest; NaN for k > n.

    Exact: the i-th smallest value is the highest of (i - 1 choose k - 1) subsets. k = 1 is the mean, k = n the maximum.
    """
    n = len(sample)
    if k > n:
        return nan
    shares = np.array([comb(i, k - 1) for i in range(n)], dtype=float) / comb(n, k)
    return float(np.sort(sample) @ shares)


def normal_best(mean: float, std: float, k: int) -> float:
    """The expected highest of k draws from a normal of `mean` and `std`: for when nothing else was printed.

    mean + std * e(k), e(k) the expected highest of k standard normals (Harter, Biometrika 48, 1961).
    """
    return mean + std * _normal_score(k)


@cache
def _normal_score(k: int) -> float:
    if k == 1:
        return 0.0  # exactly, so that k = 1 needs no spread
    density = stats.norm.pdf
    value, _ = integrate.quad(lambda x: x * k * density(x) * stats.norm.cdf(x) ** (k - 1), -inf, inf)
    return float(value)
