"""The values of a user's CSV: their unit, their direction (which way is better), what pairs, and doubtful entries.

Each is declared in the file or on the command line, or assumed and stated (`reports.sentences.declared_sentences`), or
asked for.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.statistics.values.direction import HIGHER, LOWER, is_share, known, told
from reports.statistics.values.frame import COLUMNS, FRACTION, LIMITS, NOTHING, PERCENT, UNSTATED, checked
from reports.statistics.values.names import alike, stripped
from spaces.common.errors import InputError, unknown

NAMES = ("method", "space", "dataset", "convention")
VALUE = "value"
DECLARED = "what --paired declares"
LARGE = 10.0
"""If one value is above it, another of at most 1 in the same column is probably a fraction, not a percentage."""

BY_OPTION, BY_COLUMN, BY_NAME, BY_CONVENTION, ASSUMED = "option", "column", "name", "convention", "assumed"
"""What determines the direction: `--better`, a column "better", the metric's name, the convention, or nothing."""


@dataclass(frozen=True)
class MixedScales:
    """Fractions and percentages in one convention: how many of each, and the first of each with its line."""

    noun: str
    fraction: "pd.Series[Any]"
    percentage: "pd.Series[Any]"
    fractions: int
    percentages: int


@dataclass(frozen=True)
class Declared:
    """Checked `values`, what determined how they are read, and what may be wrong with them.

    - `direction_by`: `BY_OPTION`, …; `column`: the name of the value's column in the file; `paired`: as asked for
    - `trimmed`: the (line, column, text) of names with blanks around them
    - `alike`: (column, names) of names that look alike; `scales`: fractions beside percentages
    - `percent_signs`: how many values have a percent sign

    `reports.sentences.declared_sentences` puts all of it into words.
    """

    values: pd.DataFrame
    direction_by: str
    column: str
    paired: bool | None
    trimmed: list[tuple[Any, str, str]]
    alike: list[tuple[str, list[str]]]
    scales: list[MixedScales]
    percent_signs: int


def declare(
    rows: pd.DataFrame, source: str, metric: str | None = None, better: str | None = None, paired: bool | None = None
) -> Declared:
    """The checked values of the `rows` of a file, all text.

    Column names are read without case. The value is in the column `metric`, else in "value", else in the one column
    whose name is a metric's. `better` ("higher" or "lower") and `paired` override the rows. If nothing determines them,
    higher is better for a column "value", and seeds are labels, so nothing is paired.

    Raises `InputError` as `reports.statistics.values.frame.checked`, for two columns of one name, and if it is unclear
    which column is the value or which way it is better.
    """
    frame, column = _renamed(rows, source, metric)
    if VALUE not in frame or frame.empty:
        checked(frame, source)  # raises the error that names what is missing
    trimmed = _trimmed(frame)
    cells = frame[VALUE].str.strip()
    signed = cells.str.endswith("%")
    direction, by = _direction(frame, source, column, better)
    frame = frame.assign(value=cells.str.removesuffix("%"), better=direction)
    if paired is not None:
        frame["shared"] = DECLARED if paired else NOTHING
    values = checked(frame, source)
    if "unit" not in frame:
        for _, group in values.groupby("better"):
            values.loc[group.index, "unit"] = PERCENT if signed.all() else _unit(group, column)
    scales = [] if signed.all() or _other(values, column) else _scales(values, frame.index)
    return Declared(values, by, column, paired, trimmed, look_alikes(values), scales, int(signed.sum()))


def pair(values: pd.DataFrame, choice: bool | None) -> pd.DataFrame:
    """Checked values, all paired by seed if `choice` is true, none if it is false, as they are for `None`."""
    return values if choice is None else values.assign(shared=DECLARED if choice else NOTHING)


def look_alikes(values: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """(column, names) of names in checked values that differ only in case, blanks, hyphens or the like."""
    return [(column, group) for column in NAMES for group in alike(values[column].unique())]


def _renamed(rows: pd.DataFrame, source: str, metric: str | None) -> tuple[pd.DataFrame, str]:
    """`rows` with the columns renamed as `COLUMNS`, and the name of the value's column in the file."""
    names_of = {str(column): stripped(str(column)).casefold() for column in rows.columns}
    column = _value_column(names_of, source, metric)
    # If `metric` names another column, "value" is a different number.
    names = {name: text for name, text in names_of.items() if text in COLUMNS and text != VALUE}
    names |= {column: VALUE} if column else {}
    for text in names.values():
        if list(names.values()).count(text) > 1:
            raise InputError(f"{source}: column {text!r} occurs twice: rename or remove one")
    return rows.loc[:, list(names)].rename(columns=names), VALUE if column is None else names_of[column]


def _value_column(names_of: dict[str, str], source: str, metric: str | None) -> str | None:
    if metric is not None:
        chosen = [column for column, name in names_of.items() if name == stripped(metric).casefold()]
        if not chosen:
            raise unknown(
                "metric", metric, [column for column, name in names_of.items() if name not in COLUMNS or name == VALUE]
            )
        return chosen[0]
    given = [column for column, name in names_of.items() if name == VALUE]
    others = [column for column, name in names_of.items() if name not in COLUMNS]
    # Quality comes before cost.
    named = given[:1] or [name for name in others if told(name)] or [name for name in others if known(name)]
    if len(named) > 1:
        raise InputError(f"{source}: columns {' and '.join(named)} may each be the value: say --metric {named[0]!r}")
    return named[0] if named else None


def _trimmed(frame: pd.DataFrame) -> list[tuple[Any, str, str]]:
    found: list[tuple[Any, str, str]] = []
    for column in NAMES:
        if column in frame:
            cells = frame[column].astype(str)
            changed = cells[cells.map(stripped) != cells]
            found += [(changed.index[place], column, cell) for place, cell in enumerate(changed)]
    return sorted(found)


def _direction(frame: pd.DataFrame, source: str, column: str, better: str | None) -> tuple[Any, str]:
    """Which way each value is better, and what determines it."""
    if better is not None:
        return better, BY_OPTION
    if "better" in frame:
        return frame["better"].map(lambda word: stripped(str(word)).casefold()), BY_COLUMN
    direction = known(column)
    if direction is not None:
        return direction, BY_NAME
    if column != VALUE:
        raise InputError(f"{source}: is {column!r} better {HIGHER} or {LOWER}? say --better {HIGHER} or {LOWER}")
    by_convention = frame["convention"].map(lambda text: told(str(text))) if "convention" in frame else None
    if by_convention is not None and by_convention.notna().any():
        return by_convention.fillna(HIGHER), BY_CONVENTION
    return HIGHER, ASSUMED


def _unit(values: pd.DataFrame, column: str) -> str:
    """The unit of the values, from their range: percentages or fractions, unless they are another quantity."""
    if _other(values, column):
        return UNSTATED
    return next((unit for unit in (FRACTION, PERCENT) if values["value"].between(*LIMITS[unit]).all()), UNSTATED)


def _other(values: pd.DataFrame, column: str) -> bool:
    """Whether the values are not shares (percentages or fractions). A column "value" is shares if higher is better."""
    if column == VALUE:
        named = [convention for convention in values["convention"].unique() if told(convention)]
        return not all(map(is_share, named)) if named else bool((values["better"] != HIGHER).any())
    return not is_share(column)


def _scales(values: pd.DataFrame, lines: "pd.Index[Any]") -> list[MixedScales]:
    """Fractions beside percentages in one convention: errors within a data set, accuracies anywhere."""
    lines_of = values.assign(line=list(lines))
    places = ["convention"] if (values["better"] == HIGHER).all() else ["convention", "space", "dataset"]
    found = []
    for _, group in lines_of.groupby(places, sort=True):
        small = group[(group["value"] > 0) & (group["value"] <= 1)]
        large = group[group["value"] > LARGE]
        if len(small) and len(large):
            noun = str(lines.name or "row")
            found.append(MixedScales(noun, small.iloc[0], large.iloc[0], len(small), len(large)))
    return found
