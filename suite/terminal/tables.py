"""The tables and frames of `reports` in the terminal and as JSON."""

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
"""The least number of characters of a name in one line."""


def rows(frame: "DataFrame") -> list[dict[str, Any]]:
    """The rows of `frame` for JSON; a number that is not finite becomes null."""
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A numpy number as Python's, and None for one that is not finite, which JSON lacks."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(shown: "Table", headings: tuple[str, ...] = ()) -> None:
    """Print a table; `headings`, if given, select the columns, as a terminal is narrower than a page.

    No cell is cut. In a terminal that is too narrow, each row becomes a paragraph; in a pipe or a file, lines are as
    long as needed.
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
    """A table of `cells`, and the least width in which no cell is cut."""
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
        # Numbers and words of headings are not broken. Names are, but no narrower than is readable.
        width = max(word, longest if column.numeric else min(longest, READABLE))
        words = textwrap.wrap(column.heading, max(word, longest), break_on_hyphens=False)
        place: dict[str, Any] = {"justify": "right", "no_wrap": True} if column.numeric else {}
        printed.add_column(Text("\n".join(words)), overflow="fold", min_width=width, **place)
        least += width + 2
    for row in cells:
        printed.add_row(*map(Text, row))
    return printed, least
