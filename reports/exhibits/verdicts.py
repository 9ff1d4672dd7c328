"""What the records say of a paper's claims: supported, not supported, undecided, or not measured, with the reason.

A claim is judged at the scale at which it was measured and with the seeds that ran there; every verdict names both.

- `beats`: each one named is worse, by the permutation test of `reports.statistics.comparison`, corrected by Holm
  over all
  comparisons of the exhibit at that scale. Not supported: one is significantly better, or equivalent within `within`
  (of accuracies, if it is not said, within `MARGIN`).
- `matches`: equivalent within `within` (TOST). Not supported: significantly different.
- `reproduces`: the 95 % interval of the mean lies within `value` ± `within`. Not supported: it lies outside. Judged
  only at the papers' scale, or of accuracies in the table.
- `collapses`, `resists`: more, fewer than half of the seeds collapsed, by the exact binomial test of one half. Not
  supported: significantly fewer, more.
- `costs`: the 95 % interval of the ratio of search seconds (of the logarithms, paired by seed where seeds pair) lies
  within `value` times or divided by `within`. Not supported: it lies outside.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import exp, isnan, log, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from reports.collapse import definition
from reports.collapse.definition import Criterion
from reports.exhibits.exhibit import Claim, Exhibit
from reports.exhibits.exhibit_data import EXACT, Part, brief
from reports.exhibits.metrics import ACCURACIES, limits, measured
from reports.published.published_numbers import METRICS, Metric
from reports.records.blocks import SpaceOf, shared
from reports.records.results import by_trial
from reports.sentences.numbers import p_is, p_value, signed, two_decimals
from reports.statistics import intervals, pairing, significance
from reports.statistics.comparison import compare
from reports.statistics.significance import ALPHA
from reports.statistics.values.direction import HIGHER, LOWER, SIGNS
from reports.statistics.values.frame import UNSTATED, place
from reports.statistics.verdict import BETTER, WORSE, verdict
from spaces.common.plural import counted

SUPPORTED = "supported"
UNSUPPORTED = "not supported"
UNDECIDED = "undecided at this n"
UNMEASURED = "not measured"
VERDICTS = (SUPPORTED, UNSUPPORTED, UNDECIDED, UNMEASURED)

MARGIN = 0.5
"""Points of accuracy within which two methods count as equally good, where a claim does not say how near is equal."""

COLUMNS = [
    *(
        "paper",
        "exhibit",
        "number",
        "claim",
        "kind",
        "method",
        "against",
        "space",
        "dataset",
        "metric",
        "verdict",
        "why",
    ),
    *("protocol", "scale", "stand_in", "seeds", "solved"),
]
"""Of a row. `solved`: the report itself solved what the claim is about, the closed form beside it; no trial ran."""


@dataclass(frozen=True)
class Judged:
    """A verdict, the reason in words, and the fewest seeds of a method that it rests on."""

    verdict: str
    why: str
    seeds: int = 0


@dataclass(frozen=True)
class Question:
    """A claim at one scale: the values that it is about, of its method and of each that it is set against."""

    claim: Claim
    part: Part
    space: str
    dataset: str
    metric: str
    values: pd.DataFrame  # key, method (its label), seed, value, better, unit, shared: the claim's method first

    @property
    def labels(self) -> list[str]:
        """The claim's method and those it is set against, told apart."""
        return _labels(self.claim)

    def of(self, label: str) -> pd.DataFrame:
        """The rows of one of the labels."""
        return self.values[self.values["method"] == label]

    @property
    def missing(self) -> list[str]:
        """The labels without a value."""
        return [label for label in self.labels if self.of(label).empty]

    @property
    def seeds(self) -> int:
        """The fewest seeds that one of them ran."""
        return min(len(self.of(label)) for label in self.labels)


def judged(
    exhibit: Exhibit,
    found: list[Part],
    space_of: SpaceOf,
    criterion: Criterion | None = None,
) -> pd.DataFrame:
    """A row a claim and scale, `COLUMNS`; one that was measured nowhere has a single row that says so."""
    rows: list[dict[str, Any]] = []
    for part in found:
        asked = [_asked(exhibit, claim, part, space_of) for claim in exhibit.claims]
        verdicts = _verdicts(asked, space_of, criterion or Criterion())
        rows += [_row(exhibit, q, verdict) for q, verdict in zip(asked, verdicts, strict=True)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    kept = []
    for claim in exhibit.claims:
        mine = frame[(frame["claim"] == claim.says) & (frame["verdict"] != UNMEASURED)]
        if mine.empty:
            told = frame[frame["claim"] == claim.says].head(1)
            mine = told if len(told) else pd.DataFrame([_unmeasured(exhibit, claim)], columns=COLUMNS)
        kept.append(mine)
    return pd.concat(kept, ignore_index=True) if kept else frame


def _asked(exhibit: Exhibit, claim: Claim, part: Part, space_of: SpaceOf) -> Question:
    space, dataset = _place(exhibit, claim)
    evaluated_on = claim.evaluated_on or dataset
    on = part.searched(evaluated_on) if evaluated_on == dataset else evaluated_on
    known = METRICS[claim.metric] if claim.metric in METRICS else Metric()
    better = LOWER if known.better < 0 or (not known.better and claim.higher is False) else HIGHER
    declared = {"better": better, "unit": known.units[0] or UNSTATED}
    frames = []
    for label, method in zip(_labels(claim), (claim.method, *claim.against), strict=True):
        settings = claim.settings if method == claim.method and label == _labels(claim)[0] else claim.against_settings
        chosen = part.select(exhibit, method, settings, space, dataset)
        values = measured(chosen, part.histories, claim.metric, on, space_of)
        own = chosen.assign(method=label, value=values, shared=shared(chosen))
        frames.append(own[["key", "method", "seed", "value", "shared"]].dropna().assign(**declared))
    return Question(claim, part, space, dataset, claim.metric, pd.concat(frames, ignore_index=True))


def compared(exhibit: Exhibit, part: Part, space_of: SpaceOf) -> pd.DataFrame:
    """What the claims on numbers are judged by at one scale: key, method, seed, value, metric and where, each once.

    `method` are the labels of the verdicts; `where` is what was searched on, and evaluated on where that is another.
    """
    frames = []
    for claim in exhibit.claims:
        if claim.kind in ("beats", "matches", "reproduces"):
            question = _asked(exhibit, claim, part, space_of)
            where = place(question.space, question.part.searched(question.dataset))
            where += f", evaluated on {claim.evaluated_on}" if claim.evaluated_on else ""
            frames.append(question.values.assign(metric=claim.metric, where=where))
    columns = ["key", "method", "seed", "value", "metric", "where"]
    return pd.concat(frames, ignore_index=True).drop_duplicates() if frames else pd.DataFrame(columns=columns)


def _place(exhibit: Exhibit, claim: Claim) -> tuple[str, str]:
    spaces = list(dict.fromkeys(space for block in exhibit.trials for space in block.spaces))
    datasets = list(dict.fromkeys(dataset for block in exhibit.trials for dataset in block.datasets))
    return claim.space or next(iter(spaces), ""), claim.dataset or next(iter(datasets), "")


def _labels(claim: Claim) -> list[str]:
    own = claim.method + _settings(claim.settings)
    return [own, *(method + _settings(claim.against_settings) for method in claim.against)]


def _settings(settings: dict[str, Any]) -> str:
    return f" [{', '.join(f'{name} = {value}' for name, value in settings.items())}]" if settings else ""


def _verdicts(asked: list[Question], space_of: SpaceOf, criterion: Criterion) -> list[Judged]:
    compared = [_compared(q) for q in asked]
    # One family: whatever the exhibit compares at this scale.
    p = np.array([row["p"] for rows in compared for row in rows], dtype=float)
    least = np.array([row["smallest_p"] if not isnan(row["p"]) else nan for rows in compared for row in rows])
    size = int((~np.isnan(p)).sum())
    family = f"{counted(size, 'comparison')} of the exhibit at this scale"
    corrected = iter(zip(significance.holm(p), significance.holm(least), strict=True))
    found = []
    for question, rows in zip(asked, compared, strict=True):
        for row in rows:
            row["p_holm"], smallest = map(float, next(corrected))
            row["smallest_p_holm"], row["family"] = 1.0 if isnan(smallest) else smallest, family
            row["verdict"] = verdict(row)
        found.append(_judge(question, rows, space_of, criterion))
    return found


def _compared(question: Question) -> list[dict[str, Any]]:
    """The claim's method against each other one: rows of `compare`."""
    if question.claim.kind not in ("beats", "matches") or question.missing:
        return []
    frame = question.values.drop(columns="key")
    own, rows = question.labels[0], []
    margin = question.claim.within or (MARGIN if question.metric in ACCURACIES else None)
    for other in question.labels[1:]:
        pair = frame[frame["method"].isin([own, other])]
        rows += [row for row in compare(pair, other, margin).to_dict("records") if row["method"] == own]
    return [{str(name): value for name, value in row.items()} for row in rows]


def _judge(question: Question, rows: list[dict[str, Any]], space_of: SpaceOf, criterion: Criterion) -> Judged:
    claim = question.claim
    if question.missing:
        where = place(question.space, question.part.searched(question.dataset))
        return Judged(UNMEASURED, f"no trial of {' and '.join(question.missing)} on {where} at this scale tells it")
    if claim.kind == "beats":
        return _beats(question, rows)
    if claim.kind == "matches":
        return _matches(question, rows)
    if claim.kind == "reproduces":
        return _reproduces(question)
    if claim.kind == "costs":
        return _costs(question)
    return _collapses(question, space_of, criterion)


def _beats(question: Question, rows: list[dict[str, Any]]) -> Judged:
    ahead = [row["verdict"] == BETTER for row in rows]
    against = any(row["verdict"] == WORSE or (row["verdict"] != BETTER and _equivalent(row)) for row in rows)
    found = SUPPORTED if all(ahead) else UNSUPPORTED if against else UNDECIDED
    return Judged(found, "; ".join(_difference(row) for row in rows), question.seeds)


def _matches(question: Question, rows: list[dict[str, Any]]) -> Judged:
    different = any(row["verdict"] in (BETTER, WORSE) for row in rows)
    found = SUPPORTED if all(map(_equivalent, rows)) else UNSUPPORTED if different else UNDECIDED
    return Judged(found, "; ".join(_difference(row) for row in rows), question.seeds)


def _equivalent(row: dict[str, Any]) -> bool:
    # Seeds that all tie have no spread to test with; they count as equal where so many could have shown a difference.
    return bool(row["tost_p"] <= ALPHA or (row["tied"] and row["smallest_p"] <= ALPHA))


def _difference(row: dict[str, Any]) -> str:
    sign = SIGNS[row["better"]]
    low, high = sorted((sign * row["low"], sign * row["high"]))
    interval = "" if isnan(low) else f" (advantage, 95 % interval {signed(low)} to {signed(high)})"
    seen = f"{row['method']} {_standing(sign * row['difference'])} {row['baseline']}{interval}"
    if isnan(row["p"]):
        return f"{seen}; so few seeds allow no test"
    if row["smallest_p_holm"] > ALPHA:
        smallest = p_value(row["smallest_p_holm"])
        return f"{seen}; so few seeds could not have shown it: smallest p {smallest} over {row['family']}"
    told = f"{seen}, Holm {p_is(row['p_holm'])} over {row['family']}"
    return f"{told}, equivalent within ±{two_decimals(row['margin'])}" if _equivalent(row) else told


def _standing(difference: float) -> str:
    if not difference:
        return "is level with"
    return f"is {two_decimals(abs(difference))} {'ahead of' if difference > 0 else 'behind'}"


def _reproduces(question: Question) -> Judged:
    claim, own = question.claim, question.of(question.labels[0])
    evaluations = set(question.part.records.set_index("key").loc[own["key"], "evaluation"])
    if question.part.stand_in or not all(question.part.comparable(way, question.metric) for way in evaluations):
        return Judged(UNMEASURED, "a number of a reduced protocol is not set against a published one")
    value, within = claim.bounds
    values = own["value"].to_numpy(dtype=np.float64)
    mean, low, high = intervals.of_mean(values, limits(question.metric))
    write = two_decimals if within >= 0.01 else "{:.4f}".format
    wanted = f"{write(value)} ± {write(within)}"
    seen = f"{question.labels[0]} has {write(mean)}"
    if evaluations == {EXACT}:
        exact = _inside(mean, mean, value - within, value + within)
        return Judged(exact, f"{seen}, without any chance in it, {wanted} is claimed", len(values))
    if isnan(low):
        return Judged(UNDECIDED, f"{seen} from one seed, {wanted} is claimed", len(values))
    seen += f" (95 % interval {write(low)} to {write(high)}), {wanted} is claimed"
    return Judged(_inside(low, high, value - within, value + within), seen, len(values))


def _costs(question: Question) -> Judged:
    claim = question.claim
    value, within = claim.bounds
    seconds = question.part.records.set_index("key")["search_seconds"]
    found, words = [], []
    for label in question.labels[1:]:
        paired = pairing.paired(question.of(question.labels[0]), question.of(label))
        own, other = (question.of(name).set_index("seed")["key"].map(seconds) for name in (question.labels[0], label))
        ratio = significance.estimate(
            np.log(own.to_numpy(dtype=np.float64)),
            np.log((other.reindex(own.index) if paired else other).to_numpy(dtype=np.float64)),
            paired,
        )
        seen = f"{question.labels[0]} takes {two_decimals(exp(ratio.difference))} times as long as {label}"
        claimed = f"{two_decimals(value)} is claimed"
        if isnan(ratio.low):
            found.append(UNDECIDED)
            words.append(f"{seen}, from one seed; {claimed}")
            continue
        low, high = log(value / within), log(value * within)
        found.append(_inside(ratio.low, ratio.high, low, high))
        interval = f"95 % interval {two_decimals(exp(ratio.low))} to {two_decimals(exp(ratio.high))}"
        words.append(f"{seen} ({interval}); {claimed}, within a factor of {within:g}")
    return Judged(_all(found), "; ".join(words), question.seeds)


def _inside(low: float, high: float, least: float, most: float) -> str:
    if least <= low and high <= most:
        return SUPPORTED
    return UNSUPPORTED if high < least or low > most else UNDECIDED


def _all(found: Iterable[str]) -> str:
    each = list(found)
    if UNSUPPORTED in each:
        return UNSUPPORTED
    return UNDECIDED if UNDECIDED in each else SUPPORTED


def _collapses(question: Question, space_of: SpaceOf, criterion: Criterion) -> Judged:
    own = question.of(question.labels[0])
    records = question.part.records[question.part.records["key"].isin(own["key"])]
    verdicts = definition.trials(records, by_trial(question.part.histories), space_of, criterion)
    share = definition.shares(verdicts.assign(label=question.labels[0])).iloc[0]
    if not share["n"]:
        return Judged(UNMEASURED, f"no trial of {question.labels[0]} has a history")
    collapsed, n = int(share["collapsed"]), int(share["n"])
    test = binomtest(collapsed, n, 0.5)
    seen = (
        f"{collapsed} of {counted(n, 'seed')} of {question.labels[0]} collapsed (95 % interval of the share "
        f"{100 * share['low']:.0f} to {100 * share['high']:.0f} %; exact binomial test of one half, "
        f"{p_is(test.pvalue)})"
    )
    if test.pvalue > ALPHA:
        return Judged(UNDECIDED, seen, n)
    most = 2 * collapsed > n
    return Judged(SUPPORTED if most == (question.claim.kind == "collapses") else UNSUPPORTED, seen, n)


def _row(exhibit: Exhibit, question: Question, judged: Judged) -> dict[str, Any]:
    part = question.part
    mine = part.records[part.records["key"].isin(question.values["key"])]
    return {
        **_named(exhibit, question.claim),
        "space": question.space,
        "dataset": part.searched(question.dataset),
        "verdict": judged.verdict,
        "why": judged.why,
        "protocol": part.protocol,
        "scale": brief(mine) if len(mine) else part.title,
        "stand_in": part.stand_in,
        "seeds": judged.seeds,
        "solved": set((mine if len(mine) else part.records)["evaluation"]) == {EXACT},
    }


def _named(exhibit: Exhibit, claim: Claim) -> dict[str, Any]:
    return {
        "paper": exhibit.paper,
        "exhibit": exhibit.name,
        "number": exhibit.number,
        "claim": claim.says,
        "kind": claim.kind,
        "method": claim.method,
        "against": ", ".join(claim.against),
        "metric": claim.metric,
    }


def _unmeasured(exhibit: Exhibit, claim: Claim) -> dict[str, Any]:
    space, dataset = _place(exhibit, claim)
    return {
        **_named(exhibit, claim),
        "space": space,
        "dataset": dataset,
        "verdict": UNMEASURED,
        "why": "nothing was run for it" if exhibit.trials else "it cannot be run here: the exhibit says what it lacks",
        "protocol": "",
        "scale": "",
        "stand_in": False,
        "seeds": 0,
        "solved": False,
    }
