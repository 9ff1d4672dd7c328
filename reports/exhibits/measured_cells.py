"""The published cells of an exhibit, and beside each what one scale group of records measured of it."""

from math import nan
from typing import Any

import numpy as np
import pandas as pd

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.metrics import ACCURACIES, PAPER_DATASETS, metric_limits, metric_values
from reports.exhibits.scale_groups import ScaleGroup, short_scale
from reports.published.published_numbers import METRICS
from reports.records.blocks import SpaceOf
from reports.statistics.comparison import summary_of
from reports.statistics.significance import Values

COPIED = ("label", "heading", "dataset", "space", "metric", "method", "printed", "spread", "n", "convention")
MEASURED = ("measured", "std", "n_measured", "low", "high", "best", "evaluation", "scale", "difference", "note")
CELL_COLUMNS = [
    *("exhibit", "label", "heading", "dataset", "space", "metric", "method", "printed", "published", "spread", "n"),
    *("convention", "searched_on"),
    *MEASURED,
]


def measured_cells(
    exhibit: Exhibit, published: pd.DataFrame, group: ScaleGroup | None, space_of: SpaceOf
) -> pd.DataFrame:
    """A row for each published cell, in the paper's order, with what `group` measured of it: `CELL_COLUMNS`.

    `measured`, `std` (ddof = 1), `low` and `high` (95 % interval by Student's t, within the metric's limits) are over
    `n_measured` seeds; `best` is the best of them. `difference` is measured minus published where the two numbers are
    comparable, else NaN. `note` says why a cell stayed empty although there are trials: where several trials of one
    seed match a cell, they are not pooled.
    """
    rows = []
    for cell in exhibit.cells(published).to_dict("records"):
        row = {name: cell[name] for name in COPIED} | {"exhibit": exhibit.name, "published": cell["number"]}
        rows.append(row | _measured(exhibit, cell, group, space_of))
    return pd.DataFrame(rows, columns=CELL_COLUMNS)


def _measured(exhibit: Exhibit, cell: dict[Any, Any], group: ScaleGroup | None, space_of: SpaceOf) -> dict[str, Any]:
    """The columns `searched_on` and `MEASURED` of one published cell."""
    dataset = PAPER_DATASETS.get(str(cell["dataset"]), "")
    searched_on = exhibit.searched_on or dataset
    empty = {**dict.fromkeys(MEASURED, nan), "n_measured": 0, "evaluation": "", "scale": "", "note": ""}
    empty |= {"searched_on": searched_on}
    if group is None:
        return empty
    chosen = _trials(exhibit, cell, group, searched_on)
    # An architecture may be evaluated on another data set, but its size and its search are those of the first.
    if chosen.empty or (dataset != searched_on and cell["metric"] not in ACCURACIES):
        return empty
    if chosen["seed"].duplicated().any() or chosen["evaluation"].nunique() > 1:
        return empty | {"note": f"{len(chosen)} trials that differ in more than their seed: {short_scale(chosen)}"}
    # The stand-in also replaces the data set evaluated on where that is the one searched on.
    evaluated_on = group.searched(dataset) if dataset == searched_on else dataset
    metric = str(cell["metric"])
    values = metric_values(chosen, group.histories, metric, evaluated_on, space_of).dropna().to_numpy(dtype=np.float64)
    return empty | _summary(cell, chosen, values, group) if len(values) else empty


def _trials(exhibit: Exhibit, cell: dict[Any, Any], group: ScaleGroup, searched_on: str) -> pd.DataFrame:
    """The records that fill the cell; none where its row names no method or its data set cannot be searched on."""
    row = exhibit.rows.get(str(cell["label"]))
    method, settings = (row.method, row.settings) if row else (str(cell["method"]), {})
    if not method or not searched_on:
        return group.records.iloc[:0]
    return group.select(exhibit, method, settings, str(cell["space"]), searched_on)


def _summary(cell: dict[Any, Any], chosen: pd.DataFrame, values: Values, group: ScaleGroup) -> dict[str, Any]:
    metric, evaluation = str(cell["metric"]), str(chosen["evaluation"].iloc[0])
    found = summary_of(values, metric_limits(metric))
    comparable = group.comparable(evaluation, metric) and not group.stand_in
    return {
        "measured": found["mean"],
        "std": found["std"],
        "n_measured": found["n"],
        "low": found["low"],
        "high": found["high"],
        "best": found["max"] if METRICS[metric].better > 0 else found["min"],
        "evaluation": evaluation,
        "scale": short_scale(chosen),
        "difference": found["mean"] - cell["number"] if comparable else nan,
    }
