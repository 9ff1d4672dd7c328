"""How commands show the tables and frames of `reports`: in the terminal, and as JSON."""

import math
from typing import TYPE_CHECKING, Any

from suite.console import console

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.tables import Table


def rows(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of `frame` for JSON: plain numbers, and null where there is none."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A number of numpy's as Python's, and null for one that JSON has not."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(shown: "Table", headings: tuple[str, ...] = ()) -> None:
    """Print a table; `headings`, if any, select the columns, as a terminal is narrower than a page."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    picked = [index for index, column in enumerate(shown.columns) if not headings or column.heading in headings]
    printed = Table(
        title=Text(shown.caption), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for column in (shown.columns[index] for index in picked):
        # Numbers are never broken; names are, but keep a width in which they can be read.
        place: dict[str, Any] = {"justify": "right", "no_wrap": True} if column.numeric else {"min_width": 9}
        printed.add_column(Text(column.heading), overflow="fold", **place)
    for row in shown.rows():
        printed.add_row(*(Text(row[index]) for index in picked))
    console.print(printed)
