"""Intervals by the bootstrap; those by Student's t stand with their estimate in `reports.statistics.significance`.

The resamples come from a fixed seed, so that the same values give the same interval in every process.
"""

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import numpy as np
from scipy import stats

from reports.statistics.significance import LEVEL, RESAMPLES, Values


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
