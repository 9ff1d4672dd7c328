"""The best of several searches, set beside what the searches' own mean and spread let expect of a best of so many."""

from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from reports.sentences import comparisons
from reports.statistics.best_of_k import bounded_best, expected_best, normal_best
from reports.statistics.direction import SIGNS
from reports.statistics.intervals import Limits
from reports.statistics.significance import Summary, Values
from reports.statistics.values import checked, limits, split

BESTS = [
    *("space", "dataset", "method", "convention", "k", "value", "n", "mean", "expected", "common_k", "expected_common"),
]


@dataclass(frozen=True)
class Best:
    """Which value of a sample is best: that of the highest `sign` times value. Values lie within `limits`, if any."""

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
    """Per (space, dataset, method): the best value of its searches, and each best of k that was given.

    Best is the highest, or the lowest where the values' `better` says so.

    One row a best:

    - `convention` in words, `k` (NaN where it is not said) and the `value`; `n` searches with their `mean` (0 and NaN
      where only a best is known)
    - `expected`: the best of k that n values of that mean and standard deviation let expect, normal ones, or between
      the limits of their unit beta distributed ones; NaN for n < 2 and where k is
    - `common_k`, the smallest k of the space and data set, and `expected_common`: the mean best of so many over all
      subsets of the searches, exact, so that methods with more searches gain nothing by them

    Raises `InputError` as `reports.statistics.values.checked`.
    """
    rows: list[dict[str, Any]] = []
    for (space, dataset), group in checked(values).groupby(["space", "dataset"], sort=True):
        searches, given = split(group)
        best = Best(SIGNS[group["better"].iloc[0]], limits(group))
        samples = {str(method): part["value"].to_numpy(dtype=float) for method, part in searches.groupby("method")}
        least = min([*map(len, samples.values()), *given["k"].dropna().astype(int)], default=nan)
        found = [
            (method, len(sample), best.of(sample), f"best of {comparisons.searches(len(sample))}, observed")
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


def notes(frame: pd.DataFrame) -> list[str]:
    """In words, what became of each best of k that was given among the rows of `bests`."""
    return [
        f"{row['method']}: {comparisons.plain(row['value'])} is {row['convention'].removesuffix(', given')}, not what "
        f"one search gives, and is in no mean and no test. {_beside(row)}"
        for row in frame.to_dict("records")
        if row["convention"].endswith(", given")
    ]


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


def _beside(row: dict[Any, Any]) -> str:
    if isnan(row["k"]):
        return "Of how many is not said, so nothing says what it is expected to be."
    if row["n"] < 2:
        return "Without two searches of its own nothing says what a best of so many is expected to be."
    return f"Its {row['n']} searches let expect {comparisons.plain(row['expected'])}."
