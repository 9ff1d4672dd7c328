"""How a user's values are read, and what may be wrong with them, in words."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.statistics.values import declared
from reports.statistics.values.declared import Declared, MixedScales
from reports.statistics.values.direction import HIGHER, LOWER
from reports.statistics.values.frame import LIMITS, NOTHING, place
from spaces.common.plural import counted


def said(found: Declared) -> list[str]:
    """How the values are read: names, direction, unit, pairing."""
    trimmed = [_trimmed(found.trimmed)] if found.trimmed else []
    determined_by = {
        declared.BY_OPTION: BY_OPTION,
        declared.BY_COLUMN: "by the column 'better'",
        declared.BY_NAME: by_name(found.column),
        declared.BY_CONVENTION: "by the convention",
        declared.ASSUMED: f"assumed for a column 'value'; --better {LOWER} changes it",
    }[found.direction_by]
    return [
        *trimmed,
        *directions(found.values, determined_by),
        *_units(found.values),
        *pairing(found.values, found.paired),
    ]


def warnings(found: Declared) -> list[str]:
    """What may be wrong with the values: look-alike names, mixed scales, percent signs on some values only."""
    signed, count = found.percent_signs, len(found.values)
    half = [f"{signed} of {counted(count, 'value')} have a percent sign: all are read as one unit"]
    return [
        *look_alikes(found.alike),
        *map(_scales, found.scales),
        *(half if 0 < signed < count else []),
    ]


BY_OPTION = "by --better"


def by_name(column: str) -> str:
    """The direction is known from the name of the metric, `column`."""
    return f"the metric is {column!r}"


def directions(values: pd.DataFrame, why: str) -> list[str]:
    """Which way the values are better, by space and data set if that differs, and what determines it, `why`."""
    sides = {}
    for better, group in values.groupby("better", sort=True):
        places = group[["space", "dataset"]].drop_duplicates().sort_values(["space", "dataset"])
        sides[str(better)] = ", ".join(place(*names) for names in places.itertuples(index=False))
    if len(sides) == 1:
        return [f"{next(iter(sides)).capitalize()} is better: {why}."]
    return [f"{HIGHER.capitalize()} is better on {sides[HIGHER]}, {LOWER} on {sides[LOWER]}: {why}."]


def _units(values: pd.DataFrame) -> list[str]:
    """The limits of the values' unit, a sentence for each unit."""
    return [
        f"Values are read as {'percentages' if unit == '%' else 'fractions'}: intervals and expected bests stay within "
        f"{LIMITS[unit][0]:g} and {LIMITS[unit][1]:g}."
        for unit in sorted(set(values["unit"]) & set(LIMITS))
    ]


def pairing(values: pd.DataFrame, chosen: bool | None) -> list[str]:
    """Whether methods are paired by seed, and what determines it."""
    if set(values["shared"]) == {NOTHING}:
        rest = "." if chosen is False else "; --paired pairs them."
        return [f"Seeds are labels: methods are compared unpaired{rest}"]
    return [f"Methods with the same seeds are paired, by {'--paired' if chosen else 'the column shared'}."]


def look_alikes(found: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """A warning for each group of names that look alike, (column, names)."""
    return [
        f"{column}s {', '.join(map(repr, names[:-1]))} and {names[-1]!r} differ only in case, blanks, hyphens or the "
        f"like and count as {len(names)}: write one name if they are one"
        for column, names in found
    ]


def _trimmed(cells: Sequence[tuple[Any, str, str]]) -> str:
    line, column, text = cells[0]
    more = f", and in {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"Blanks around names were removed: {column} {text!r} in line {line}{more}."


def _scales(found: MixedScales) -> str:
    first, second = (
        f"{row['value']:g} ({row['method']}, {found.noun} {row['line']})" for row in (found.fraction, found.percentage)
    )
    return (
        f"{counted(found.fractions, 'value')} of at most 1 and {found.percentages} above 10 are mixed, {first} beside "
        f"{second}: are these fractions beside percentages? write one unit"
    )
