"""Tests of a difference, for the few seeds that a search can afford.

Searches collapse in some seeds and not in others, so accuracies are far from normal and n is small: two tests
permute instead of assuming a distribution, and enumerate every permutation as long as there are at most `RESAMPLES`.
Student's and Welch's t tests serve samples of which only a mean, a standard deviation and n are known.
"""

from dataclasses import dataclass
from math import comb, isnan, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

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

    The statistic is the difference of means. Preferred to Welch's t, which at three seeds relies on normal values;
    collapsing searches are not normal. The null hypothesis is therefore "the same distribution", not only "the same
    mean".
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


def ranks(first: Values, second: Values, paired: bool) -> float:
    """Wilcoxon's p, by signed ranks where the samples pair, else by the rank sum (Mann and Whitney); NaN for n < 2.

    Exact for few values without ties, else by the normal approximation, as scipy chooses; 1 where all differences are
    zero. Wilcoxon, Biometrics Bulletin 1, 1945.
    """
    if min(len(first), len(second)) < 2:
        return nan
    if not paired:
        return float(stats.mannwhitneyu(first, second).pvalue)
    differences = first - second
    return float(stats.wilcoxon(differences).pvalue) if np.any(differences) else 1.0


@dataclass(frozen=True)
class Summary:
    """The mean, the standard deviation (ddof = 1) and the number of values of a sample, as papers print them."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, sample: Values) -> "Summary":
        """The summary of `sample` [n]; its std is NaN for n < 2."""
        return cls(float(sample.mean()), float(sample.std(ddof=1)) if len(sample) > 1 else nan, len(sample))


@dataclass(frozen=True)
class Estimate:
    """A difference of means with its standard error and the degrees of freedom of its t; NaN where n < 2."""

    difference: float
    error: float
    freedom: float

    @property
    def low(self) -> float:
        """The lower end of the `LEVEL` interval by Student's t."""
        return self.difference - self.reach(LEVEL)

    @property
    def high(self) -> float:
        """The upper end of the `LEVEL` interval by Student's t."""
        return self.difference + self.reach(LEVEL)

    @property
    def p(self) -> float:
        """Two-sided, for no difference; NaN without any spread, where there is no t."""
        return float(2 * stats.t.sf(abs(self.difference) / self.error, self.freedom)) if self.error else nan

    def reach(self, level: float) -> float:
        """Half the width of the interval at `level`."""
        return float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.error if self.error else self.error


def student(differences: Values) -> Estimate:
    """The mean of paired `differences` [n], or of any sample, by Student's t.

    Student, Biometrika 6, 1908.
    """
    summary = Summary.of(differences)
    return Estimate(summary.mean, summary.std / sqrt(summary.n), summary.n - 1 if summary.n > 1 else nan)


def welch(first: Summary, second: Summary) -> Estimate:
    """Welch's t from summaries, so that published means and standard deviations can be tested as raw values are.

    No equal variances assumed; normal values are. Welch, Biometrika 34, 1947.
    """
    difference = first.mean - second.mean
    if min(first.n, second.n) < 2 or isnan(first.std) or isnan(second.std):
        return Estimate(difference, nan, nan)
    a, b = first.std**2 / first.n, second.std**2 / second.n
    if a + b == 0:
        return Estimate(difference, 0.0, nan)
    share = a / (a + b)  # squared by itself, as the square of a large variance overflows
    freedom = 1 / (share**2 / (first.n - 1) + (1 - share) ** 2 / (second.n - 1))
    return Estimate(difference, sqrt(a + b), freedom)


def estimate(first: Values, second: Values, paired: bool) -> Estimate:
    """mean(first) - mean(second): `student` of the differences where the samples pair, else `welch`."""
    return student(first - second) if paired else welch(Summary.of(first), Summary.of(second))


def holm(p: Values) -> Values:
    """Holm's step-down correction of the family `p` [m]; NaN entries are no part of the family and stay NaN.

    Scandinavian Journal of Statistics 6, 1979.
    """
    # Not by statsmodels' multipletests, which collects all garbage at every call: a hundred times the work.
    corrected = np.full(len(p), nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN sorts last
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(steps))
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
