"""An exhibit's filled cells as a table in the paper's layout: published and measured in one row, with scale and n.

Published and measured columns form separate groups. A difference is shown only where `reports.exhibits.exhibit_data`
says that the two numbers are comparable.
"""

from collections.abc import Callable
from functools import partial
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_data import FULL, Part, brief
from reports.exhibits.metrics import STAND_IN, limits, named
from reports.published.published_numbers import METRICS, PAPERS
from reports.sentences.numbers import signed, two_decimals
from reports.statistics import intervals, significance
from reports.tables.tables import NOTHING, Column, Row, Table

SMALL = 0.1
"""Below it a number is written with two significant digits instead of two decimals."""

PUBLISHED, UNMEASURED, DIFFERENCE = "Published", "Published, not measured here", "Measured − published"


def table(exhibit: Exhibit, cells: pd.DataFrame, part: Part | None) -> Table:
    """The `cells` of `reports.exhibits.exhibit_data.filled`: a row a method or, in a grid, a column a method.

    Published columns that have a measured counterpart stand beside it; all other published columns come last.
    """
    grid = exhibit.layout == "grid"
    cells = cells.assign(_heading=_headings(cells))
    rows, columns = ("_heading", "label") if grid else ("label", "_heading")
    names = list(dict.fromkeys(cells[columns]))
    frame = pd.DataFrame([_row(group, rows, columns) for _, group in cells.groupby(rows, sort=False)])
    filled = [name for name in names if f"n {name}" in frame and frame[f"n {name}"].gt(0).any()]
    differing = [name for name in filled if frame[f"difference {name}"].notna().any()]
    shown = [
        Column("Case" if grid else "Method", lambda row: str(row["row"]), numeric=False),
        *(Column(name, partial(_printed, name), PUBLISHED) for name in filled or names),
        *(_measured_columns(part, filled, differing) if part is not None and filled else ()),
        Column("Published are", lambda row: str(row["convention"]), numeric=False),
        *(Column(name, partial(_printed, name), UNMEASURED) for name in names if filled and name not in filled),
    ]
    slug = f"{exhibit.slug}-{part.slug if part else 'published'}"
    return Table(frame, tuple(shown), _caption(exhibit, cells, part, differing), slug)


def _measured_columns(part: Part, filled: list[str], differing: list[str]) -> list[Column]:
    return [
        *(Column(name, partial(_measured, name), _group(part)) for name in filled),
        *(Column(name, partial(_difference, name), DIFFERENCE) for name in differing),
        Column("Seeds", lambda row: str(row["seeds"]) or NOTHING),
        Column("Scale", lambda row: str(row["scale"]) or NOTHING, numeric=False),
    ]


def evidence(exhibit: Exhibit, numbers: pd.DataFrame, part: Part) -> Table:
    """The values behind the verdicts (`numbers`, of `reports.exhibits.verdicts.compared`): a row a method, a column a
    metric. No cell of the exhibit shows them.
    """
    several = numbers["where"].nunique() > 1
    metrics = numbers["metric"].map(named)
    numbers = numbers.assign(_heading=metrics + " on " + numbers["where"] if several else metrics)
    rows: dict[str, Row] = {}
    for (method, heading), group in numbers.groupby(["method", "_heading"], sort=False):
        values = group["value"].to_numpy(dtype=np.float64)
        mean, low, high = intervals.of_mean(values, limits(str(group["metric"].iloc[0])))
        rows.setdefault(str(method), {"row": method, "scale": brief(_of(part, group))}).update(
            {
                f"measured {heading}": mean,
                f"std {heading}": significance.Summary.of(values).std,
                f"n {heading}": len(values),
                f"low {heading}": low,
                f"high {heading}": high,
                f"best {heading}": float("nan"),
            }
        )
    shown = [Column("Method", lambda row: str(row["row"]), numeric=False)]
    for heading in dict.fromkeys(numbers["_heading"]):
        shown += [Column(heading, partial(_measured, heading), _group(part)), Column("Seeds", partial(_seeds, heading))]
    shown.append(Column("Scale", lambda row: str(row["scale"]), numeric=False))
    caption = (
        f"{PAPERS[exhibit.paper]}, {exhibit.number}: the numbers by which its claims are judged. Measured: "
        f"{part.conditions}; mean ± standard deviation over seeds."
    )
    return Table(pd.DataFrame(rows.values()), tuple(shown), caption, f"{exhibit.slug}-{part.slug}-judged")


def _of(part: Part, numbers: pd.DataFrame) -> pd.DataFrame:
    return part.records[part.records["key"].isin(numbers["key"])]


def _group(part: Part) -> str:
    return f"Measured ({part.protocol}{f', {STAND_IN}' if part.stand_in else ''})"


def _seeds(name: str, row: Row) -> str:
    count = row[f"n {name}"]
    return NOTHING if _nan(count) else f"{count:.0f}"


def _headings(cells: pd.DataFrame) -> list[str]:
    """Each cell's heading, with what it is of where one heading stands for several columns."""
    several = cells.groupby("heading")["dataset"].transform("nunique") > 1
    return [
        f"{row['dataset']}, {row['heading']}" if twice else str(row["heading"])
        for twice, row in zip(several, cells.to_dict("records"), strict=True)
    ]


def _row(group: pd.DataFrame, rows: str, columns: str) -> Row:
    cells = group.to_dict("records")
    found: Row = {"row": str(group[rows].iloc[0])}
    for cell in cells:
        found |= _numbers(cell, str(cell[columns]))
    seeds = sorted({int(n) for n in group["n_measured"] if n})
    found["convention"] = _conventions([cell for cell in cells if METRICS[cell["metric"]].better] or cells)
    found["seeds"] = "–".join(str(n) for n in dict.fromkeys((seeds[0], seeds[-1]))) if seeds else ""
    found["scale"] = "; ".join(dict.fromkeys(scale for scale in group["scale"] if scale))
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
    return two_decimals if abs(value) >= SMALL or not value else lambda number: f"{number:.2g}"


def _nan(value: Any) -> bool:
    return isinstance(value, float) and isnan(value)


def _caption(exhibit: Exhibit, cells: pd.DataFrame, part: Part | None, differing: list[str]) -> str:
    words = f"{PAPERS[exhibit.paper]}, {exhibit.number}: {exhibit.title}."
    if part is None:
        return f"{words} As published; nothing was measured for it."
    words += f" Measured: {part.conditions}; mean ± standard deviation over seeds."
    if "search cost" in set(cells.loc[cells["n_measured"] > 0, "metric"]):
        words += " Search cost measured is in days of that device."
    if not differing:
        words += " The scales differ, so no difference is told."
    elif part.protocol != FULL:
        words += " The searches were reduced as said; what they found is looked up in the same table as the paper's."
    return words
