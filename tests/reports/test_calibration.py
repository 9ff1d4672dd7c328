"""Do tests err in 5 % of cases and intervals cover 95 %? Simulated, with the numbers that docs/statistics.md quotes."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reports import standings
from reports.core import equivalence, intervals, ranks, significance
from reports.core.power import detectable
from reports.core.significance import ALPHA, Estimate

DOCS = Path(__file__).parents[2] / "docs" / "statistics.md"
SHARE, DROP = 0.3, 40.0


def normal(rng, *shape):
    return rng.normal(size=shape)


def collapsing(rng, *shape):
    """Three searches in ten end 40 points lower: mean -12."""
    return rng.normal(size=shape) - DROP * (rng.random(shape) < SHARE)


MEANS = {normal: 0.0, collapsing: -SHARE * DROP}


def middle():
    """The interquartile mean of endless collapsing values, by their quantile function, less their mean."""
    u = 0.25 + (np.arange(100_000) + 0.5) / 200_000
    low, high = stats.norm.ppf(u / SHARE) - DROP, stats.norm.ppf((u - SHARE) / (1 - SHARE))
    return float(np.where(u < SHARE, low, high).mean()) - MEANS[collapsing]


MIDDLES = {normal: 0.0, collapsing: middle()}


def mean_of(sample):
    found = significance.student(sample)
    return found.low, found.high


def welch_of(first, second):
    found = significance.welch(significance.Summary.of(first), significance.Summary.of(second))
    return found.low, found.high


def covers_mean(interval, draw, n, rng):
    """Whether an interval of a mean holds the true mean."""
    low, high = interval(draw(rng, n))
    return low <= MEANS[draw] <= high


def covers_difference(interval, draw, n, rng):
    """Whether an interval of the difference of two alike, unpaired samples holds zero."""
    low, high = interval(draw(rng, n), draw(rng, n))
    return low <= 0 <= high


def rejects(p, draw, n, rng):
    """Whether a test calls two samples of one distribution different."""
    return p(draw(rng, n), draw(rng, n)) <= ALPHA


def paired_t(first, second):
    return significance.student(first - second).p


def welch_p(first, second):
    return significance.estimate(first, second, False).p


def accepts_equivalence(paired, draw, n, rng):
    """Whether TOST calls methods equivalent that are not: normal ones a margin of one unit apart, or one that collapses
    and one that never does, 12 apart, within a margin of 5.
    """
    margin, shift = (1.0, 1.0) if draw is normal else (5.0, 0.0)
    first, second = draw(rng, n) + shift, normal(rng, n)
    return equivalence.tost(significance.estimate(first, second, paired), margin).p <= ALPHA


def iqm_covers(blocks, draw, n, rng):
    """Whether the interval of one of three alike methods' IQM holds the true one, over `blocks` of n seeds."""
    values = draw(rng, blocks, 3, n)
    scores = values - values.mean(axis=(1, 2), keepdims=True)
    low, high = intervals.stratified(list(scores[:, 0]), standings._iqm)
    return low <= MIDDLES[draw] <= high


def improvement_covers(blocks, draw, n, rng):
    """Whether the interval of the probability of improvement of alike methods holds one half."""
    low, high = intervals.stratified(list(draw(rng, 2 * blocks, n)), standings._improvement)
    return low <= 0.5 <= high


CELLS = {
    "Mean, Student's t": partial(covers_mean, mean_of),
    "Mean, BCa": partial(covers_mean, intervals.bca),
    "Difference, Welch's t": partial(covers_difference, welch_of),
    "Difference, BCa": partial(covers_difference, intervals.bca),
    "Sign-flip permutation": partial(rejects, lambda first, second: significance.sign_flip(first - second).p),
    "Relabelling permutation": partial(rejects, lambda first, second: significance.relabel(first, second).p),
    "Paired t": partial(rejects, paired_t),
    "Welch's t": partial(rejects, welch_p),
    "Wilcoxon, signed ranks": partial(rejects, partial(significance.ranks, paired=True)),
    "Wilcoxon, rank sum": partial(rejects, partial(significance.ranks, paired=False)),
    "False equivalence by TOST, paired": partial(accepts_equivalence, True),
    "False equivalence by TOST, unpaired": partial(accepts_equivalence, False),
    "IQM over 4 blocks, bootstrap": partial(iqm_covers, 4),
    "IQM over 12 blocks, bootstrap": partial(iqm_covers, 12),
    "Improvement over 4 blocks, bootstrap": partial(improvement_covers, 4),
    "Improvement over 12 blocks, bootstrap": partial(improvement_covers, 12),
}


def measured(name, draw, n, draws):
    """The share of `draws` in which the cell `name` holds, at n seeds of the distribution `draw`."""
    rng = np.random.default_rng([n, draws])
    return float(np.mean([CELLS[name](draw, n, rng) for _ in range(draws)]))


def ranking(blocks, methods, draws):
    """Error rates over alike methods: (Friedman's permutation p, its chi2, any pair apart by Nemenyi)."""
    rng = np.random.default_rng([blocks, methods])
    found = [ranks.friedman(rng.normal(size=(blocks, methods))) for _ in range(draws)]
    critical = ranks.critical_difference(methods, blocks)
    return tuple(
        float(np.mean(hits))
        for hits in (
            [test.p <= ALPHA for test in found],
            [test.p_chi2 <= ALPHA for test in found],
            [np.ptp(test.ranks) >= critical for test in found],
        )
    )
