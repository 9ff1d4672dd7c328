"""The best of k searches: its expected value, computed from the searches' own mean and standard deviation.

A best of 4 grows with the number of searches, so it is compared with its expected value and never with a mean.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import comb, inf, isnan, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import integrate, special, stats

from reports.statistics.intervals import Limits
from reports.statistics.significance import Summary, Values
from reports.statistics.values.direction import SIGNS
from reports.statistics.values.frame import checked, limits, split
from spaces.common.plural import counted

NARROW = 1e-6
"""A standard deviation, as a share of the distance between the limits, so small that a beta distribution is normal."""
SCORES, WIDE, NODES = 40.0, 12.0, 200
"""The integral runs over logits from -SCORES to SCORES, in three parts: within WIDE standard deviations of the mean,
below and above. Each part has NODES points."""


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
    """The expected highest of k draws from a normal distribution of `mean` and `std`.

    mean + std * e(k), e(k) the expected highest of k standard normals (Harter, Biometrika 48, 1961).
    """
    return mean + std * _normal_score(k)


def bounded_best(mean: float, std: float, k: int, limits: tuple[float, float]) -> float:
    """The expected highest of k draws from a beta distribution on `limits` with `mean` and `std`.

    k = 1 gives the mean; far from the limits the result is that of `normal_best`. A spread too large for any beta
    distribution means that all values lie at the limits: a coin. The expected highest of k draws from a distribution F
    on [0, 1] is the integral of 1 - F^k.
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

    # In logits the integrand is smooth, however close to the limits the values lie.
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


BESTS = [
    *("space", "dataset", "method", "convention", "k", "value", "n", "mean", "expected", "common_k", "expected_common"),
]


@dataclass(frozen=True)
class Best:
    """The best value of a sample: the one with the highest `sign` times value. `limits` bound the values, if given."""

    sign: float
    limits: Limits | None

    def of(self, sample: Values) -> float:
        """The best value of `sample` [n]."""
        return self.sign * float((self.sign * sample).max())

    def expected(self, summary: Summary, k: int) -> float:
        """The expected best of k, from a mean and a standard deviation."""
        mean = self.sign * summary.mean
        if self.limits is None:
            return self.sign * normal_best(mean, summary.std, k)
        low, high = sorted(self.sign * limit for limit in self.limits)
        return self.sign * bounded_best(mean, summary.std, k, (low, high))

    def exact(self, sample: Values, k: int) -> float:
        """The mean best over all subsets of k."""
        return self.sign * expected_best(self.sign * sample, k)


def bests(values: pd.DataFrame) -> pd.DataFrame:
    """Per (space, dataset, method): the best value of its searches, and each best of k among the values.

    The best is the highest value, or the lowest where `better` is "lower". One row for each best:

    - `convention` in words, `k` (NaN if not stated) and the `value`; `n` searches with their `mean` (0 and NaN if only
      a best is known)
    - `expected`: the expected best of k, from the searches' mean and standard deviation; of a normal distribution, or
      of a beta distribution if the unit has limits. NaN for n < 2 or an unknown k
    - `common_k`, the smallest k of the space and data set, and `expected_common`: the mean best of `common_k` over all
      subsets of the searches, exact, so that methods with more searches have no advantage

    Raises `InputError` as `reports.statistics.values.frame.checked`.
    """
    rows: list[dict[str, Any]] = []
    for (space, dataset), group in checked(values).groupby(["space", "dataset"], sort=True):
        searches, given = split(group)
        best = Best(SIGNS[group["better"].iloc[0]], limits(group))
        samples = {str(method): part["value"].to_numpy(dtype=float) for method, part in searches.groupby("method")}
        least = min([*map(len, samples.values()), *given["k"].dropna().astype(int)], default=nan)
        found = [
            (method, len(sample), best.of(sample), f"best of {counted(len(sample), 'search', 'searches')}, observed")
            for method, sample in samples.items()
        ]
        found += [
            (str(row["method"]), row["k"], float(row["value"]), f"{row['convention']}, given")
            for row in given.to_dict("records")
        ]
        for method, k, value, convention in sorted(found, key=lambda row: (row[0], isnan(row[1]), *row[1:])):
            row = {"space": space, "dataset": dataset, "method": method, "convention": convention, "k": k}
            rows.append(row | {"value": value} | _expected(samples.get(method, np.empty(0)), k, least, best))
    return pd.DataFrame(rows, columns=BESTS)


def _expected(sample: Values, k: float, least: float, best: Best) -> dict[str, Any]:
    if not len(sample):
        return {"n": 0, "mean": nan, "expected": nan, "common_k": least, "expected_common": nan}
    summary = Summary.of(sample)
    return {
        "n": summary.n,
        "mean": summary.mean,
        "expected": nan if summary.n < 2 or isnan(k) else best.expected(summary, int(k)),
        "common_k": least,
        "expected_common": best.exact(sample, int(least)),
    }
