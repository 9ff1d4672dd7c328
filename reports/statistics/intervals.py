"""Intervals by the bootstrap, and by Student's t where values are bounded; elsewhere `significance.Estimate` has them.

The resamples come from a fixed seed, so that the same values give the same interval in every process.
"""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from reports.statistics.significance import LEVEL, RESAMPLES, Estimate, Values, student

Limits = tuple[float, float]


def bounded(estimate: Estimate, limits: Limits | None) -> Limits:
    """The `LEVEL` interval by t of an estimate that lies within `limits`, which the interval does not leave.

    Taken on the scale of the logit of where the estimate lies between the limits, its standard error by the delta
    method, and taken back: far from the limits that is Student's interval, near one it is shorter on that side. Not of
    the logits of the values, whose mean is not the mean. Without limits, without spread or for n < 2 it is the
    estimate's own. Agresti, Categorical Data Analysis, section 3.1 (of a proportion).
    """
    if limits is None or not estimate.error > 0:
        return estimate.low, estimate.high
    least, most = limits
    share = (estimate.difference - least) / (most - least)
    if not 0 < share < 1:  # by rounding alone, where the values keep to their limits
        return estimate.low, estimate.high
    reach = estimate.reach(LEVEL) / ((most - least) * share * (1 - share))
    low, high = (least + (most - least) * float(expit(logit(share) + side)) for side in (-reach, reach))
    return low, high


def of_mean(sample: Values, limits: Limits | None) -> tuple[float, float, float]:
    """The mean of `sample` [n] and its `LEVEL` interval; within `limits` as `bounded`."""
    mean = student(sample)
    return mean.difference, *bounded(mean, limits)


def of_difference(limits: Limits | None) -> Limits | None:
    """Between which the difference of two values within `limits` lies."""
    return None if limits is None else (limits[0] - limits[1], limits[1] - limits[0])


def bca(*samples: Values) -> tuple[float, float]:
    """The `LEVEL` interval of the mean of one sample [n], or of mean(first) - mean(second) of two, by BCa.

    NaN where a sample has n < 2; the value itself where nothing varies. With a handful of values it is too narrow
    (docs/statistics.md has its measured coverage), which is why it stands beside Student's t and not in its place.
    Efron, Journal of the American Statistical Association 82, 1987.
    """
    if min(len(sample) for sample in samples) < 2:
        return nan, nan
    if not any(np.ptp(sample) for sample in samples):
        value = float(_means(*samples, axis=-1))
        return value, value
    return _bootstrap(samples, _means, "BCa")


def stratified(strata: Sequence[Values], statistic: Callable[..., Values]) -> tuple[float, float]:
    """The `LEVEL` interval of `statistic(*strata, axis=-1)`, each stratum [n] resampled within itself, by percentiles.

    NaN where a stratum has n < 2: one value says nothing of how it would vary. Agarwal et al., Deep Reinforcement
    Learning at the Edge of the Statistical Precipice, 2021, section 4.1.
    """
    if min(len(stratum) for stratum in strata) < 2:
        return nan, nan
    return _bootstrap(strata, statistic, "percentile")


def _bootstrap(samples: Sequence[Values], statistic: Callable[..., Values], method: Any) -> tuple[float, float]:
    drawn = np.random.default_rng(0)
    found = stats.bootstrap(
        samples, statistic, n_resamples=RESAMPLES, confidence_level=LEVEL, method=method, vectorized=True, rng=drawn
    ).confidence_interval
    return float(found.low), float(found.high)


def _means(first: Values, second: Values | None = None, *, axis: int) -> Values:
    mean = np.asarray(first.mean(axis=axis))
    return mean if second is None else np.asarray(mean - second.mean(axis=axis))
