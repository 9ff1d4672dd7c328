"""The tables of the collapse analysis; their frames are those of `reports.collapse.definition` and
`reports.collapse.early_warning`.
"""

from collections.abc import Callable
from math import isnan
from typing import Any

import pandas as pd

from reports.collapse.definition import Criterion
from reports.records.blocks import Block
from reports.sentences.numbers import p_value, two_decimals
from reports.tables.tables import NOTHING, Column, Row, Table


def _number(name: str, write: Callable[[Any], str] = str) -> Callable[[Row], str]:
    """A column's number as `write` has it; where it does not exist, an en dash."""
    return lambda row: NOTHING if isnan(row[name]) else write(row[name])


def _words(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _interval(row: Row) -> str:
    return NOTHING if isnan(row["low"]) else f"{_percent(row['low'])} to {_percent(row['high'])}"


def _tenths(value: float) -> str:
    return f"{100 * value:.1f}"


def _epoch(value: float) -> str:
    return f"{value:g}"


SHARES = (
    Column("Method", _words("label"), numeric=False),
    Column("n", _number("n")),
    Column("Collapsed", _number("collapsed")),
    Column("Share (%)", _number("share", _percent)),
    Column("95 % interval (%)", _interval),
    Column("Random cells (%)", _number("base", _tenths)),
    Column("Median onset (epoch)", _number("onset", _epoch)),
)
CONTRASTS = (
    Column("Method", _words("label"), numeric=False),
    Column("Against", _words("against"), numeric=False),
    Column("Collapsed", lambda row: f"{row['collapsed']} of {row['n']}"),
    Column("Against collapsed", lambda row: f"{row['collapsed_against']} of {row['n_against']}"),
    Column("p (Fisher)", _number("p", p_value)),
    Column("p (Holm)", _number("p_holm", p_value)),
    Column("Verdict", _words("verdict"), numeric=False),
)
VERDICTS = (
    Column("Method", _words("label"), numeric=False),
    Column("Seed", _number("seed")),
    Column("Verdict", _words("verdict"), numeric=False),
    Column("Onset (epoch)", _number("onset", _epoch)),
    Column("Evidence", _words("evidence"), numeric=False),
)
WARNINGS = (
    Column("Probe", _words("probe"), numeric=False),
    Column("Epochs ahead", _number("lead")),
    Column("ROC area", _number("auc", two_decimals)),
    Column("Collapses", _number("cases")),
    Column("Pairs", _number("pairs")),
)
ALARMS = (
    Column("Rule", _words("rule"), numeric=False),
    Column("Collapses", _number("collapsed")),
    Column("Called before", _number("warned")),
    Column("Median epochs ahead", _number("lead", _epoch)),
    Column("Healthy", _number("healthy")),
    Column("False alarms", _number("false")),
)

MOST = 20
"""Rows of the table of warnings: the best."""


def shares(block: Block, frame: pd.DataFrame, criterion: Criterion) -> Table:
    """The share of collapsed trials, a row a method."""
    caption = (
        f"{block.title}, collapsed searches: {block.conditions}. {criterion.words()} Random cells: the share of random "
        "architectures of the space that meet this criterion."
    )
    return Table(frame, SHARES, caption, f"{block.slug}-collapse")


def contrasts(block: Block, frame: pd.DataFrame) -> Table | None:
    """Rows of `reports.statistics.contrasts.contrasts`; `None` without any."""
    if frame.empty:
        return None
    caption = (
        f"{block.title}, how often searches collapse, compared: {block.conditions}. Fisher's exact test, "
        f"Holm-corrected over {frame['family'].iloc[0]}."
    )
    return Table(frame, CONTRASTS, caption, f"{block.slug}-collapse-compared")


def verdicts(block: Block, judged: pd.DataFrame) -> Table:
    """Every trial's verdict and its evidence."""
    return Table(
        judged, VERDICTS, f"{block.title}, every trial's verdict: {block.conditions}.", f"{block.slug}-verdicts"
    )


def warnings(pooled: pd.DataFrame, conditions: str) -> Table:
    """The probes that rank best; `conditions` are those of all blocks that were compared."""
    rest = f" The best {MOST} of {len(pooled)}." if len(pooled) > MOST else ""
    caption = (
        "Early warning: the area under the ROC curve, the share of pairs that the probe ranks correctly. A pair is "
        "a trial the given number of epochs before its collapse, and a trial that stays healthy for longer, at the "
        "same epoch of the same space, data set and scale; 0.5 is chance. Directions were fixed before any result was "
        f"seen.{rest} {conditions}."
    )
    return Table(pooled.head(MOST), WARNINGS, caption, "collapse-warnings")


def alarms(called: pd.DataFrame, conditions: str) -> Table:
    """The published stopping rules, applied to finished searches."""
    caption = f"Published stopping rules, applied to the finished histories. {conditions}."
    return Table(called, ALARMS, caption, "collapse-rules")
