"""A table laid out for LaTeX's page, divided into parts where it is too large.

A table wider than the line would have to be scaled down. Instead its texts wrap and its headings stand on several
lines. What is still too wide is divided into parts one below the other, each with the columns that name a row; and a
part that is taller than a page is divided between rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reports.latex.text_width import BASELINES, breakable_parts, broken, line_count, width
from reports.tables.tables import Table

LINE_WIDTH, PAGE_HEIGHT = 470.0, 590.0
"""Points: the line of A4 with margins of 20 mm, with some room for what is measured too small; and a page's height,
without a caption."""

NORMAL_SIZE, SMALL_SIZE = 9, 8
"""Sizes in points: of a table that fits the line, and of one that has to be laid out."""

SCALABLE = 1.15
"""So much wider than the line a table may be to be scaled down to it: to 7.8 points."""

GAPS = {NORMAL_SIZE: 12.0, SMALL_SIZE: 8.0}
"""Points between two columns."""

WRAPPED_WIDTH = 72.0
"""Points: texts that are wider may wrap, and have so much room at least."""


@dataclass(frozen=True)
class TablePart:
    """Some columns and rows of a table. `room` is each column's width in points, where it wraps; 0 where it does not.

    `headings` and `groups` are in lines; `said` is what the piece holds, in words, empty for a whole table.
    """

    table: Table
    size: int
    room: tuple[float, ...]
    headings: list[list[str]]
    groups: list[tuple[list[str], int]]
    said: str


@dataclass(frozen=True)
class _Column:
    """How wide a column is at least, and how wide if nothing wraps, in points."""

    least: float
    full: float
    wraps: bool


ColumnSet = tuple[list[int], list[float], list[float]]
"""Positions of columns, their widths and, where they wrap, their room, else 0."""


def table_parts(table: Table) -> list[TablePart]:
    """The table in the order in which it is read: columns from left to right, and of each cut rows from the top."""
    cells = table.rows()
    headings = [column.heading for column in table.columns]
    across = list(zip(headings, *cells, strict=True))
    usual = [max(width(text, NORMAL_SIZE) for text in column) for column in across]
    if _total(usual, NORMAL_SIZE) <= LINE_WIDTH * SCALABLE:
        return _cut(table, cells, [([*range(len(usual))], usual, [0.0] * len(usual))], NORMAL_SIZE, 0)
    columns = [_column(heading, [row[at] for row in cells]) for at, heading in enumerate(headings)]
    keys = _keys(table, cells)
    parts = []
    for chosen in _packed(table, columns, keys):
        widths = _shared([columns[at] for at in chosen], _least(table, columns, chosen))
        wraps = [columns[at].wraps and wide < columns[at].full for at, wide in zip(chosen, widths, strict=True)]
        parts.append((chosen, widths, [wide if own else 0.0 for wide, own in zip(widths, wraps, strict=True)]))
    return _cut(table, cells, parts, SMALL_SIZE, keys)


def _column(heading: str, cells: Sequence[str]) -> _Column:
    longest = max((width(cell, SMALL_SIZE) for cell in cells), default=0.0)
    wraps = longest > WRAPPED_WIDTH
    parts = [width(part, SMALL_SIZE) for cell in cells for part in breakable_parts(cell)] if wraps else []
    least = max([WRAPPED_WIDTH, *parts] if wraps else [longest])
    heads = max(width(word, SMALL_SIZE) for word in heading.split() or [""])
    return _Column(max(least, heads), max(longest, heads), wraps)


def _keys(table: Table, cells: Sequence[Sequence[str]]) -> int:
    """How many columns name a row: the fewest first ones without numbers that tell rows apart, if any do."""
    texts = next((at for at, column in enumerate(table.columns) if column.numeric), len(table.columns))
    for count in range(1, texts + 1):
        if len({tuple(row[:count]) for row in cells}) == len(cells):
            return count
    return 1


def _packed(table: Table, columns: Sequence[_Column], keys: int) -> list[list[int]]:
    """The columns of each piece, as many as fit the line."""
    first = [*range(keys)]
    found = [list(first)]
    for at in range(keys, len(columns)):
        if len(found[-1]) > keys and _total(_least(table, columns, [*found[-1], at]), SMALL_SIZE) > LINE_WIDTH:
            found.append(list(first))
        found[-1].append(at)
    return found


def _least(table: Table, columns: Sequence[_Column], chosen: Sequence[int]) -> list[float]:
    """How wide each column is at least; as in TeX, a group's last one takes what its heading needs beyond them all."""
    widths, start = [columns[at].least for at in chosen], 0
    for name, span in _chosen(table, chosen).groups():
        word = max((width(word, SMALL_SIZE) for word in name.split()), default=0.0)
        widths[start + span - 1] += max(0.0, word - _total(widths[start : start + span], SMALL_SIZE))
        start += span
    return widths


def _shared(columns: Sequence[_Column], least: Sequence[float]) -> list[float]:
    """Each column's width: what the line has left is shared out among those that wrap, none gets more than it needs."""
    widths = list(least)
    while (left := LINE_WIDTH - _total(widths, SMALL_SIZE)) > 1:
        wanting = [at for at, column in enumerate(columns) if widths[at] < column.full]
        if not wanting:
            break
        for at in wanting:
            widths[at] = min(columns[at].full, widths[at] + left / len(wanting))
    return widths


def _chosen(table: Table, columns: Sequence[int]) -> Table:
    return replace(table, columns=tuple(table.columns[at] for at in columns))


def _cut(
    table: Table, cells: Sequence[Sequence[str]], parts: Sequence[ColumnSet], size: int, keys: int
) -> list[TablePart]:
    """The table_parts of `parts`, no one taller than a page; `keys` columns are repeated in each."""
    found = []
    for chosen, widths, room in parts:
        own = _chosen(table, chosen)
        wrapped = size == SMALL_SIZE
        headings = [
            broken(column.heading, wide, size) if wrapped else [column.heading]
            for column, wide in zip(own.columns, widths, strict=True)
        ]
        groups, start = [], 0
        for name, span in own.groups():
            wide = _total(widths[start : start + span], size)
            groups.append((broken(name, wide, size) if wrapped else [name], span))
            start += span
        head = max(map(len, headings)) + max(len(lines) for lines, _ in groups)
        heights = [
            max(line_count(row[at], wide, size) if wide else 1 for at, wide in zip(chosen, room, strict=True))
            for row in cells
        ]
        for rows in _pages(heights, int(PAGE_HEIGHT / BASELINES[size]) - head):
            of_rows = "" if len(rows) == len(cells) else f"rows {rows[0] + 1} to {rows[-1] + 1} of {len(cells)}"
            new = dict.fromkeys(column.group or column.heading for column in own.columns[keys:])
            of_columns = ", ".join(new) if len(parts) > 1 else ""
            said = "; ".join(part for part in (of_columns, of_rows) if part)
            frame = table.frame.iloc[rows.start : rows.stop]
            found.append(TablePart(replace(own, frame=frame), size, tuple(room), headings, groups, said))
    return found


def _pages(heights: Sequence[int], most: int) -> list[range]:
    """Rows in stretches of at most `most` lines; an empty table is one stretch."""
    found, start, used = [], 0, 0
    for at, lines in enumerate(heights):
        if at > start and used + lines > most:
            found.append(range(start, at))
            start, used = at, 0
        used += lines
    return [*found, range(start, len(heights))]


def _total(widths: Sequence[float], size: int) -> float:
    return sum(widths) + GAPS[size] * (len(widths) - 1)
