"""What the best of k searches is expected to be, so that "best of 4" can stand beside a mean without flattering it."""

from functools import cache
from itertools import pairwise
from math import comb, inf, nan

import numpy as np
from scipy import integrate, special, stats

from reports.statistics.significance import Values

NARROW = 1e-6
"""A standard deviation, as a share of the distance between the limits, so small that a beta distribution is normal."""
SCORES, WIDE, NODES = 40.0, 12.0, 200
"""Integrated is over logits of so much either way, apart within so many standard deviations of the mean, at so many
points in each part."""


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
    that no beta distribution has (all values at the limits) is that of a coin. The expected highest of k draws from a
    distribution F on [0, 1] is the integral of 1 - F^k.
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
    a, b = share * size, (1 - share) * size

    # Over logits, on which it is smooth however close to the limits the values lie.
    def exceeded(score: Values) -> Values:
        x = special.expit(score)
        return np.asarray((1 - special.betainc(a, b, x) ** k) * x * special.expit(-score))

    middle, reach = float(special.logit(share)), WIDE * spread / (share * (1 - share))
    ends = np.clip([-SCORES, middle - reach, middle + reach, SCORES], -SCORES, SCORES)
    best = sum(integrate.fixed_quad(exceeded, low, high, n=NODES)[0] for low, high in pairwise(ends))
    return min(most, least + (most - least) * float(best))


@cache
def _normal_score(k: int) -> float:
    if k == 1:
        return 0.0  # exactly, so that k = 1 needs no spread
    density = stats.norm.pdf
    value, _ = integrate.quad(lambda x: x * k * density(x) * stats.norm.cdf(x) ** (k - 1), -inf, inf)
    return float(value)
