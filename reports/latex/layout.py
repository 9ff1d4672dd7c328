"""A table laid out for LaTeX's page, divided into parts where it is too large.

A table wider than the line would have to be scaled down. Instead its texts wrap and its headings stand on several
lines. What is still too wide is divided into parts one below the other, each with the columns that name a row; and a
part that is taller than a page is divided between rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from reports.latex.text_width import BASELINES, breakable_parts, broken, line_count, width
from reports.tables.tables import Table

LINE_WIDTH, PAGE_HEIGHT = 470.0, 590.0
"""Points: the line of A4 with margins of 20 mm, less a reserve for widths that are estimated too small; and the height
of a page without a caption."""

NORMAL_SIZE, SMALL_SIZE = 9, 8
"""Font sizes in points: of a table that fits the line, and of one that has to be laid out."""

SCALABLE = NORMAL_SIZE / SMALL_SIZE
"""A table may be this much wider than the line to be scaled down to it: to the small size, 8 points."""

GAPS = {NORMAL_SIZE: 12.0, SMALL_SIZE: 8.0}
"""Points between two columns, by font size."""

WRAPPED_WIDTH = 72.0
"""Points: a column with a longer text may wrap, and is at least this wide."""


@dataclass(frozen=True)
class TablePart:
    """Some columns and rows of a table, as one LaTeX table.

    `wrap_widths` holds the width in points of each column that wraps, 0 for the others. `headings` and `groups` are
    lists of lines. `contents` says in words which columns and rows the part has; it is empty for a whole table.
    """

    table: Table
    size: int
    wrap_widths: tuple[float, ...]
    headings: list[list[str]]
    groups: list[tuple[list[str], int]]
    contents: str


@dataclass(frozen=True)
class _Column:
    """The least width of a column, and its width if nothing wraps, in points."""

    least: float
    full: float
    wraps: bool


@dataclass(frozen=True)
class _ColumnSet:
    """The columns of a part: their positions in the table, their widths, and 0 or the width of each that wraps."""

    positions: list[int]
    widths: list[float]
    wrap_widths: list[float]
    size: int


def table_parts(table: Table) -> list[TablePart]:
    """The table in reading order: parts with columns from left to right, each divided into rows from the top."""
    cells = table.rows()
    headings = [column.heading for column in table.columns]
    widths = [max(width(text, NORMAL_SIZE) for text in column) for column in zip(headings, *cells, strict=True)]
    if _total(widths, NORMAL_SIZE) <= LINE_WIDTH * SCALABLE:
        whole = _ColumnSet([*range(len(widths))], widths, [0.0] * len(widths), NORMAL_SIZE)
        return _row_parts(table, cells, whole, lambda _: "")
    columns = [_column(heading, [row[at] for row in cells]) for at, heading in enumerate(headings)]
    keys = _key_count(table, cells)
    sets = [_column_set(table, columns, chosen) for chosen in _packed(table, columns, keys)]

    def contents(own: Table) -> str:
        new = dict.fromkeys(column.group or column.heading for column in own.columns[keys:])
        return ", ".join(new) if len(sets) > 1 else ""

    return [part for columns_of_part in sets for part in _row_parts(table, cells, columns_of_part, contents)]


def _column(heading: str, cells: Sequence[str]) -> _Column:
    longest = max((width(cell, SMALL_SIZE) for cell in cells), default=0.0)
    wraps = longest > WRAPPED_WIDTH
    parts = [width(part, SMALL_SIZE) for cell in cells for part in breakable_parts(cell)] if wraps else []
    least = max([WRAPPED_WIDTH, *parts] if wraps else [longest])
    heads = max(width(word, SMALL_SIZE) for word in heading.split() or [""])
    return _Column(max(least, heads), max(longest, heads), wraps)


def _key_count(table: Table, cells: Sequence[Sequence[str]]) -> int:
    """How many columns name a row: the fewest leading text columns that distinguish all rows, else one."""
    texts = next((at for at, column in enumerate(table.columns) if column.numeric), len(table.columns))
    for count in range(1, texts + 1):
        if len({tuple(row[:count]) for row in cells}) == len(cells):
            return count
    return 1


def _packed(table: Table, columns: Sequence[_Column], keys: int) -> list[list[int]]:
    """The positions of each part's columns: the key columns, and as many others as fit the line."""
    first = [*range(keys)]
    found = [list(first)]
    for at in range(keys, len(columns)):
        if len(found[-1]) > keys and _total(_least(table, columns, [*found[-1], at]), SMALL_SIZE) > LINE_WIDTH:
            found.append(list(first))
        found[-1].append(at)
    return found


def _column_set(table: Table, columns: Sequence[_Column], chosen: list[int]) -> _ColumnSet:
    own = [columns[at] for at in chosen]
    widths = _widened(own, _least(table, columns, chosen))
    wrap_widths = [
        wide if column.wraps and wide < column.full else 0.0 for column, wide in zip(own, widths, strict=True)
    ]
    return _ColumnSet(chosen, widths, wrap_widths, SMALL_SIZE)


def _least(table: Table, columns: Sequence[_Column], chosen: Sequence[int]) -> list[float]:
    """The least width of each column; as in TeX, the last column of a group is widened where its heading needs it."""
    widths, start = [columns[at].least for at in chosen], 0
    for name, span in _with_columns(table, chosen).groups():
        word = max((width(word, SMALL_SIZE) for word in name.split()), default=0.0)
        widths[start + span - 1] += max(0.0, word - _total(widths[start : start + span], SMALL_SIZE))
        start += span
    return widths


def _widened(columns: Sequence[_Column], least: Sequence[float]) -> list[float]:
    """Each column's width: the rest of the line is divided among the columns that wrap, up to their full width."""
    widths = list(least)
    while (left := LINE_WIDTH - _total(widths, SMALL_SIZE)) > 1:
        narrow = [at for at, column in enumerate(columns) if widths[at] < column.full]
        if not narrow:
            break
        for at in narrow:
            widths[at] = min(columns[at].full, widths[at] + left / len(narrow))
    return widths


def _with_columns(table: Table, positions: Sequence[int]) -> Table:
    return replace(table, columns=tuple(table.columns[at] for at in positions))


def _row_parts(
    table: Table, cells: Sequence[Sequence[str]], columns: _ColumnSet, contents: Callable[[Table], str]
) -> list[TablePart]:
    """The table's `columns`, divided between rows so that no part is taller than a page."""
    own, size = _with_columns(table, columns.positions), columns.size
    headings = [_lines(column.heading, wide, size) for column, wide in zip(own.columns, columns.widths, strict=True)]
    groups = _group_lines(own, columns)
    head = max(map(len, headings)) + max(len(lines) for lines, _ in groups)
    heights = [_height(row, columns) for row in cells]
    found = []
    for rows in _pages(heights, int(PAGE_HEIGHT / BASELINES[size]) - head):
        of_rows = "" if len(rows) == len(cells) else f"rows {rows[0] + 1} to {rows[-1] + 1} of {len(cells)}"
        words = "; ".join(part for part in (contents(own), of_rows) if part)
        part = replace(own, frame=table.frame.iloc[rows.start : rows.stop])
        found.append(TablePart(part, size, tuple(columns.wrap_widths), headings, groups, words))
    return found


def _lines(text: str, room: float, size: int) -> list[str]:
    """A heading in lines; at the normal size the table fits without breaking any."""
    return broken(text, room, size) if size == SMALL_SIZE else [text]


def _group_lines(table: Table, columns: _ColumnSet) -> list[tuple[list[str], int]]:
    """The groups of columns: the heading in lines, and the number of columns."""
    found, start = [], 0
    for name, span in table.groups():
        wide = _total(columns.widths[start : start + span], columns.size)
        found.append((_lines(name, wide, columns.size), span))
        start += span
    return found


def _height(row: Sequence[str], columns: _ColumnSet) -> int:
    """The number of lines of a row."""
    cells = zip(columns.positions, columns.wrap_widths, strict=True)
    return max(line_count(row[at], wide, columns.size) if wide else 1 for at, wide in cells)


def _pages(heights: Sequence[int], most: int) -> list[range]:
    """Consecutive rows with at most `most` lines together; an empty table is one empty range."""
    found, start, used = [], 0, 0
    for at, lines in enumerate(heights):
        if at > start and used + lines > most:
            found.append(range(start, at))
            start, used = at, 0
        used += lines
    return [*found, range(start, len(heights))]


def _total(widths: Sequence[float], size: int) -> float:
    """The width of columns with the gaps between them."""
    return sum(widths) + GAPS[size] * (len(widths) - 1)
