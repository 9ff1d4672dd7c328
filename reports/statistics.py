"""What the values support: summaries with intervals, and comparisons with corrected tests.

Both functions take a plain frame, one row a value, with the columns method, space, dataset, seed, value.
"""

from collections.abc import Iterator
from itertools import combinations
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from reports.core import effects, intervals, sentences, significance
from reports.core.significance import Values
from reports.core.values import checked
from spaces.core.errors import unknown

METHOD_NOTES = (
    "Means, standard deviations (ddof = 1) and medians are over seeds. Intervals are 95 % intervals of a mean by "
    "Student's t (of a difference: paired t, or Welch's t where seeds do not pair) and assume roughly normal means; "
    "with few seeds they are wide for a reason, and may reach past what an accuracy can be.",
    "Methods that ran exactly the same seeds are paired by seed and tested by the two-sided sign-flip permutation "
    "test; otherwise all values of both enter an unpaired permutation test of the means. Both are exact up to 9,999 "
    "permutations and assume no distribution. A verdict rests on the test, never on whether an interval holds zero.",
    "p-values are Holm-corrected within a family: the comparisons of one table, that is of one space, data set and "
    "protocol. A difference is called significant when the corrected p is at most 0.05. A12 (Vargha and Delaney) is "
    "how often a run of the first method exceeds one of the second: 0.5 is no effect.",
)


def summarise(values: pd.DataFrame) -> pd.DataFrame:
    """Per (space, dataset, method): n, mean, std, median, low, high, min, max of the values.

    std has ddof = 1; low and high bound the 95 % interval of the mean by Student's t. The three are NaN for n < 2.
    Raises `InputError` as `reports.core.values.checked`.
    """
    rows = []
    for (space, dataset, method), group in checked(values).groupby(["space", "dataset", "method"], sort=True):
        sample = group["value"].to_numpy(dtype=float)
        low, high = intervals.mean_interval(sample)
        rows.append(
            {
                "space": space,
                "dataset": dataset,
                "method": method,
                "n": len(sample),
                "mean": float(sample.mean()),
                "std": float(sample.std(ddof=1)) if len(sample) > 1 else nan,
                "median": float(np.median(sample)),
                "low": low,
                "high": high,
                "min": float(sample.min()),
                "max": float(sample.max()),
            }
        )
    return pd.DataFrame(rows)


def compare(values: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Per (space, dataset): every method against `baseline`, or every pair of methods where that is `None`.

    One row a comparison:

    - `space`, `dataset`, `method`, `baseline`, `n_method`, `n_baseline`; `paired`: both ran exactly the same seeds;
      `tied`: all paired differences are zero, or all values equal
    - `difference` of means, method minus baseline, with `low` and `high` of its 95 % interval
    - `test` in words, `p`, `smallest_p` it could have given; `p_holm` and `smallest_p_holm` after Holm's correction
      over the `family` (in words: the comparisons of this space and data set that allow a test)
    - `a12` (Vargha and Delaney); `verdict` (see `reports.core.sentences`) and `statement`, generated words

    A method of a group in which the baseline never ran gets a row that says so. Raises `InputError` as
    `reports.core.values.checked`, and when no row at all is of `baseline`.
    """
    frame = checked(values)
    if baseline is not None and baseline not in set(frame["method"]):
        raise unknown("baseline", baseline, frame["method"])
    rows: list[dict[str, Any]] = []
    for (space, dataset), group in frame.groupby(["space", "dataset"], sort=True):
        samples = {str(method): part.set_index("seed")["value"] for method, part in group.groupby("method", sort=True)}
        compared = [
            {"space": space, "dataset": dataset, **_compared(method, other, samples)}
            for method, other in _pairs(list(samples), baseline)
        ]
        rows += _corrected(compared, baseline)
    return pd.DataFrame(rows, columns=COMPARISON)


COMPARISON = [
    *("space", "dataset", "method", "baseline", "n_method", "n_baseline", "paired", "tied"),
    *("difference", "low", "high", "test", "p", "smallest_p", "a12"),
    *("p_holm", "smallest_p_holm", "family", "verdict", "statement"),
]


def _pairs(methods: list[str], baseline: str | None) -> Iterator[tuple[str, str]]:
    if baseline is None:
        # The later name against the earlier, so that "darts-1st" is the one compared with, as it is in the tables.
        return ((later, earlier) for earlier, later in combinations(methods, 2))
    return ((method, baseline) for method in methods if method != baseline)


def _compared(method: str, baseline: str, samples: dict[str, "pd.Series[float]"]) -> dict[str, Any]:
    ours, theirs = samples[method], samples.get(baseline, pd.Series(dtype=float))
    paired = set(ours.index) == set(theirs.index)
    if paired:
        theirs = theirs.reindex(ours.index)
    first: Values = np.asarray(ours, dtype=np.float64)
    second: Values = np.asarray(theirs, dtype=np.float64)
    row: dict[str, Any] = {
        "method": method,
        "baseline": baseline,
        "n_method": len(first),
        "n_baseline": len(second),
        "paired": paired,
    }
    if not len(second):
        nothing = dict.fromkeys(("difference", "low", "high", "p", "a12"), nan)
        return row | nothing | {"tied": False, "test": "none: no baseline here", "smallest_p": 1.0}
    return row | _tested(first, second, paired)


def _tested(first: Values, second: Values, paired: bool) -> dict[str, Any]:
    test = significance.sign_flip(first - second) if paired else significance.relabel(first, second)
    low, high = intervals.mean_interval(first - second) if paired else intervals.difference_interval(first, second)
    tied = not np.any(first - second) if paired else len(np.unique(np.concatenate([first, second]))) == 1
    return {
        "tied": bool(tied),
        "difference": float(first.mean() - second.mean()),
        "low": low,
        "high": high,
        "test": test.name,
        "p": test.p,
        "smallest_p": test.smallest,
        "a12": effects.a12(first, second),
    }


def _corrected(rows: list[dict[str, Any]], baseline: str | None) -> list[dict[str, Any]]:
    p = np.array([row["p"] for row in rows], dtype=float)
    # Holm is monotone in every p, so correcting the smallest attainable p-values gives the smallest corrected ones.
    smallest = np.array([row["smallest_p"] if row["p"] == row["p"] else nan for row in rows], dtype=float)
    size = int((~np.isnan(p)).sum())
    family = f"{size} {'comparison' if size == 1 else 'comparisons'}"
    family += f" with {baseline}" if baseline is not None else " of all pairs"
    for row, corrected, attainable in zip(rows, significance.holm(p), significance.holm(smallest), strict=True):
        row["p_holm"] = float(corrected)
        row["smallest_p_holm"] = 1.0 if np.isnan(attainable) else float(attainable)
        row["family"] = family
        row["verdict"] = sentences.verdict(row)
        row["statement"] = sentences.statement(row)
    return rows
