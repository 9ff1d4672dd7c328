"""Verdicts on a paper's claims: supported, not supported, undecided, or not measured, with the reason.

A claim is judged at each scale at which there are trials, and every verdict names its scale and number of seeds.
`reports.exhibits.claim_tests` says how each kind of claim is judged.
"""

from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd

from reports.collapse.definition import Criterion
from reports.exhibits.claim_tests import UNDECIDED, UNMEASURED, ClaimVerdict, Comparison, claim_comparisons, judge
from reports.exhibits.claim_values import ClaimAtScale, claim_at_scale, claim_place
from reports.exhibits.exhibit import Claim, Exhibit
from reports.exhibits.scale_groups import EXACT, ScaleGroup, short_scale
from reports.published.audit import SUPPORTED, UNSUPPORTED
from reports.records.blocks import SpaceOf
from reports.statistics import significance
from reports.statistics.verdict import verdict
from spaces.common.plural import counted

CLAIM_VERDICTS = (SUPPORTED, UNSUPPORTED, UNDECIDED, UNMEASURED)
VERDICT_COLUMNS = [
    *("paper", "exhibit", "number", "claim", "kind", "method", "against", "space", "dataset", "metric", "verdict"),
    *("why", "protocol", "scale", "stand_in", "seeds", "solved"),
]
"""The columns of `claim_verdicts`. `solved`: no trial ran, the report itself solved the problem of the claim."""


def claim_verdicts(
    exhibit: Exhibit,
    groups: list[ScaleGroup],
    space_of: SpaceOf,
    criterion: Criterion | None = None,
) -> pd.DataFrame:
    """A row for each claim and scale, `VERDICT_COLUMNS`; a claim that was measured at no scale has a single row."""
    rows: list[dict[str, Any]] = []
    for group in groups:
        found = [claim_at_scale(exhibit, claim, group, space_of) for claim in exhibit.claims]
        verdicts = _judge_family(found, space_of, criterion or Criterion())
        rows += [_row(exhibit, each, own) for each, own in zip(found, verdicts, strict=True)]
    frame = pd.DataFrame(rows, columns=VERDICT_COLUMNS)
    kept = [_measured_or_first(frame, exhibit, claim) for claim in exhibit.claims]
    return pd.concat(kept, ignore_index=True) if kept else frame


def _measured_or_first(frame: pd.DataFrame, exhibit: Exhibit, claim: Claim) -> pd.DataFrame:
    """The claim's rows with a verdict, else its first row, else a new row that says that nothing was run."""
    own = frame[frame["claim"] == claim.says]
    measured = own[own["verdict"] != UNMEASURED]
    if len(measured):
        return measured
    return own.head(1) if len(own) else pd.DataFrame([_unmeasured(exhibit, claim)], columns=VERDICT_COLUMNS)


def _judge_family(found: list[ClaimAtScale], space_of: SpaceOf, criterion: Criterion) -> list[ClaimVerdict]:
    """The verdicts on an exhibit's claims at one scale; all of its comparisons are one family of tests."""
    compared = [claim_comparisons(each) for each in found]
    _correct([row for rows in compared for row in rows])
    return [judge(each, rows, space_of, criterion) for each, rows in zip(found, compared, strict=True)]


def _correct(rows: list[Comparison]) -> None:
    """Add Holm's correction over `rows` to each, its smallest possible value, and the verdict after it."""
    p = np.array([row["p"] for row in rows], dtype=float)
    smallest_p = np.array([nan if isnan(row["p"]) else row["smallest_p"] for row in rows], dtype=float)
    size = int((~np.isnan(p)).sum())
    family = f"{counted(size, 'comparison')} of the exhibit at this scale"
    for row, corrected, smallest in zip(rows, significance.holm(p), significance.holm(smallest_p), strict=True):
        row["p_holm"], row["family"] = float(corrected), family
        row["smallest_p_holm"] = 1.0 if isnan(smallest) else float(smallest)
        row["verdict"] = verdict(row)


def _row(exhibit: Exhibit, found: ClaimAtScale, judged: ClaimVerdict) -> dict[str, Any]:
    group, own = found.group, found.records
    return {
        **_claim_columns(exhibit, found.claim),
        "space": found.space,
        "dataset": group.searched(found.dataset),
        "verdict": judged.verdict,
        "why": judged.why,
        "protocol": group.protocol,
        "scale": short_scale(own) if len(own) else group.title,
        "stand_in": group.stand_in,
        "seeds": judged.seeds,
        "solved": set((own if len(own) else group.records)["evaluation"]) == {EXACT},
    }


def _claim_columns(exhibit: Exhibit, claim: Claim) -> dict[str, Any]:
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
    space, dataset = claim_place(exhibit, claim)
    return {
        **_claim_columns(exhibit, claim),
        "space": space,
        "dataset": dataset,
        "verdict": UNMEASURED,
        "why": "nothing was run for it" if exhibit.trials else "it cannot be run here: see what the exhibit lacks",
        "protocol": "",
        "scale": "",
        "stand_in": False,
        "seeds": 0,
        "solved": False,
    }
