"""Early warning: which probe tells a coming collapse, and how many epochs ahead."""

from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from reports.collapse.definition import COLLAPSED
from reports.collapse.stopping_rules import RULES
from reports.records.blocks import Block, SpaceOf
from reports.records.results import Results
from spaces.common.plural import counted

DIRECTIONS = {
    "skip_share": 1,
    "probe.cell.skips.": 1,
    "probe.cell.none.": 1,
    "probe.cell.parametric.": -1,
    "probe.weights.saturation.": 1,
    "probe.weights.change.": 1,
    "probe.alignment.": -1,
    "probe.alignment-2nd.": -1,
    "probe.similarity.outputs.": -1,
    "probe.hessian.dominant_decayed": 1,
    "probe.gap.gap": 1,
}
"""Which way each quantity points to a collapse by the paper that watches it, fixed before any record is seen: 1 up,
-1 down. A quantity that no paper gives a direction is not scored."""

LEADS = (1, 2, 3, 5, 8, 13)
"""Epochs ahead, at which a warning is scored."""

ENOUGH = 5
"""Collapses below which no ranking means anything: among dozens of probes and leads one is right by chance."""

Stratum = tuple[int, list[tuple[str, bool]]]
"""An epoch, and the trials that are compared there: whether each, by its key, is a case."""


def direction(column: str) -> int:
    """That of a history's column, 0 where none is claimed."""
    return next((sign for prefix, sign in DIRECTIONS.items() if column.startswith(prefix)), 0)


def scores(block_trials: Sequence[tuple[Block, pd.DataFrame]], results: Results) -> pd.DataFrame:
    """How well each probe ranks the trials that collapse in `lead` epochs above those that do not.

    `block_trials` are blocks with their `reports.collapse.definition.trials`. A row for each study, probe and lead:
    `cases`
    (collapses compared), `pairs` (case and control compared) and `auc`, the area under the ROC curve: the share of
    pairs ranked rightly, a tie counting half. 0.5 is no warning.

    A case is a trial lead epochs before its onset; its controls are the trials of the same block at the same epoch
    that are healthy for longer. So nothing is gained by knowing the epoch, the space or the data set. A case counts
    once for each lead; searches without alpha are left out, having nothing that could collapse.
    """
    columns = [str(name) for name in results.histories if direction(str(name))]
    rows = []
    for block, judged in block_trials:
        for study, group in judged.groupby("study", sort=True):
            watched = _watched(group, results)
            strata = {lead: list(_strata(group[group["key"].isin(watched)], lead)) for lead in LEADS}
            for column in columns if any(strata.values()) else []:
                values = {key: dict(zip(own["epoch"], own[column], strict=True)) for key, own in watched.items()}
                for lead in LEADS:
                    compared = list(_areas(strata[lead], values, direction(column)))
                    pairs = sum(cases * controls for cases, controls, _ in compared)
                    if pairs:
                        area = sum(cases * controls * auc for cases, controls, auc in compared) / pairs
                        cases = sum(cases for cases, _, _ in compared)
                        rows.append((study, block.slug, column, lead, cases, pairs, area))
    named = ["study", "block", "probe", "lead", "cases", "pairs", "auc"]
    return pd.DataFrame(rows, columns=named)


def _watched(judged: pd.DataFrame, results: Results) -> dict[str, pd.DataFrame]:
    """The epochs of those of the trials that have alpha, by key."""
    own = {key: results.by_trial[key] for key in judged["key"] if key in results.by_trial}
    return {key: history for key, history in own.items() if history.filter(regex=r"^alpha\.").notna().any(axis=None)}


def _strata(ends: pd.DataFrame, lead: int) -> Iterator[Stratum]:
    """Every epoch that is `lead` before some onset."""
    for epoch in sorted({int(onset) - lead for onset in ends["onset"].dropna() if onset > lead}):
        collapsed = ends["onset"] == epoch + lead
        healthy = (ends["onset"] > epoch + lead) | (ends["onset"].isna() & (ends["epochs"] >= epoch + lead))
        compared = collapsed | healthy
        yield epoch, list(zip(ends["key"][compared], collapsed[compared], strict=True))


def _areas(
    strata: Sequence[Stratum], values: Mapping[str, Mapping[int, Any]], sign: int
) -> Iterator[tuple[int, int, float]]:
    """(cases, controls, area) of the `values` by trial and epoch, in every stratum that has both."""
    for epoch, trials in strata:
        told = [(values[key].get(epoch, nan), bool(case)) for key, case in trials]
        told = [(sign * float(value), case) for value, case in told if not pd.isna(value)]
        labels = [case for _, case in told]
        if len(set(labels)) == 2:
            yield sum(labels), len(labels) - sum(labels), float(roc_auc_score(labels, [value for value, _ in told]))


def pooled(scored: pd.DataFrame) -> pd.DataFrame:
    """`scores` over all studies and blocks: a row for each probe and lead, the area weighted by pairs, best first."""
    weighted = scored.assign(area=scored["auc"] * scored["pairs"])
    summed = weighted.groupby(["probe", "lead"], as_index=False)[["cases", "pairs", "area"]].sum()
    summed["auc"] = summed["area"] / summed["pairs"]
    ranked = summed.drop(columns="area").sort_values(["auc", "pairs", "lead"], ascending=False, kind="stable")
    return ranked.reset_index(drop=True)


def left_out(scored: pd.DataFrame) -> pd.DataFrame:
    """Each study by the probe and lead that are best on all the others: study, probe, lead, cases, pairs, auc.

    `chosen_auc` is the area on those others. Empty where fewer than two studies have a collapse to compare.
    """
    rows: list[dict[str, Any]] = []
    studies = sorted(set(scored["study"]))
    for study in studies if len(studies) > 1 else []:
        here, others = scored[scored["study"] == study], scored[scored["study"] != study]
        best = pooled(others).iloc[0]
        same = here[(here["probe"] == best["probe"]) & (here["lead"] == best["lead"])]
        found = pooled(same).iloc[0] if len(same) else {"cases": 0, "pairs": 0, "auc": nan}
        rows.append(
            {
                "study": study,
                "probe": best["probe"],
                "lead": int(best["lead"]),
                "chosen_auc": float(best["auc"]),
                "cases": int(found["cases"]),
                "pairs": int(found["pairs"]),
                "auc": float(found["auc"]),
            }
        )
    return pd.DataFrame(rows, columns=["study", "probe", "lead", "chosen_auc", "cases", "pairs", "auc"])


def alarms(block_trials: Sequence[tuple[Block, pd.DataFrame]], results: Results, space_of: SpaceOf) -> pd.DataFrame:
    """The published rules after the fact, a row each: how many collapses they call before the onset, and how many not.

    Columns: rule, what it `reads` in words; `collapsed` and `warned` (alarm before the onset), `lead` (median epochs
    between), `healthy` and `false` (alarm all the same); `trials` that have what the rule reads, for long enough that
    it could have called.
    """
    rows = []
    watches = [_watched(judged, results) for _, judged in block_trials]
    for rule in RULES:
        leads, false, healthy, collapsed = [], 0, 0, 0
        for (block, judged), watched in zip(block_trials, watches, strict=True):
            for trial in judged[judged["key"].isin(watched)].to_dict("records"):
                history = watched[trial["key"]]
                history = history[history["epoch"] <= trial["epochs"]]
                if not rule.applies(history):
                    continue
                genotypes = [space_of(block.space).parse(text) for text in history["genotype"]]
                alarm = rule.alarm(history, genotypes)
                if trial["verdict"] == COLLAPSED:
                    collapsed += 1
                    if alarm < trial["onset"]:
                        leads.append(trial["onset"] - alarm)
                else:
                    healthy += 1
                    false += alarm == alarm
        rows.append(
            {
                "rule": rule.name,
                "reads": rule.reads,
                "trials": collapsed + healthy,
                "collapsed": collapsed,
                "warned": len(leads),
                "lead": float(np.median(leads)) if leads else nan,
                "healthy": healthy,
                "false": int(false),
            }
        )
    return pd.DataFrame(rows)


def statements(scored: pd.DataFrame, called: pd.DataFrame) -> list[str]:
    """What the scores and the rules support, in words."""
    said = []
    if scored.empty:
        said.append(
            "No probe is scored: that takes a trial that collapsed and one that stayed healthy, of the same space, "
            "data set and scale, both with probes at the same epoch before the collapse."
        )
    else:
        best = pooled(scored).iloc[0]
        said.append(
            f"{best['probe']} ranks best, {counted(best['lead'], 'epoch')} ahead: area "
            f"{best['auc']:.2f} over {counted(best['cases'], 'collapse')} and {counted(best['pairs'], 'pair')}. "
            f"It is the best of {len(pooled(scored))} tried, so its area is biased upwards."
            + (f" With fewer than {ENOUGH} collapses chance alone can rank as well." if best["cases"] < ENOUGH else "")
        )
        outside = left_out(scored)
        if outside.empty:
            said.append("Only one study has a collapse to compare, so no probe is tested on another study.")
        for row in outside.to_dict("records"):
            where = f"{row['auc']:.2f} over {counted(row['pairs'], 'pair')}" if row["pairs"] else "not measured"
            said.append(
                f"Chosen on the other studies (area {row['chosen_auc']:.2f}), {row['probe']} "
                f"{counted(row['lead'], 'epoch')} ahead, on {row['study']}: {where}."
            )
    return said + [_rule(row) for row in called.to_dict("records")]


def _rule(row: dict[Any, Any]) -> str:
    """What a row of `alarms` says."""
    if not row["trials"]:
        return f"The rule {row['rule']} cannot be judged: no trial has the data that it reads, {row['reads']}."
    if row["collapsed"]:
        called = f"raised an alarm before the onset of {row['warned']} of {counted(row['collapsed'], 'collapse')}"
        called += f", a median of {counted(row['lead'], 'epoch')} ahead" if row["warned"] else ""
    else:
        called = "had no collapse to detect"
    if row["healthy"]:
        silent = f", and gave a false alarm in {row['false']} of {counted(row['healthy'], 'healthy trial')}."
    else:
        silent = "; no trial was healthy, so its rate of false alarms is unknown."
    return f"The rule {row['rule']} {called}{silent}"
