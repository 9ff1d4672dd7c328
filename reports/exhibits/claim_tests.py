"""The test of each kind of claim, a function a kind: from a claim with its values to a verdict with its reason.

- `beats`: the method is better than each one named, by the permutation test of `reports.statistics.comparison`,
  corrected by Holm over all comparisons of the exhibit at that scale. Not supported: one of them is significantly
  better, or equivalent within `within` (for accuracies `EQUIVALENCE_MARGIN`, if the claim does not say).
- `matches`: equivalent within `within` (TOST). Not supported: significantly different.
- `reproduces`: the 95 % interval of the mean lies within `value` ± `within`. Not supported: it lies outside. Judged
  only where a difference to a published number may be shown (`ScaleGroup.comparable`).
- `collapses`, `resists`: more (fewer) than half of the seeds collapsed, by the exact binomial test of one half. Not
  supported: significantly fewer (more).
- `costs`: the 95 % interval of the ratio of search seconds (from the logarithms, paired by seed where seeds pair) lies
  between `value` / `within` and `value` · `within`. Not supported: it lies outside.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import exp, isnan, log
from typing import Any

import numpy as np
from scipy.stats import binomtest

from reports.collapse import definition
from reports.collapse.definition import Criterion
from reports.exhibits.claim_values import ClaimAtScale
from reports.exhibits.metrics import ACCURACIES, metric_limits
from reports.exhibits.scale_groups import EXACT
from reports.published.audit import SUPPORTED, UNSUPPORTED
from reports.records.blocks import SpaceOf
from reports.records.results import by_trial
from reports.sentences.numbers import p_is, p_value, signed, two_decimals
from reports.statistics import intervals, pairing, significance
from reports.statistics.comparison import compare
from reports.statistics.significance import ALPHA
from reports.statistics.values.direction import SIGNS
from reports.statistics.verdict import BETTER, WORSE
from spaces.common.plural import counted

UNDECIDED = "undecided at this n"
UNMEASURED = "not measured"

EQUIVALENCE_MARGIN = 0.5
"""Points of accuracy within which two methods count as equally good, where a claim names no margin."""

Comparison = dict[str, Any]
"""A row of `reports.statistics.comparison.compare`."""


@dataclass(frozen=True)
class ClaimVerdict:
    """A verdict, the reason in words, and the smallest number of seeds of a method that it rests on."""

    verdict: str
    why: str
    seeds: int = 0


def claim_comparisons(found: ClaimAtScale) -> list[Comparison]:
    """The claim's method compared with each other one; empty for kinds of claims that compare no values."""
    if found.claim.kind not in ("beats", "matches") or found.missing:
        return []
    frame, own = found.values.drop(columns="key"), found.labels[0]
    margin = found.claim.within or (EQUIVALENCE_MARGIN if found.claim.metric in ACCURACIES else None)
    rows: list[Any] = []
    for other in found.labels[1:]:
        pair = frame[frame["method"].isin([own, other])]
        rows += [row for row in compare(pair, other, margin).to_dict("records") if row["method"] == own]
    return [{str(name): value for name, value in row.items()} for row in rows]


def judge(found: ClaimAtScale, rows: list[Comparison], space_of: SpaceOf, criterion: Criterion) -> ClaimVerdict:
    """The verdict on the claim; `rows` are its `claim_comparisons` after the correction."""
    if found.missing:
        return ClaimVerdict(
            UNMEASURED, f"there is no trial of {' and '.join(found.missing)} on {found.where} at this scale"
        )
    if found.claim.kind in COMPARED:
        verdict = COMPARED[found.claim.kind](rows)
        return ClaimVerdict(verdict, "; ".join(_difference(row) for row in rows), found.seeds)
    if found.claim.kind == "reproduces":
        return _reproduces(found)
    if found.claim.kind == "costs":
        return _costs(found)
    return _collapses(found, space_of, criterion)


def _beats(rows: list[Comparison]) -> str:
    if all(row["verdict"] == BETTER for row in rows):
        return SUPPORTED
    contradicted = any(row["verdict"] == WORSE or (row["verdict"] != BETTER and _equivalent(row)) for row in rows)
    return UNSUPPORTED if contradicted else UNDECIDED


def _matches(rows: list[Comparison]) -> str:
    if all(_equivalent(row) for row in rows):
        return SUPPORTED
    different = any(row["verdict"] in (BETTER, WORSE) for row in rows)
    return UNSUPPORTED if different else UNDECIDED


COMPARED: dict[str, Callable[[list[Comparison]], str]] = {"beats": _beats, "matches": _matches}
"""The kinds of claims that are judged by comparisons."""


def _equivalent(row: Comparison) -> bool:
    # Seeds that all tie have no spread to test. They count as equal where so many could have shown a difference.
    return bool(row["tost_p"] <= ALPHA or (row["tied"] and row["smallest_p"] <= ALPHA))


def _difference(row: Comparison) -> str:
    """The comparison in words: who is ahead by how much, the interval and the test."""
    sign = SIGNS[row["better"]]
    low, high = sorted((sign * row["low"], sign * row["high"]))
    interval = "" if isnan(low) else f" (advantage, 95 % interval {signed(low)} to {signed(high)})"
    seen = f"{row['method']} {_standing(sign * row['difference'])} {row['baseline']}{interval}"
    if isnan(row["p"]):
        return f"{seen}; too few seeds for a test"
    if row["smallest_p_holm"] > ALPHA:
        smallest = p_value(row["smallest_p_holm"])
        return f"{seen}; too few seeds: the smallest possible p is {smallest} over {row['family']}"
    tested = f"{seen}, Holm {p_is(row['p_holm'])} over {row['family']}"
    return f"{tested}, equivalent within ±{two_decimals(row['margin'])}" if _equivalent(row) else tested


def _standing(difference: float) -> str:
    if not difference:
        return "is level with"
    return f"is {two_decimals(abs(difference))} {'ahead of' if difference > 0 else 'behind'}"


def _reproduces(found: ClaimAtScale) -> ClaimVerdict:
    group, own = found.group, found.own
    evaluations = set(group.records.set_index("key").loc[own["key"], "evaluation"])
    if group.stand_in or not all(group.comparable(evaluation, found.claim.metric) for evaluation in evaluations):
        return ClaimVerdict(UNMEASURED, "a number of a reduced protocol is not comparable with a published one")
    value, within = found.claim.bounds
    values = own["value"].to_numpy(dtype=np.float64)
    mean, low, high = intervals.of_mean(values, metric_limits(found.claim.metric))
    write = two_decimals if within >= 0.01 else "{:.4f}".format
    claimed = f"{write(value)} ± {write(within)} is claimed"
    seen = f"{found.labels[0]} has {write(mean)}"
    if evaluations == {EXACT}:
        exact = _inside(mean, mean, value - within, value + within)
        return ClaimVerdict(exact, f"{seen}, which involves no chance; {claimed}", len(values))
    if isnan(low):
        return ClaimVerdict(UNDECIDED, f"{seen} from one seed; {claimed}", len(values))
    verdict = _inside(low, high, value - within, value + within)
    return ClaimVerdict(verdict, f"{seen} (95 % interval {write(low)} to {write(high)}); {claimed}", len(values))


def _costs(found: ClaimAtScale) -> ClaimVerdict:
    each = [_cost_ratio(found, label) for label in found.labels[1:]]
    return ClaimVerdict(_all(verdict for verdict, _ in each), "; ".join(words for _, words in each), found.seeds)


def _cost_ratio(found: ClaimAtScale, label: str) -> tuple[str, str]:
    """The verdict on the search seconds of the claim's method over those of `label`, and the ratio in words."""
    value, within = found.claim.bounds
    ratio = _log_ratio(found, label)
    seen = f"{found.labels[0]} takes {two_decimals(exp(ratio.difference))} times as long as {label}"
    claimed = f"{two_decimals(value)} is claimed"
    if isnan(ratio.low):
        return UNDECIDED, f"{seen}, from one seed; {claimed}"
    interval = f"95 % interval {two_decimals(exp(ratio.low))} to {two_decimals(exp(ratio.high))}"
    verdict = _inside(ratio.low, ratio.high, log(value / within), log(value * within))
    return verdict, f"{seen} ({interval}); {claimed}, within a factor of {within:g}"


def _log_ratio(found: ClaimAtScale, label: str) -> significance.Estimate:
    """The difference of the logarithms of search seconds, paired by seed where the seeds pair."""
    seconds = found.group.records.set_index("key")["search_seconds"]
    paired = pairing.paired(found.own, found.of(label))
    own, other = (each.set_index("seed")["key"].map(seconds) for each in (found.own, found.of(label)))
    return significance.estimate(
        np.log(own.to_numpy(dtype=np.float64)),
        np.log((other.reindex(own.index) if paired else other).to_numpy(dtype=np.float64)),
        paired,
    )


def _inside(low: float, high: float, least: float, most: float) -> str:
    """The verdict on an interval `low` to `high` that is claimed to lie between `least` and `most`."""
    if least <= low and high <= most:
        return SUPPORTED
    return UNSUPPORTED if high < least or low > most else UNDECIDED


def _all(found: Iterable[str]) -> str:
    """The verdict on several parts of one claim: the worst of theirs."""
    each = list(found)
    return next((verdict for verdict in (UNSUPPORTED, UNDECIDED) if verdict in each), SUPPORTED)


def _collapses(found: ClaimAtScale, space_of: SpaceOf, criterion: Criterion) -> ClaimVerdict:
    label = found.labels[0]
    records = found.group.records[found.group.records["key"].isin(found.own["key"])]
    trials = definition.trials(records, by_trial(found.group.histories), space_of, criterion)
    share = definition.shares(trials.assign(label=label)).iloc[0]
    if not share["n"]:
        return ClaimVerdict(UNMEASURED, f"no trial of {label} has a history")
    collapsed, n = int(share["collapsed"]), int(share["n"])
    test = binomtest(collapsed, n, 0.5)
    seen = (
        f"{collapsed} of {counted(n, 'seed')} of {label} collapsed (95 % interval of the share "
        f"{100 * share['low']:.0f} to {100 * share['high']:.0f} %; exact binomial test of one half, "
        f"{p_is(test.pvalue)})"
    )
    if test.pvalue > ALPHA:
        return ClaimVerdict(UNDECIDED, seen, n)
    most_collapsed = 2 * collapsed > n
    return ClaimVerdict(SUPPORTED if most_collapsed == (found.claim.kind == "collapses") else UNSUPPORTED, seen, n)
