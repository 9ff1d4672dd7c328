"""Which searches collapsed, when, and how surely a method does: docs/collapse.md has the definition and its reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan, nan
from typing import Any

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from reports.records.blocks import SpaceOf
from reports.statistics.significance import LEVEL, Values
from reports.statistics.survival import kaplan_meier
from spaces.cells.genotype import Genotype
from spaces.common.errors import InputError
from spaces.common.metric import ACCURACY, Metric
from spaces.common.plural import counted

IDLE = ("skip_connect", "none", "noise")
"""Operations that neither learn nor look at a neighbourhood."""

COLLAPSED, HEALTHY, UNKNOWN = "collapsed", "healthy", "unknown"


@dataclass(frozen=True)
class Criterion:
    """When an architecture is one that searches collapse to: `idle` is the smallest share of idle edges of its cell.

    The cell is the normal one, or the only one. A search has collapsed if the architecture that it returns is such a
    one, and did so at the first epoch from which on all its architectures were.
    """

    idle: float = 0.6

    def __post_init__(self) -> None:
        if not 0 < self.idle <= 1:
            raise InputError(f"idle = {self.idle} must be above 0 and at most 1, a share of the cell's edges")

    def met(self, genotype: Genotype) -> bool:
        """Is `genotype` such an architecture?"""
        return self.enough(idle_edges(genotype), len(genotype.edges(genotype.kinds[0])))

    def enough(self, idle: int, edges: int) -> bool:
        """Are so many idle ones of so many edges enough?"""
        # With a tolerance, so that 3 of 5 edges reach 0.6 in floating point.
        return idle >= self.idle * edges - 1e-9

    def base_rate(self, space: Any) -> float:
        """The share of such architectures among a space's random ones, exact: what a share of collapses is held to.

        `space` is one of `SpaceOf`, whole: a recipe that removes operations chooses from fewer.
        """
        chances = space.chances(space.kinds[0], IDLE)
        return sum(chance for idle, chance in enumerate(chances) if self.enough(idle, len(chances) - 1))

    def words(self) -> str:
        """The definition in words."""
        return (
            f"A search has collapsed if at least {100 * self.idle:g} % of the edges of the returned cell (the normal "
            f"cell, if there are two kinds) have {', '.join(IDLE[:-1])} or {IDLE[-1]}. Its onset is the first epoch "
            "from which on all its architectures meet this criterion."
        )


def idle_edges(genotype: Genotype) -> int:
    """How many edges of the normal cell, or of the only one, are idle."""
    return sum(genotype.count(genotype.kinds[0], operation) for operation in IDLE)


def trials(
    records: pd.DataFrame, by_trial: Mapping[str, pd.DataFrame], space_of: SpaceOf, criterion: Criterion
) -> pd.DataFrame:
    """A row for each trial of `records`: its verdict, the epoch in which a collapse began, and the evidence in words.

    `by_trial` holds histories (`reports.records.results.by_trial`).

    Columns: key, study, label, method, seed; `verdict`; `onset` (epoch, NaN for a healthy trial); `epochs`, the last
    one that counts, whose architecture was returned; `idle` and `edges`, of that architecture; `best_epoch`, of the
    best metric in the table or, without one, of the discretized supernet; `evidence`.

    The verdict on a trial without history is unknown.
    """
    rows, spaces = [], cache(space_of)
    for record in records.to_dict("records"):
        history = by_trial.get(str(record["key"]))
        if history is None:
            rows.append(_unknown(record))
            continue
        answer = record.get("answer_epoch")
        last = int(history["epoch"].iloc[-1]) if answer is None or pd.isna(answer) else int(answer)
        seen = history[history["epoch"] <= last]
        space = spaces(record["space"])
        genotypes = [space.parse(text) for text in seen["genotype"]]
        rows.append(_judged(record, seen, genotypes, criterion))
    return pd.DataFrame(rows)


def _unknown(record: dict[Any, Any]) -> dict[str, Any]:
    return {
        **_named(record),
        "verdict": UNKNOWN,
        **dict.fromkeys(("onset", "epochs", "idle", "edges", "best_epoch"), nan),
        "evidence": "It has no history, so whether it collapsed is unknown.",
    }


def _named(record: dict[Any, Any]) -> dict[str, Any]:
    return {
        "key": record["key"],
        "label": record.get("label", record["method"]),
        "method": record["method"],
        "seed": record["seed"],
        "study": record.get("study", ""),
    }


def _judged(
    record: dict[Any, Any], seen: pd.DataFrame, genotypes: Sequence[Genotype], criterion: Criterion
) -> dict[str, Any]:
    epochs = [int(epoch) for epoch in seen["epoch"]]
    met = [criterion.met(genotype) for genotype in genotypes]
    run = next((length for length, flag in enumerate(reversed(met)) if not flag), len(met))
    onset = epochs[len(met) - run] if run else nan
    final = genotypes[-1]
    metric = _metric(record)
    tabular = _whole(seen, f"tabular_{metric.name}")
    scores = seen[f"{'tabular' if tabular else 'discrete'}_{metric.name}"].to_numpy(dtype=float)
    best = int(scores.argmax() if metric.better == "higher" else scores.argmin())
    return {
        **_named(record),
        "verdict": COLLAPSED if run else HEALTHY,
        "onset": onset,
        "epochs": epochs[-1],
        "idle": idle_edges(final),
        "edges": len(final.edges(final.kinds[0])),
        "best_epoch": epochs[best],
        "evidence": f"{_course(genotypes, epochs, onset)}; {_scores(metric, scores, epochs, best, tabular)}.",
    }


def _metric(record: dict[Any, Any]) -> Metric:
    if "metric" not in record:
        return ACCURACY
    return Metric(record["metric"], better=record["better"], unit=record["unit"])


def _whole(seen: pd.DataFrame, column: str) -> bool:
    return column in seen and bool(seen[column].notna().all())


def _course(genotypes: Sequence[Genotype], epochs: Sequence[int], onset: float) -> str:
    final = genotypes[-1]
    kind, edges = final.kinds[0], len(final.edges(final.kinds[0]))
    parts = [f"{final.count(kind, name)} {name}" for name in IDLE if final.count(kind, name)]
    held = ", ".join(parts)
    found = f"{idle_edges(final)} of {edges} edges {'is' if idle_edges(final) == 1 else 'are'} idle"
    found += (f" ({held})" if held else "") + f" after epoch {epochs[-1]}"
    if onset == onset:
        found += f", enough of them from epoch {onset:.0f} on"
    else:
        found += f", at most {max(map(idle_edges, genotypes))} after any"
    return found


def _scores(metric: Metric, scores: Values, epochs: Sequence[int], best: int, tabular: bool) -> str:
    # A supernet's where there is one; random search trains its candidates by themselves.
    where = "in the table" if tabular else "on the architecture split"
    return (
        f"its {metric.name} {where} is {metric.words(scores[-1])}, that of its best epoch ({epochs[best]}) "
        f"{metric.words(scores[best])}"
    )


def shares(judged: pd.DataFrame, base: float = nan) -> pd.DataFrame:
    """Per label of `trials`: n, `collapsed` of them, their `share` with Wilson's interval (low, high), median onset.

    `base` is the space's `Criterion.base_rate`, and stands beside. n are the trials whose verdict is known; `unknown`
    counts the others. share, low and high are NaN without any. Wilson, JASA 22, 1927: it keeps its level at few trials
    and at shares of 0 and 1, where the usual one has no width.
    """
    rows = []
    for label, group in judged.groupby("label", sort=True):
        count, n = int((group["verdict"] == COLLAPSED).sum()), int((group["verdict"] != UNKNOWN).sum())
        low, high = proportion_confint(count, n, alpha=1 - LEVEL, method="wilson") if n else (nan, nan)
        rows.append(
            {
                "label": label,
                "n": n,
                "collapsed": count,
                "unknown": len(group) - n,
                "share": count / n if n else nan,
                "low": float(low),
                "high": float(high),
                "base": base,
                "onset": float(group["onset"].median()) if count else nan,
            }
        )
    return pd.DataFrame(rows)


def survival(judged: pd.DataFrame) -> pd.DataFrame:
    """The Kaplan-Meier curve of every label of `trials`: `reports.statistics.survival.kaplan_meier` with a column
    `label`.

    A trial that ended healthy is censored at its last epoch that counts: what it would have come to is not known. A
    curve at 0 has a last row where the label's last trial ended, if that is later.
    """
    curves = []
    for label, group in judged[judged["verdict"] != UNKNOWN].groupby("label", sort=True):
        collapsed = group["verdict"] == COLLAPSED
        curve = kaplan_meier(group["onset"].where(collapsed, group["epochs"]), collapsed)
        end, last = float(group["epochs"].max()), curve.iloc[-1].to_dict()
        if last["survival"] == 0 and end > last["epoch"]:
            over = {**last, "epoch": end, "at_risk": 0, "events": 0, "censored": 0}
            curve = pd.DataFrame([*curve.to_dict("records"), over])
        curve.insert(0, "label", label)
        curves.append(curve)
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


def statements(shares: pd.DataFrame) -> list[str]:
    """Each method's share in words, with what so few trials can say."""
    return [_statement(row) for row in shares.to_dict("records")]


def _statement(row: dict[Any, Any]) -> str:
    onset = f", with a median onset at epoch {row['onset']:g}" if row["collapsed"] else ""
    if not row["n"]:
        return f"{row['label']}: no trial has a history, so whether searches collapsed is unknown."
    chance = "" if isnan(row["base"]) else f"; {100 * row['base']:.1f} % of random architectures meet the criterion"
    rest = f" ({row['unknown']} more without history)" if row["unknown"] else ""
    seen = f"{row['collapsed']} of {counted(row['n'], 'trial')}"
    return (
        f"{row['label']}: {seen} collapsed{onset}{rest}; "
        f"95 % interval of the share {100 * row['low']:.0f} to {100 * row['high']:.0f} %{chance}."
    )
