"""What the values support: summaries with intervals, and comparisons with corrected tests.

Both functions take a plain frame, one row a value, with the columns of `reports.statistics.values`: method, seed and
value, and space, dataset, convention and noise where they are known.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import inf, nan
from typing import Any

import numpy as np
import pandas as pd

from reports.sentences import comparisons
from reports.statistics import effects, equivalence, intervals, pairing, power, significance
from reports.statistics.direction import SIGNS
from reports.statistics.significance import ALPHA, Values
from reports.statistics.values import NOTHING, checked, limits, split
from spaces.common.errors import unknown
from spaces.common.plural import counted

Row = dict[str, Any]

METHOD_NOTES = (
    "Means, standard deviations (ddof = 1) and medians are over seeds. Intervals are 95 % intervals of a mean by "
    "Student's t (of a difference: paired t, or Welch's t where seeds do not pair) and assume roughly normal means; "
    "with few seeds they are wide for a reason. Those of percentages and fractions are taken on the scale of the "
    "mean's logit, so that none leaves 0 to 100 %. The bootstrap's BCa "
    "interval stands beside them: of normal values it covers 70 % at n = 3 and 80 % at n = 4 where 95 % are promised, "
    "so it is not the main one. No interval knows of a collapse that none of the seeds showed.",
    "The spread over seeds is search noise where accuracies come from a table, in which an architecture has one value, "
    "and search and retraining noise together where each search was retrained once: the two cannot be told apart then.",
    "Methods are paired by seed where their values share something by seed and they ran exactly the same seeds, and "
    "then tested by the two-sided sign-flip permutation test; otherwise all values of both enter an unpaired "
    "permutation test of the means. Trials of one seed share the split of the training images, the order and "
    "augmentation of batches, and initial weights where networks have one shape; whether pairing paid is measured, by "
    "the correlation over seeds and by the width of the interval. Both tests are exact up to 9,999 "
    "permutations and assume no distribution. A verdict rests on the test, never on whether an interval holds zero. "
    "The p-values of the t test and of Wilcoxon's test stand beside it, uncorrected.",
    "p-values are Holm-corrected within a family: the comparisons of one table, that is of one space, data set and "
    "protocol. A difference is called significant when the corrected p is at most 0.05. A12 (Vargha and Delaney) is "
    "how often a run of the first method is better than one of the second: 0.5 is no effect; Cliff's delta is "
    "2 A12 - 1. The probability of improvement is the share of seeds in which the first is better, or A12 where seeds "
    "do not pair.",
    "Equivalence is tested by two one-sided t tests (TOST) against the margin that is stated, Holm-corrected over the "
    "same family; beside it stands the smallest margin that the data would support, uncorrected. It knows no more than "
    "the intervals of a collapse that none of the seeds showed. What could have been shown is the true difference that "
    "is found with 80 % power by a t test at the strictest step of Holm's correction, at the spread seen, which few "
    "seeds know poorly: these figures are for planning.",
    "A best of k is set beside the best of k that the searches' own mean and standard deviation let expect (of normal "
    "values; of percentages and fractions, of a beta distribution, which ends where they end), and is never tested as "
    "if it were one search.",
)


def summarise(values: pd.DataFrame) -> pd.DataFrame:
    """Per (space, dataset, method): n, mean, std, median, low, high, min, max, convention, noise, better of the values.

    std has ddof = 1; low and high bound the 95 % interval of the mean by Student's t, within the limits of the block's
    unit (`reports.statistics.intervals.bounded`). The three are NaN for n < 2. convention says what the mean is of,
    noise
    what its spread is of, better whether higher or lower is. Values that are the best of several searches are no part
    of it (`reports.statistics.published_bests`). Raises `InputError` as `reports.statistics.values.checked`.
    """
    searches, _ = split(checked(values))
    rows = [
        _summary(space, dataset, str(method), own, limits(group))
        for (space, dataset), group in searches.groupby(["space", "dataset"], sort=True)
        for method, own in group.groupby("method", sort=True)
    ]
    return pd.DataFrame(rows, columns=SUMMARY)


def _summary(space: Any, dataset: Any, method: str, own: pd.DataFrame, within: intervals.Limits | None) -> Row:
    sample = own["value"].to_numpy(dtype=float)
    mean, low, high = intervals.of_mean(sample, within)
    return {
        "space": space,
        "dataset": dataset,
        "method": method,
        "n": len(sample),
        "mean": mean,
        "std": significance.Summary.of(sample).std,
        "median": float(np.median(sample)),
        "low": low,
        "high": high,
        "min": float(sample.min()),
        "max": float(sample.max()),
        "convention": f"mean over {comparisons.searches(len(sample))}: {_distinct(own['convention'])}",
        "noise": _distinct(own["noise"]),
        "better": own["better"].iloc[0],
    }


def compare(values: pd.DataFrame, baseline: str | None = None, margin: float | None = None) -> pd.DataFrame:
    """Per (space, dataset): every method against `baseline`, or every pair of methods where that is `None`.

    One row a comparison:

    - `space`, `dataset`, `method`, `baseline`, `n_method`, `n_baseline`, `better` (higher or lower)
    - `paired` by seed: both name the same `shared` (see `reports.statistics.values`) and ran exactly the same seeds;
      `correlation` and `width`: whether that paid, see `reports.statistics.pairing.Gain`; `unmatched`: why values
      that share
      something are not paired, in words; `tied`: all paired differences are zero, or all values equal; `conventions`:
      what each side's values are
    - `difference` of means, method minus baseline, with `low` and `high` of its 95 % interval by the t named in
      `interval` (within what a difference can be: `reports.statistics.intervals.bounded`), and `bca_low` and
      `bca_high` by the bootstrap
    - `test` in words, `p`, `smallest_p` it could have given; `p_holm` and `smallest_p_holm` after Holm's correction
      over the `family` (in words: the comparisons of this space and data set that allow a test); `t_p` of the t test
      and `wilcoxon_p` (signed ranks, or rank sum), both uncorrected
    - `a12` (Vargha and Delaney): how often a run of the method is better than one of the baseline; `cliffs_delta`;
      `improvement`: the share of seeds won, A12 where seeds do not pair
    - `margin`, `tost_p` and `tost_p_holm` of equivalence within plus or minus `margin` (NaN where it is `None`);
      `equivalent_within` and `attainable_margin`: see `reports.statistics.equivalence`
    - `detectable` difference (`inf` beyond what is possible) and `n_needed`: see `reports.statistics.power`, at the
      strictest step of Holm's correction
    - `verdict` (see `reports.sentences.comparisons`) and `statement`, generated words

    A method of a group in which the baseline never ran gets a row that says so. Raises `InputError` as
    `reports.statistics.values.checked`, and when no row at all is of `baseline`.
    """
    frame, _ = split(checked(values))
    if baseline is not None and baseline not in set(frame["method"]):
        raise unknown("baseline", baseline, frame["method"])
    rows: list[Row] = []
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
    *("space", "dataset", "method", "baseline", "n_method", "n_baseline", "better", "paired", "shared", "unmatched"),
    *("correlation", "width", "tied", "conventions"),
    *("difference", "low", "high", "interval", "bca_low", "bca_high", "test", "p", "smallest_p", "t_p", "wilcoxon_p"),
    *("a12", "cliffs_delta", "improvement", "p_holm", "smallest_p_holm", "family"),
    *("margin", "tost_p", "tost_p_holm", "equivalent_within", "attainable_margin", "detectable", "n_needed"),
    *("verdict", "statement"),
]


def _pairs(methods: list[str], baseline: str | None) -> Iterator[tuple[str, str]]:
    if baseline is None:
        # The later name against the earlier, so that "darts-1st" is the one compared with, as it is in the tables.
        return ((later, earlier) for earlier, later in combinations(methods, 2))
    return ((method, baseline) for method in methods if method != baseline)


def _compared(method: str, baseline: str, samples: dict[str, pd.DataFrame], within: intervals.Limits | None) -> Row:
    ours, theirs = samples[method], samples.get(baseline, samples[method].iloc[:0])
    shared, paired = pairing.shared(ours, theirs), pairing.paired(ours, theirs)
    if paired:
        theirs = theirs.set_index("seed").loc[ours["seed"]]
    first: Values = ours["value"].to_numpy(dtype=np.float64)
    second: Values = theirs["value"].to_numpy(dtype=np.float64)
    row: Row = {
        "method": method,
        "baseline": baseline,
        "n_method": len(first),
        "n_baseline": len(second),
        "paired": paired,
        "shared": shared if paired else NOTHING,
        "unmatched": "" if paired else comparisons.unmatched(method, baseline, ours, samples.get(baseline)),
        "conventions": comparisons.conventions(method, baseline, set(ours["convention"]), set(theirs["convention"])),
    }
    if not len(second):
        return row | {"tied": False, "test": "none: no baseline here", "smallest_p": 1.0}
    return row | _tested(first, second, paired, within) | _better(first, second, paired, ours["better"].iloc[0])


def _tested(first: Values, second: Values, paired: bool, within: intervals.Limits | None) -> Row:
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


def _better(first: Values, second: Values, paired: bool, better: str) -> Row:
    """How often the first is better, in three numbers."""
    ours, theirs = SIGNS[better] * first, SIGNS[better] * second
    a12 = float(effects.a12(ours, theirs))
    return {
        "a12": a12,
        "cliffs_delta": effects.cliffs_delta(ours, theirs),
        "improvement": effects.improvement(ours - theirs) if paired else a12,
    }


def _concluded(rows: list[Row], baseline: str | None, margin: float) -> list[Row]:
    """`rows` of one family with what only the family decides: corrected p-values, equivalence, power, words."""
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
        row["verdict"] = comparisons.verdict(row)
        row["statement"] = comparisons.statement(row)
    return rows


def _planned(row: Row, margin: float, alpha: float) -> dict[str, float]:
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
