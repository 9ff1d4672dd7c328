"""Summaries with intervals, and comparisons with corrected tests.

`summarise` and `compare` take a frame with a row for each value and the columns of `reports.statistics.values.frame`:
method, seed and value, and optionally space, dataset, convention, noise, better, unit and shared.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import inf, nan
from typing import Any

import numpy as np
import pandas as pd

from reports.statistics import effects, equivalence, intervals, pairing, power, significance
from reports.statistics.significance import ALPHA, Values
from reports.statistics.values.direction import SIGNS
from reports.statistics.values.frame import NOTHING, checked, limits, split
from reports.statistics.verdict import verdict
from spaces.common.errors import unknown
from spaces.common.plural import counted


def summarise(values: pd.DataFrame) -> pd.DataFrame:
    """Per (space, dataset, method): n, mean, std, median, low, high, min, max, convention, noise, better of the values.

    std has ddof = 1; low and high bound the 95 % interval of the mean by Student's t, within the limits of the unit
    (`reports.statistics.intervals.bounded`). The three are NaN for n < 2. `convention` says what the mean is of,
    `noise` what causes the spread, `better` is "higher" or "lower". Values that are the best of several searches are
    left out (`reports.statistics.best_of_k.bests` has them).

    Raises `InputError` as `reports.statistics.values.frame.checked`.
    """
    searches, _ = split(checked(values))
    rows = [
        _summary(space, dataset, str(method), own, limits(group))
        for (space, dataset), group in searches.groupby(["space", "dataset"], sort=True)
        for method, own in group.groupby("method", sort=True)
    ]
    return pd.DataFrame(rows, columns=SUMMARY)


def _summary(
    space: Any, dataset: Any, method: str, own: pd.DataFrame, within: intervals.Limits | None
) -> dict[str, Any]:
    numbers = summary_of(own["value"].to_numpy(dtype=float), within)
    return {
        "space": space,
        "dataset": dataset,
        "method": method,
        **numbers,
        "convention": f"mean over {counted(numbers['n'], 'search', 'searches')}: {_distinct(own['convention'])}",
        "noise": _distinct(own["noise"]),
        "better": own["better"].iloc[0],
    }


def summary_of(sample: Values, within: intervals.Limits | None) -> dict[str, Any]:
    """n, mean, std (ddof = 1), median, low and high (95 %, by t, within the limits), min and max of `sample` [n]."""
    mean, low, high = intervals.of_mean(sample, within)
    return {
        "n": len(sample),
        "mean": mean,
        "std": significance.Summary.of(sample).std,
        "median": float(np.median(sample)),
        "low": low,
        "high": high,
        "min": float(sample.min()),
        "max": float(sample.max()),
    }


def compare(values: pd.DataFrame, baseline: str | None = None, margin: float | None = None) -> pd.DataFrame:
    """Per (space, dataset): every method against `baseline`, or every pair of methods where that is `None`.

    One row for each comparison:

    - `space`, `dataset`, `method`, `baseline`, `n_method`, `n_baseline`, `better` (higher or lower)
    - `paired` by seed: both have the same `shared` (see `reports.statistics.values.frame`) and exactly the same seeds;
      `correlation` and `width` (`reports.statistics.pairing.Gain`): what pairing gained; `tied`: all paired differences
      are zero, or all values equal
    - `difference` of means, method minus baseline, with `low` and `high` of its 95 % interval by the t test named in
      `interval` (within the possible differences: `reports.statistics.intervals.bounded`), and `bca_low` and
      `bca_high` by the bootstrap
    - `test` in words, `p`, and `smallest_p`, the smallest p that the test can give; `p_holm` and `smallest_p_holm`
      after Holm's correction over the `family` (in words: the comparisons of this space and data set that allow a
      test); `t_p` of the t test and `wilcoxon_p` (signed ranks, or rank sum), both uncorrected
    - `a12` (Vargha and Delaney): how often a run of the method is better than one of the baseline; `cliffs_delta`;
      `improvement`: the share of seeds in which the method is better, A12 if seeds do not pair
    - `margin`, `tost_p` and `tost_p_holm` of equivalence within plus or minus `margin` (NaN for `None`);
      `equivalent_within` and `attainable_margin`: see `reports.statistics.equivalence`
    - `detectable` difference (`inf` beyond what is possible) and `n_needed`: see `reports.statistics.power`, at the
      strictest step of Holm's correction
    - `verdict`: see `reports.statistics.verdict`

    `reports.sentences.comparisons.with_statements` puts a row into words. A method of a space and data set without the
    baseline gets a row with the verdict "not compared". Raises `InputError` as
    `reports.statistics.values.frame.checked`, and if no row at all is of `baseline`.
    """
    frame, _ = split(checked(values))
    if baseline is not None and baseline not in set(frame["method"]):
        raise unknown("baseline", baseline, frame["method"])
    rows: list[dict[str, Any]] = []
    for (space, dataset), group in frame.groupby(["space", "dataset"], sort=True):
        samples = {str(method): part for method, part in group.groupby("method", sort=True)}
        known = {"space": space, "dataset": dataset, "better": group["better"].iloc[0]}
        compared = [
            known | _compared(method, other, samples, limits(group))
            for method, other in _pairs(list(samples), baseline)
        ]
        rows += _concluded(compared, baseline, nan if margin is None else margin)
    return pd.DataFrame(rows, columns=COMPARISON)


SUMMARY = [
    *("space", "dataset", "method", "n", "mean", "std", "median", "low", "high", "min", "max", "convention", "noise"),
    "better",
]
COMPARISON = [
    *("space", "dataset", "method", "baseline", "n_method", "n_baseline", "better", "paired", "shared"),
    *("correlation", "width", "tied"),
    *("difference", "low", "high", "interval", "bca_low", "bca_high", "test", "p", "smallest_p", "t_p", "wilcoxon_p"),
    *("a12", "cliffs_delta", "improvement", "p_holm", "smallest_p_holm", "family"),
    *("margin", "tost_p", "tost_p_holm", "equivalent_within", "attainable_margin", "detectable", "n_needed"),
    "verdict",
]


def _pairs(methods: list[str], baseline: str | None) -> Iterator[tuple[str, str]]:
    if baseline is None:
        # The later name against the earlier, so that "darts-1st" is the one compared with, as it is in the tables.
        return ((later, earlier) for earlier, later in combinations(methods, 2))
    return ((method, baseline) for method in methods if method != baseline)


def _compared(
    method: str, baseline: str, samples: dict[str, pd.DataFrame], within: intervals.Limits | None
) -> dict[str, Any]:
    ours, theirs = samples[method], samples.get(baseline, samples[method].iloc[:0])
    shared, paired = pairing.shared(ours, theirs), pairing.paired(ours, theirs)
    if paired:
        theirs = theirs.set_index("seed").loc[ours["seed"]]
    first: Values = ours["value"].to_numpy(dtype=np.float64)
    second: Values = theirs["value"].to_numpy(dtype=np.float64)
    row: dict[str, Any] = {
        "method": method,
        "baseline": baseline,
        "n_method": len(first),
        "n_baseline": len(second),
        "paired": paired,
        "shared": shared if paired else NOTHING,
    }
    if not len(second):
        return row | {"tied": False, "test": "none: no baseline here", "smallest_p": 1.0}
    return row | _tested(first, second, paired, within) | _better(first, second, paired, ours["better"].iloc[0])


def _tested(first: Values, second: Values, paired: bool, within: intervals.Limits | None) -> dict[str, Any]:
    test = significance.sign_flip(first - second) if paired else significance.relabel(first, second)
    estimate = significance.estimate(first, second, paired)
    low, high = intervals.bounded(estimate, intervals.of_difference(within))
    bca_low, bca_high = intervals.bca(first - second) if paired else intervals.bca(first, second)
    tied = not np.any(first - second) if paired else len(np.unique(np.concatenate([first, second]))) == 1
    gain = pairing.gain(first, second) if paired else pairing.UNKNOWN
    return {
        "correlation": gain.correlation,
        "width": gain.width,
        "tied": bool(tied),
        "estimate": estimate,
        "within": within,
        "difference": estimate.difference,
        "low": low,
        "high": high,
        "interval": ("paired t" if paired else "Welch's t") + (", logit" if within else ""),
        "bca_low": bca_low,
        "bca_high": bca_high,
        "test": test.name,
        "p": test.p,
        "smallest_p": test.smallest,
        "t_p": estimate.p,
        "wilcoxon_p": significance.ranks(first, second, paired),
    }


def _better(first: Values, second: Values, paired: bool, better: str) -> dict[str, Any]:
    """How often the first is better, in three numbers."""
    ours, theirs = SIGNS[better] * first, SIGNS[better] * second
    a12 = float(effects.a12(ours, theirs))
    return {
        "a12": a12,
        "cliffs_delta": effects.cliffs_delta(ours, theirs),
        "improvement": effects.improvement(ours - theirs) if paired else a12,
    }


def _concluded(rows: list[dict[str, Any]], baseline: str | None, margin: float) -> list[dict[str, Any]]:
    """`rows` of one family with what depends on the family: corrected p-values, equivalence, power, verdict."""
    size = sum(row.get("p", nan) == row.get("p", nan) for row in rows)
    family = counted(size, "comparison") + (f" with {baseline}" if baseline is not None else " of all pairs")
    for row in rows:
        row |= {name: nan for name in COMPARISON if name not in row}
        row |= {"family": family, "margin": margin} | _planned(row, margin, ALPHA / max(1, size))
    # Holm is monotone in every p, so correcting the smallest attainable p-values gives the smallest corrected ones.
    smallest = [row["smallest_p"] if row["p"] == row["p"] else nan for row in rows]
    for row, p, least, tost in zip(
        rows, _holm(row["p"] for row in rows), _holm(smallest), _holm(row["tost_p"] for row in rows), strict=True
    ):
        row |= {"p_holm": p, "smallest_p_holm": 1.0 if np.isnan(least) else least, "tost_p_holm": tost}
        row["verdict"] = verdict(row)
    return rows


def _planned(row: dict[str, Any], margin: float, alpha: float) -> dict[str, float]:
    if "estimate" not in row:
        return {}
    estimate, sizes, paired = row.pop("estimate"), (row["n_method"], row["n_baseline"]), row["paired"]
    possible = intervals.of_difference(row.pop("within"))
    equivalent = equivalence.tost(estimate, margin)
    detectable = power.detectable(estimate, sizes, paired, alpha)
    return {
        "tost_p": equivalent.p,
        "equivalent_within": equivalent.within,
        "attainable_margin": equivalent.attainable,
        "detectable": inf if possible and detectable > possible[1] else detectable,
        "n_needed": power.needed(estimate, sizes, paired, alpha),
    }


def _holm(p: Iterable[float]) -> list[float]:
    return [float(corrected) for corrected in significance.holm(np.array(list(p), dtype=float))]


def _distinct(words: "pd.Series[str]") -> str:
    return "; ".join(sorted(set(words)))
