"""What a stranger's values are taken for, and what may be amiss with them, in words."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from reports.statistics.direction import HIGHER, LOWER
from reports.statistics.values import LIMITS, NOTHING, place
from spaces.common.plural import counted

BY_OPTION = "as --better says"
BY_COLUMN = "as the column 'better' says"
BY_CONVENTION = "as the convention says"
ASSUMED = f"assumed of a column 'value', --better {LOWER} says otherwise"


def by_name(column: str) -> str:
    """What says which way a known metric is better."""
    return f"the metric is {column!r}"


def directions(values: pd.DataFrame, why: str) -> list[str]:
    """Which way the values are better, by space and data set where that differs, and what says so."""
    sides = {}
    for better, group in values.groupby("better", sort=True):
        places = group[["space", "dataset"]].drop_duplicates().sort_values(["space", "dataset"])
        sides[str(better)] = ", ".join(place(*names) for names in places.itertuples(index=False))
    if len(sides) == 1:
        return [f"{next(iter(sides)).capitalize()} is better: {why}."]
    return [f"{HIGHER.capitalize()} is better on {sides[HIGHER]}, {LOWER} on {sides[LOWER]}: {why}."]


def units(values: pd.DataFrame) -> list[str]:
    """Between which limits the values' unit keeps them, one sentence a unit."""
    return [
        f"Values are read as {'percentages' if unit == '%' else 'fractions'}: intervals and expected bests stay within "
        f"{LIMITS[unit][0]:g} and {LIMITS[unit][1]:g}."
        for unit in sorted(set(values["unit"]) & set(LIMITS))
    ]


def pairing(values: pd.DataFrame, chosen: bool | None) -> list[str]:
    """Whether methods are paired by seed, and what says so."""
    if set(values["shared"]) == {NOTHING}:
        return ["Seeds are labels: methods are compared unpaired" + ("." if chosen is False else ", unless --paired.")]
    return ["Methods that ran the same seeds are paired, as " + ("--paired" if chosen else "'shared'") + " says."]


def trimmed(cells: Sequence[tuple[Any, str, str]]) -> str:
    """Which names had blanks around them: (line, column, text) each, at least one."""
    line, column, text = cells[0]
    more = f", and in {len(cells) - 1} more" if len(cells) > 1 else ""
    return f"Blanks around names are no part of them: {column} {text!r} in line {line}{more}."


def alike(column: str, names: Sequence[str]) -> str:
    """A warning of names that look alike."""
    listed = f"{', '.join(map(repr, names[:-1]))} and {names[-1]!r}"
    return (
        f"{column}s {listed} differ only in case, blanks, hyphens or the like and count as {len(names)}: write one "
        "name if they are one"
    )


def scales(noun: str, small: "pd.Series[Any]", large: "pd.Series[Any]", fractions: int, rest: int) -> str:
    """A warning of fractions beside percentages, with the first of each."""
    first, second = (f"{row['value']:g} ({row['method']}, {noun} {row['line']})" for row in (small, large))
    return (
        f"{counted(fractions, 'value')} of at most 1 stand beside {rest} above 10, {first} beside {second}: are these "
        "fractions beside percentages? write one unit"
    )


def half_signed(signed: int, count: int) -> str:
    """A warning of values only some of which have a percent sign."""
    return f"{signed} of {counted(count, 'value')} have a percent sign: all are read as one unit"
