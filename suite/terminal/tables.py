"""How commands show the tables and frames of `reports`: in the terminal, and as JSON."""

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from suite.terminal.console import console

if TYPE_CHECKING:
    from pandas import DataFrame
    from rich.table import Table as RichTable

    from reports.tables.tables import Column, Table

READABLE = 9
"""Characters of a name that stand in a line at least."""


def rows(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of `frame` for JSON: plain numbers, and null where there is none."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A number of numpy's as Python's, and null for one that JSON has not."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(shown: "Table", headings: tuple[str, ...] = ()) -> None:
    """Print a table; `headings`, if any, select the columns, as a terminal is narrower than a page.

    Nothing of them is cut: where the terminal is narrower still, a row becomes a paragraph; a pipe or a file, which has
    no edge, gets lines as long as they have to be.
    """
    from rich.console import Console
    from rich.text import Text

    picked = [index for index, column in enumerate(shown.columns) if not headings or column.heading in headings]
    columns = [shown.columns[index] for index in picked]
    cells = [[row[index] for index in picked] for row in shown.rows()]
    printed, width = _grid(shown.caption, columns, cells)
    if width <= console.width:
        console.print(printed)
    elif console.is_terminal:
        console.print(Text(shown.caption))
        for row in cells:
            pairs = zip(columns, row, strict=True)
            console.print(Text("; ".join(f"{column.heading} {text}" for column, text in pairs)), end="\n\n")
    else:
        Console(file=console.file, width=width).print(printed)


def _grid(caption: str, columns: "Sequence[Column]", cells: list[list[str]]) -> "tuple[RichTable, int]":
    """A table of `cells`, and the width below which it would be cut."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    printed = Table(
        title=Text(caption), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    least = 0
    for number, column in enumerate(columns):
        longest = max([len(row[number]) for row in cells], default=0)
        word = max(map(len, column.heading.split()))
        # Numbers and headings' words are never broken; names are, but keep a width in which they can be read.
        width = max(word, longest if column.numeric else min(longest, READABLE))
        words = textwrap.wrap(column.heading, max(word, longest), break_on_hyphens=False)
        place: dict[str, Any] = {"justify": "right", "no_wrap": True} if column.numeric else {}
        printed.add_column(Text("\n".join(words)), overflow="fold", min_width=width, **place)
        least += width + 2
    for row in cells:
        printed.add_row(*map(Text, row))
    return printed, least
