"""What the best of k searches is expected to be, so that "best of 4" can stand beside a mean without flattering it."""

from functools import cache
from math import comb, inf, nan

import numpy as np
from scipy import integrate, stats

from reports.core.significance import Values

NARROW = 1e-6
"""A standard deviation, as a share of the distance between the limits, so small that a beta distribution is normal."""
SCORES, NODES = 8.5, 200
"""The normal scores over which is integrated, and at how many points."""


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


def bounded_best(mean: float, std: float, k: int, limits: tuple[float, float]) -> float:
    """`normal_best` where values lie within `limits`, which it does not pass: of a beta distribution between them.

    It has that `mean` and `std`, so k = 1 gives the mean, and far from the limits it is as good as normal. A spread
    that no beta distribution has (all values at the limits) is that of a coin. The expected highest of k draws of a
    distribution with quantiles Q is the mean of Q(u) over the density k u^(k - 1).
    """
    least, most = limits
    share, spread = (mean - least) / (most - least), std / (most - least)
    if not spread or not 0 < share < 1 or k == 1:
        return mean
    if spread < NARROW:
        return min(most, normal_best(mean, std, k))
    size = share * (1 - share) / spread**2 - 1
    if size <= 0:
        return least + (most - least) * (1 - (1 - share) ** k)
    quantile = stats.beta(share * size, (1 - share) * size).ppf
    density, below = stats.norm.pdf, stats.norm.cdf

    # Over normal scores, on which the quantiles are smooth.
    def weighed(score: Values) -> Values:
        return np.asarray(quantile(below(score)) * k * density(score) * below(score) ** (k - 1))

    best, _ = integrate.fixed_quad(weighed, -SCORES, SCORES, n=NODES)
    return min(most, least + (most - least) * float(best))


@cache
def _normal_score(k: int) -> float:
    if k == 1:
        return 0.0  # exactly, so that k = 1 needs no spread
    density = stats.norm.pdf
    value, _ = integrate.quad(lambda x: x * k * density(x) * stats.norm.cdf(x) ** (k - 1), -inf, inf)
    return float(value)
