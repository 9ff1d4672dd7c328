"""An exhibit's cells as a table in the paper's layout: published and measured in one row, with scale and n.

Published and measured columns form separate groups. A difference is shown only where the two numbers are comparable
(`ScaleGroup.comparable`).
"""

from collections.abc import Callable
from functools import partial
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.metrics import STAND_IN, metric_limits, named
from reports.exhibits.scale_groups import FULL, ScaleGroup, short_scale
from reports.published.published_numbers import METRICS, PAPERS
from reports.sentences.numbers import signed, two_decimals
from reports.statistics import intervals, significance
from reports.tables.tables import NOTHING, Column, Row, Table

TWO_DIGITS_BELOW = 0.1
"""Numbers below it are written with two significant digits, others with two decimals."""

PUBLISHED, PUBLISHED_ONLY = "Published", "Published, not measured here"
MEASURED_MINUS_PUBLISHED = "Measured − published"


def exhibit_table(exhibit: Exhibit, cells: pd.DataFrame, group: ScaleGroup | None) -> Table:
    """The `cells` of `reports.exhibits.measured_cells` in the paper's layout.

    A row is a method or, in a grid, a case, with a column for each method. Published columns that were measured come
    first, beside the measured ones; all other published columns come last.
    """
    grid = exhibit.layout == "grid"
    cells = cells.assign(_heading=_headings(cells))
    rows, columns = ("_heading", "label") if grid else ("label", "_heading")
    names = list(dict.fromkeys(cells[columns]))
    frame = pd.DataFrame([_row(of_row, rows, columns) for _, of_row in cells.groupby(rows, sort=False)])
    measured = _measured_names(frame, names) if group is not None else []
    compared = [name for name in measured if frame[f"difference {name}"].notna().any()]
    shown = [
        Column("Case" if grid else "Method", lambda row: str(row["row"]), numeric=False),
        *_published_columns(measured or names, PUBLISHED),
        *(_measured_columns(group, measured, compared) if group and measured else ()),
        Column("Published are", lambda row: str(row["convention"]), numeric=False),
    ]
    if measured:
        shown += _published_columns([name for name in names if name not in measured], PUBLISHED_ONLY)
    slug = f"{exhibit.slug}-{group.slug if group else 'published'}"
    return Table(frame, tuple(shown), _caption(exhibit, cells, group, compared), slug)


def _measured_names(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """The published columns of which at least one cell was measured."""
    return [name for name in names if f"n {name}" in frame and frame[f"n {name}"].gt(0).any()]


def _published_columns(names: list[str], heading: str) -> list[Column]:
    return [Column(name, partial(_printed, name), heading) for name in names]


def _measured_columns(group: ScaleGroup, measured: list[str], compared: list[str]) -> list[Column]:
    return [
        *(Column(name, partial(_measured, name), _measured_heading(group)) for name in measured),
        *(Column(name, partial(_difference, name), MEASURED_MINUS_PUBLISHED) for name in compared),
        Column("Seeds", lambda row: str(row["seeds"]) or NOTHING),
        Column("Scale", lambda row: str(row["scale"]) or NOTHING, numeric=False),
    ]


def claim_table(exhibit: Exhibit, values: pd.DataFrame, group: ScaleGroup) -> Table:
    """The values behind the verdicts, for an exhibit whose cells do not show them: a row a method, a column a metric.

    `values` are those of `reports.exhibits.claim_values.compared_values`.
    """
    metrics = values["metric"].map(named)
    several = values["where"].nunique() > 1
    values = values.assign(_heading=metrics + " on " + values["where"] if several else metrics)
    rows: dict[str, Row] = {}
    for (method, heading), own in values.groupby(["method", "_heading"], sort=False):
        scale = short_scale(group.records[group.records["key"].isin(own["key"])])
        rows.setdefault(str(method), {"row": method, "scale": scale}).update(_value_summary(own, str(heading)))
    shown = [Column("Method", lambda row: str(row["row"]), numeric=False)]
    for heading in dict.fromkeys(values["_heading"]):
        shown.append(Column(heading, partial(_measured, heading), _measured_heading(group)))
        shown.append(Column("Seeds", partial(_seeds, heading)))
    shown.append(Column("Scale", lambda row: str(row["scale"]), numeric=False))
    caption = (
        f"{PAPERS[exhibit.paper]}, {exhibit.number}: the numbers by which its claims are judged. Measured: "
        f"{group.conditions}; mean ± standard deviation over seeds."
    )
    return Table(pd.DataFrame(rows.values()), tuple(shown), caption, f"{exhibit.slug}-{group.slug}-judged")


def _value_summary(own: pd.DataFrame, heading: str) -> Row:
    values = own["value"].to_numpy(dtype=np.float64)
    mean, low, high = intervals.of_mean(values, metric_limits(str(own["metric"].iloc[0])))
    return {
        f"measured {heading}": mean,
        f"std {heading}": significance.Summary.of(values).std,
        f"n {heading}": len(values),
        f"low {heading}": low,
        f"high {heading}": high,
        f"best {heading}": float("nan"),
    }


def _measured_heading(group: ScaleGroup) -> str:
    return f"Measured ({group.protocol}{f', {STAND_IN}' if group.stand_in else ''})"


def _seeds(name: str, row: Row) -> str:
    count = row[f"n {name}"]
    return NOTHING if _nan(count) else f"{count:.0f}"


def _headings(cells: pd.DataFrame) -> list[str]:
    """Each cell's heading, preceded by its data set where one heading stands for several columns."""
    several = cells.groupby("heading")["dataset"].transform("nunique") > 1
    return [
        f"{row['dataset']}, {row['heading']}" if twice else str(row["heading"])
        for twice, row in zip(several, cells.to_dict("records"), strict=True)
    ]


def _row(of_row: pd.DataFrame, rows: str, columns: str) -> Row:
    cells = of_row.to_dict("records")
    found: Row = {"row": str(of_row[rows].iloc[0])}
    for cell in cells:
        found |= _numbers(cell, str(cell[columns]))
    seeds = sorted({int(n) for n in of_row["n_measured"] if n})
    found["convention"] = _conventions([cell for cell in cells if METRICS[cell["metric"]].better] or cells)
    found["seeds"] = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1]))) if seeds else ""
    found["scale"] = "; ".join(dict.fromkeys(scale for scale in of_row["scale"] if scale))
    return found


def _numbers(cell: dict[Any, Any], name: str) -> Row:
    return {
        f"published {name}": cell["printed"] or "",
        f"measured {name}": cell["measured"],
        f"std {name}": cell["std"],
        f"n {name}": cell["n_measured"],
        f"low {name}": cell["low"],
        f"high {name}": cell["high"],
        f"best {name}": cell["best"] if cell["convention"] == "best of searches" else float("nan"),
        f"difference {name}": cell["difference"],
        f"note {name}": cell["note"],
    }


def _conventions(cells: list[dict[Any, Any]]) -> str:
    """What the published numbers of a row are, each convention once."""
    words = (f"{cell['convention']}{_count(cell['n'])}" for cell in cells)
    return "; ".join(dict.fromkeys(words))


def _count(n: float) -> str:
    return "" if pd.isna(n) else f", n = {int(n)}"


def _printed(name: str, row: Row) -> str:
    value = row.get(f"published {name}")
    return NOTHING if value is None or value == "" or _nan(value) else str(value)


def _measured(name: str, row: Row) -> str:
    value = row.get(f"measured {name}")
    if value is None or _nan(value):
        note = row.get(f"note {name}")  # NaN where the row has no such column
        return f"not pooled ({note})" if isinstance(note, str) and note else NOTHING
    write = _writer(value)
    spread = row[f"std {name}"]
    best = row[f"best {name}"]
    text = f"{write(value)} ± {NOTHING if _nan(spread) else write(spread)}"
    return text if _nan(best) else f"{text} (best {write(best)})"


def _difference(name: str, row: Row) -> str:
    value = row.get(f"difference {name}")
    return NOTHING if value is None or _nan(value) else signed(value)


def _writer(value: float) -> Callable[[float], str]:
    return two_decimals if abs(value) >= TWO_DIGITS_BELOW or not value else lambda number: f"{number:.2g}"


def _nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


def _caption(exhibit: Exhibit, cells: pd.DataFrame, group: ScaleGroup | None, compared: list[str]) -> str:
    words = f"{PAPERS[exhibit.paper]}, {exhibit.number}: {exhibit.title}."
    if group is None:
        return f"{words} As published; nothing was measured for it."
    words += f" Measured: {group.conditions}; mean ± standard deviation over seeds."
    if "search cost" in set(cells.loc[cells["n_measured"] > 0, "metric"]):
        words += " The measured search cost is in days of that device."
    if not compared:
        words += " The scales differ, so no difference is shown."
    elif group.protocol != FULL:
        words += (
            " The searches were reduced to that scale; the accuracies of the architectures that they found come from "
            "the same table as the paper's."
        )
    return words
