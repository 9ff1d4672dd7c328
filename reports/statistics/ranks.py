"""Ranks of methods over blocks: Friedman's test and Nemenyi's critical difference.

Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, Journal of Machine Learning Research 7, 2006.
"""

from dataclasses import dataclass
from math import factorial, nan, sqrt

import numpy as np
from scipy import stats

from reports.statistics.significance import ALPHA, RESAMPLES, Values


@dataclass(frozen=True)
class Friedman:
    """Friedman's test of a matrix [blocks, methods] of values.

    `ranks` [methods] are means over blocks, 1 being the highest value and ties sharing theirs. `p` is the permutation
    test's, exact up to `RESAMPLES` arrangements, and `smallest` the smallest it could have given; `chi2` (corrected for
    ties) and `p_chi2` are the usual approximation, too timid for few blocks and NaN where all values tie.
    """

    ranks: Values
    blocks: int
    chi2: float
    p_chi2: float
    p: float
    smallest: float


def friedman(values: Values) -> Friedman:
    """Whether the methods rank alike in all blocks, for `values` [blocks >= 2, methods >= 3].

    Friedman, Journal of the American Statistical Association 32, 1937.
    """
    blocks, methods = values.shape
    ranked = stats.rankdata(-values, axis=1)
    # Within each block every order of the ranks is equally likely under the null: the same order in all blocks only
    # renames the methods, hence one factor less.
    arrangements = factorial(methods) ** (blocks - 1)
    smallest = 1 / arrangements if factorial(methods) ** blocks <= RESAMPLES else 1 / min(arrangements, RESAMPLES + 1)
    if np.ptp(ranked) == 0:
        return Friedman(ranked.mean(axis=0), blocks, nan, nan, 1.0, smallest)
    chi2 = stats.friedmanchisquare(*values.T)
    permuted = stats.permutation_test(
        tuple(ranked),
        _spread,
        permutation_type="pairings",
        alternative="greater",
        n_resamples=RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    p = float(permuted.pvalue)
    return Friedman(ranked.mean(axis=0), blocks, float(chi2.statistic), float(chi2.pvalue), p, smallest)


def critical_difference(methods: int, blocks: int) -> float:
    """The difference of mean ranks from which Nemenyi's test at `ALPHA` calls two of `methods` different (eq. 6).

    Corrects for all pairs at once; asymptotic in the number of blocks.
    """
    quantile = float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf)) / sqrt(2)
    return quantile * _unit(methods, blocks)


def nemenyi(difference: float, methods: int, blocks: int) -> float:
    """Nemenyi's p, corrected for all pairs, of a `difference` of mean ranks."""
    scaled = abs(difference) / _unit(methods, blocks) * sqrt(2)
    return float(stats.studentized_range.sf(scaled, methods, np.inf))


def alike(ranks: Values, difference: float) -> list[tuple[int, int]]:
    """The widest runs of methods within a critical `difference`, for mean ranks [methods] in rising order.

    Each is (first, last), at least two methods long, none within another: the bars of a critical-difference diagram.
    """
    found: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = int(np.flatnonzero(ranks - ranks[first] <= difference).max())
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _unit(methods: int, blocks: int) -> float:
    return sqrt(methods * (methods + 1) / (6 * blocks))


def _spread(*ranked: Values, axis: int) -> Values:
    """How far the methods' rank sums lie apart: rises with chi2, as the sum of all ranks is fixed. Axis: methods."""
    total = np.sum(ranked, axis=0)
    return np.asarray((total**2).sum(axis=axis))
