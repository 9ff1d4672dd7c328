"""What is known of a stranger's values before anything is computed: names, unit, which way is better, what pairs.

Each is declared, or what was taken for it is said (`Declared.said`), or asked for.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from reports.sentences import declared_sentences as words
from reports.statistics.direction import HIGHER, LOWER, is_share, known, told
from reports.statistics.names import alike, stripped
from reports.statistics.values import COLUMNS, FRACTION, LIMITS, NOTHING, PERCENT, UNSTATED, checked
from spaces.common.errors import InputError, unknown

NAMES = ("method", "space", "dataset", "convention")
VALUE = "value"
DECLARED = "what --paired declares"
LARGE = 10.0
"""Beside a value above this one, a value of at most 1 is rather a fraction than a percentage."""


@dataclass(frozen=True)
class Declared:
    """Checked `values`; in words, what they are taken for (`said`), and `warnings` of what may be amiss."""

    values: pd.DataFrame
    said: list[str]
    warnings: list[str]


def declare(
    rows: pd.DataFrame, source: str, metric: str | None = None, better: str | None = None, paired: bool | None = None
) -> Declared:
    """The `rows` of a file, all text as it stands there, as values.

    Columns go by their names without case. The value stands in the column `metric`, else in "value", else in the one
    column that is named as a metric is. `better` ("higher", "lower") and `paired` go before what the rows say. Where
    nothing says so, "value" is better higher, and seeds are labels: nothing is paired.

    Raises `InputError` as `reports.statistics.values.checked`, for two columns of one name, and where it cannot be
    told which column is the value, or which way it is better.
    """
    frame, column = _renamed(rows, source, metric)
    if VALUE not in frame or frame.empty:
        checked(frame, source)  # which says what is missing
    trimmed = _trimmed(frame)
    cells = frame[VALUE].str.strip()
    signed = cells.str.endswith("%")
    direction, why = _direction(frame, source, column, better)
    frame = frame.assign(value=cells.str.removesuffix("%"), better=direction)
    if paired is not None:
        frame["shared"] = DECLARED if paired else NOTHING
    values = checked(frame, source)
    if "unit" not in frame:
        for _, group in values.groupby("better"):
            values.loc[group.index, "unit"] = PERCENT if signed.all() else _unit(group, column)
    said = [*trimmed, *words.directions(values, why), *words.units(values), *words.pairing(values, paired)]
    found = look_alikes(values)
    if not (signed.all() or _other(values, column)):
        found += _scales(values, frame.index)
    if signed.any() and not signed.all():
        found.append(words.half_signed(int(signed.sum()), len(signed)))
    return Declared(values, said, found)


def pair(values: pd.DataFrame, choice: bool | None) -> pd.DataFrame:
    """Checked values, all of them paired by seed or none where `choice` says so."""
    return values if choice is None else values.assign(shared=DECLARED if choice else NOTHING)


def look_alikes(values: pd.DataFrame) -> list[str]:
    """Warnings of names in checked values that differ only in how they are written."""
    return [words.alike(column, group) for column in NAMES for group in alike(values[column].unique())]


def _renamed(rows: pd.DataFrame, source: str, metric: str | None) -> tuple[pd.DataFrame, str]:
    """`rows` with the columns of values by their names here, and the name that the value's column has in the file."""
    plain = {str(column): stripped(str(column)).casefold() for column in rows.columns}
    column = _value_column(plain, source, metric)
    # A column "value" beside the one that was asked for is another number.
    names = {name: text for name, text in plain.items() if text in COLUMNS and text != VALUE}
    names |= {column: VALUE} if column else {}
    for text in names.values():
        if list(names.values()).count(text) > 1:
            raise InputError(f"{source}: column {text!r} stands there twice: rename or remove one")
    return rows.loc[:, list(names)].rename(columns=names), VALUE if column is None else plain[column]


def _value_column(plain: dict[str, str], source: str, metric: str | None) -> str | None:
    if metric is not None:
        chosen = [column for column, name in plain.items() if name == stripped(metric).casefold()]
        if not chosen:
            raise unknown(
                "metric", metric, [column for column, name in plain.items() if name not in COLUMNS or name == VALUE]
            )
        return chosen[0]
    given = [column for column, name in plain.items() if name == VALUE]
    others = [column for column, name in plain.items() if name not in COLUMNS]
    # How good a method is goes before what it costs.
    named = given[:1] or [name for name in others if told(name)] or [name for name in others if known(name)]
    if len(named) > 1:
        raise InputError(f"{source}: columns {' and '.join(named)} may all be the value: say --metric {named[0]!r}")
    return named[0] if named else None


def _trimmed(frame: pd.DataFrame) -> list[str]:
    found = []
    for column in NAMES:
        if column in frame:
            cells = frame[column].astype(str)
            changed = cells[cells.map(stripped) != cells]
            found += [(changed.index[place], column, cell) for place, cell in enumerate(changed)]
    return [words.trimmed(sorted(found))] if found else []


def _direction(frame: pd.DataFrame, source: str, column: str, better: str | None) -> tuple[Any, str]:
    """Which way each value is better, and what says so."""
    if better is not None:
        return better, words.BY_OPTION
    if "better" in frame:
        return frame["better"].map(lambda word: stripped(str(word)).casefold()), words.BY_COLUMN
    direction = known(column)
    if direction is not None:
        return direction, words.by_name(column)
    if column != VALUE:
        raise InputError(f"{source}: is {column!r} better {HIGHER} or {LOWER}? say --better {HIGHER} or {LOWER}")
    by_convention = frame["convention"].map(lambda text: told(str(text))) if "convention" in frame else None
    if by_convention is not None and by_convention.notna().any():
        return by_convention.fillna(HIGHER), words.BY_CONVENTION
    return HIGHER, words.ASSUMED


def _unit(values: pd.DataFrame, column: str) -> str:
    """The unit that the values are taken for: of accuracies and errors, and of what nobody says is anything else."""
    if _other(values, column):
        return UNSTATED
    return next((unit for unit in (FRACTION, PERCENT) if values["value"].between(*LIMITS[unit]).all()), UNSTATED)


def _other(values: pd.DataFrame, column: str) -> bool:
    """Are the values something else than shares? A column "value" is taken for shares if higher is better."""
    if column == VALUE:
        named = [convention for convention in values["convention"].unique() if told(convention)]
        return not all(map(is_share, named)) if named else bool((values["better"] != HIGHER).any())
    return not is_share(column)


def _scales(values: pd.DataFrame, lines: "pd.Index[Any]") -> list[str]:
    """A warning for fractions beside percentages in one convention: errors within a data set, accuracies anywhere."""
    lines_of = values.assign(line=list(lines))
    places = ["convention"] if (values["better"] == HIGHER).all() else ["convention", "space", "dataset"]
    found = []
    for _, group in lines_of.groupby(places, sort=True):
        small = group[(group["value"] > 0) & (group["value"] <= 1)]
        large = group[group["value"] > LARGE]
        if len(small) and len(large):
            found.append(words.scales(str(lines.name or "row"), small.iloc[0], large.iloc[0], len(small), len(large)))
    return found
