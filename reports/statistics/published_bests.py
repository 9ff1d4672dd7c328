"""The best of several searches, set beside what the searches' own mean and spread let expect of a best of so many."""

from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from reports.sentences import comparisons
from reports.statistics.best_of_k import expected_best, normal_best
from reports.statistics.significance import Summary, Values
from reports.statistics.values import checked, split

BESTS = [
    *("space", "dataset", "method", "convention", "k", "value", "n", "mean", "expected", "common_k", "expected_common"),
]


def bests(values: pd.DataFrame) -> pd.DataFrame:
    """Per (space, dataset, method): the highest value of its searches, and each best of k that was given.

    One row a best:

    - `convention` in words, `k` (NaN where it is not said) and the `value`; `n` searches with their `mean` (0 and NaN
      where only a best is known)
    - `expected`: the best of k that n normal values of that mean and standard deviation let expect; NaN for n < 2 and
      where k is
    - `common_k`, the smallest k of the space and data set, and `expected_common`: the mean best of so many over all
      subsets of the searches, exact, so that methods with more searches gain nothing by them

    Raises `InputError` as `reports.statistics.values.checked`.
    """
    rows: list[dict[str, Any]] = []
    for (space, dataset), group in checked(values).groupby(["space", "dataset"], sort=True):
        searches, given = split(group)
        samples = {str(method): part["value"].to_numpy(dtype=float) for method, part in searches.groupby("method")}
        least = min([*map(len, samples.values()), *given["k"].dropna().astype(int)], default=nan)
        found = [
            (method, len(sample), float(sample.max()), f"best of {comparisons.searches(len(sample))}, observed")
            for method, sample in samples.items()
        ]
        found += [
            (str(row["method"]), row["k"], float(row["value"]), f"{row['convention']}, given")
            for row in given.to_dict("records")
        ]
        for method, k, value, convention in sorted(found, key=lambda best: (best[0], isnan(best[1]), *best[1:])):
            row = {"space": space, "dataset": dataset, "method": method, "convention": convention, "k": k}
            rows.append(row | {"value": value} | _expected(samples.get(method, np.empty(0)), k, least))
    return pd.DataFrame(rows, columns=BESTS)


def notes(frame: pd.DataFrame) -> list[str]:
    """In words, what became of each best of k that was given among the rows of `bests`."""
    return [
        f"{row['method']}: {comparisons.plain(row['value'])} is {row['convention'].removesuffix(', given')}, not what "
        f"one search gives, and is in no mean and no test. {_beside(row)}"
        for row in frame.to_dict("records")
        if row["convention"].endswith(", given")
    ]


def _expected(sample: Values, k: float, least: float) -> dict[str, Any]:
    if not len(sample):
        return {"n": 0, "mean": nan, "expected": nan, "common_k": least, "expected_common": nan}
    summary = Summary.of(sample)
    return {
        "n": summary.n,
        "mean": summary.mean,
        "expected": nan if summary.n < 2 or isnan(k) else normal_best(summary.mean, summary.std, int(k)),
        "common_k": least,
        "expected_common": expected_best(sample, int(least)),
    }


def _beside(row: dict[Any, Any]) -> str:
    if isnan(row["k"]):
        return "Of how many is not said, so nothing says what it is expected to be."
    if row["n"] < 2:
        return "Without two searches of its own nothing says what a best of so many is expected to be."
    return f"Its {row['n']} searches let expect {comparisons.plain(row['expected'])}."
