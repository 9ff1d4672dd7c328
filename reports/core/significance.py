"""Tests of a difference, for the few seeds that a search can afford.

Searches collapse in some seeds and not in others, so accuracies are far from normal and n is small: two tests
permute instead of assuming a distribution, and enumerate every permutation as long as there are at most `RESAMPLES`.
Student's and Welch's t stand beside them, for what only a mean, a standard deviation and n are known of.
"""

from dataclasses import dataclass
from math import comb, nan
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


def student(differences: Values) -> float:
    """Student's paired t: p for a mean of `differences` [n] of zero; NaN for n < 2 or without any spread.

    Student, Biometrika 6, 1908.
    """
    if len(differences) < 2 or np.ptp(differences) == 0:
        return nan
    return float(stats.ttest_1samp(differences, 0).pvalue)


@dataclass(frozen=True)
class Summary:
    """What a paper prints of a sample: its mean, its standard deviation (ddof = 1) and the number of values."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, sample: Values) -> "Summary":
        """The summary of `sample` [n]; its std is NaN for n < 2."""
        return cls(float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else nan, len(sample))


@dataclass(frozen=True)
class Welch:
    """Welch's comparison of two means: first minus second with its `LEVEL` interval, two-sided p, degrees of freedom.

    All but `difference` are NaN where a sample has fewer than two values; without any spread in either, p and freedom
    are, and the interval is the difference itself.
    """

    difference: float
    low: float
    high: float
    p: float
    freedom: float


def welch(first: Summary, second: Summary) -> Welch:
    """Welch's t from summaries, so that published means and standard deviations can be tested as raw values are.

    No equal variances assumed; normal values are. Welch, Biometrika 34, 1947.
    """
    difference = first.mean - second.mean
    if min(first.n, second.n) < 2 or not np.isfinite([first.std, second.std]).all():
        return Welch(difference, nan, nan, nan, nan)
    if first.std == second.std == 0:
        return Welch(difference, difference, difference, nan, nan)
    a, b = first.std**2 / first.n, second.std**2 / second.n
    freedom = (a + b) ** 2 / (a**2 / (first.n - 1) + b**2 / (second.n - 1))
    error = (a + b) ** 0.5
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(difference) / error, freedom))
    return Welch(difference, difference - reach, difference + reach, p, freedom)


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
