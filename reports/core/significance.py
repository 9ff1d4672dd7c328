"""Tests of a difference, its interval and its size, for the few seeds that a search can afford.

Searches collapse in some seeds and not in others, so accuracies are far from normal and n is small: both tests
permute instead of assuming a distribution, and enumerate every permutation as long as there are at most `RESAMPLES`.
"""

from dataclasses import dataclass
from math import comb, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

LEVEL = 0.95
ALPHA = 0.05
RESAMPLES = 9_999

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Test:
    """A two-sided test: what it is in words, its p-value, and the smallest p-value it could have given.

    `p` is NaN and `smallest` is 1 where there is too little to permute.
    """

    name: str
    p: float
    smallest: float


def sign_flip(differences: Values) -> Test:
    """Whether paired differences [n] are symmetric about zero: the signs are flipped in all 2^n ways.

    Exact for n <= 13; beyond, `RESAMPLES` random flips from a fixed seed with the observed one counted in, so that p
    is never zero (Phipson and Smyth 2010). Fisher, The Design of Experiments, 1935.
    """
    ways = 2 ** len(differences)
    if len(differences) < 2:
        return Test("none: a single pair has nothing to flip", nan, 1.0)
    return Test(
        f"paired sign-flip permutation test, {_extent(ways)}",
        _permute((differences,), _mean, "samples"),
        _smallest(ways),
    )


def relabel(first: Values, second: Values) -> Test:
    """Whether two unpaired samples [n], [m] are exchangeable: the labels are permuted in all (n + m choose n) ways.

    The statistic is the difference of means. Chosen over Welch's t because at three seeds that leans on a normality
    which collapsing searches break; what is tested is therefore "the same distribution", not only "the same mean".
    Exact up to `RESAMPLES` ways, beyond that as `sign_flip`.
    """
    ways = comb(len(first) + len(second), len(first))
    if min(len(first), len(second)) < 2:
        return Test("none: a single value has no spread to compare with", nan, 1.0)
    return Test(
        f"unpaired permutation test of the means, {_extent(ways)}",
        _permute((first, second), _difference, "independent"),
        _smallest(ways),
    )


def mean_interval(sample: Values) -> tuple[float, float]:
    """The `LEVEL` interval of the mean of `sample` [n] by Student's t; NaN for n < 2."""
    n = len(sample)
    if n < 2:
        return nan, nan
    return _around(float(sample.mean()), float(sample.std(ddof=1)) / sqrt(n), n - 1)


def difference_interval(first: Values, second: Values) -> tuple[float, float]:
    """The `LEVEL` interval of mean(first) - mean(second), unpaired, by Welch's t; NaN where a sample has n < 2.

    Welch, Biometrika 34, 1947: no equal variances assumed.
    """
    if min(len(first), len(second)) < 2:
        return nan, nan
    centre = float(first.mean() - second.mean())
    a, b = (float(sample.var(ddof=1)) / len(sample) for sample in (first, second))
    if a + b == 0:
        return centre, centre
    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    return _around(centre, sqrt(a + b), freedom)


def a12(first: Values, second: Values) -> float:
    """Vargha and Delaney's A12: how often a value of `first` exceeds one of `second`, a tie counting half.

    0.5 is no effect, 1 means every value of `first` is larger. Journal of Educational and Behavioral Statistics 25,
    2000.
    """
    above = (first[:, None] > second[None, :]).mean()
    level = (first[:, None] == second[None, :]).mean()
    return float(above + level / 2)


def holm(p: Values) -> Values:
    """Holm's step-down correction of the family `p` [m]; NaN entries are no part of the family and stay NaN.

    Scandinavian Journal of Statistics 6, 1979.
    """
    corrected = np.full(len(p), nan)
    tested = ~np.isnan(p)
    if tested.any():
        corrected[tested] = multipletests(p[tested], method="holm")[1]
    return corrected


def _permute(samples: tuple[Values, ...], statistic: Any, kind: str) -> float:
    # A generator of its own with a fixed seed: the same values give the same p in every process.
    drawn = np.random.default_rng(0)
    result = stats.permutation_test(
        samples, statistic, permutation_type=kind, vectorized=True, n_resamples=RESAMPLES, random_state=drawn
    )
    return float(result.pvalue)


def _mean(sample: Values, axis: int) -> Values:
    return np.asarray(sample.mean(axis=axis))


def _difference(first: Values, second: Values, axis: int) -> Values:
    return np.asarray(first.mean(axis=axis) - second.mean(axis=axis))


def _extent(ways: int) -> str:
    return f"exact over {ways} permutations" if ways <= RESAMPLES else f"{RESAMPLES} random permutations"


def _smallest(ways: int) -> float:
    return 2 / ways if ways <= RESAMPLES else 2 / (RESAMPLES + 1)


def _around(centre: float, error: float, freedom: float) -> tuple[float, float]:
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return centre - reach, centre + reach
