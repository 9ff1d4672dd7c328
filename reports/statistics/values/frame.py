"""The frame that every statistic takes: a row for each measured value, checked once; nothing is dropped later."""

from typing import Any

import numpy as np
import pandas as pd

from reports.statistics.values.convention import ALLOWED, best_of, readable
from reports.statistics.values.direction import HIGHER, LOWER, told
from reports.statistics.values.names import stripped
from spaces.common.errors import InputError

NEEDED = ("method", "seed", "value")
UNSTATED = "not stated"
NOTHING = "nothing"
OPTIONAL = {
    **{"space": UNSTATED, "dataset": UNSTATED, "convention": "as given", "noise": UNSTATED},
    **{"better": HIGHER, "unit": UNSTATED, "shared": NOTHING},
}
"""The default of each optional column.

- `convention` says what one value is, `noise` what causes the spread
- `better`: "higher" or "lower", the same for a space and data set. Without the column, the convention determines it
  ("test error"), else it is "higher"
- `unit`: "%" and "fraction" bound a value (`LIMITS`); others do not
- `shared`: what the values of one seed have in common, in words; methods with the same text are paired by seed
"""
PERCENT, FRACTION = "%", "fraction"
LIMITS = {PERCENT: (0.0, 100.0), FRACTION: (0.0, 1.0)}
"""The bounds of values in a unit."""
COLUMNS = (*NEEDED, *OPTIONAL)
MOST, LEAST = 1e100, 1e-60
"""Magnitudes of values beyond which a square or a cube, summed over seeds, over- or underflows."""
TRIAL = ["method", "space", "dataset", "seed"]
LINE = "line"
"""The name of an index that holds each row's line in a file."""


def checked(values: pd.DataFrame, source: str = "values") -> pd.DataFrame:
    """`values` with exactly the columns `COLUMNS`, names as text and `value` as float64, in their order.

    The columns of `OPTIONAL` may be missing. Raises `InputError`, naming `source`, if another column is missing, there
    are no rows, a cell is empty, a value is not a finite number between `LEAST` and `MOST` in magnitude (or 0), a seed
    is written in two notations, a convention is not `readable`, `better` is neither of its two words or differs within
    a space and data set, or one (method, space, dataset, seed) has two rows. A message names rows by the index of
    `values` if that is called `line` (of a file), else by number. Blanks around names are removed. Nothing else is
    repaired and nothing is dropped: a mean over the remaining values is not the mean that was asked for.
    """
    for column in NEEDED:
        if column not in values.columns:
            raise InputError(
                f"{source}: column {column!r} is missing: give the columns {', '.join(NEEDED)}, and "
                f"{', '.join(OPTIONAL)} where they are known"
            )
    if values.empty:
        raise InputError(f"{source}: no rows: give one row for each method, space, dataset and seed")
    rows = values.index if values.index.name == LINE else pd.RangeIndex(1, len(values) + 1, name="row")
    frame = values.reset_index(drop=True)
    undirected = "better" not in frame
    frame = frame.assign(**{name: text for name, text in OPTIONAL.items() if name not in frame}).loc[:, list(COLUMNS)]
    for column in ("method", "seed", *OPTIONAL):
        missing = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
        if missing.any():
            raise InputError(f"{source}: column {column!r} is empty in {_rows(missing, rows)}: fill it in")
    for column in ("method", *OPTIONAL):
        frame[column] = frame[column].astype(str).map(stripped)
    frame["seed"] = [stripped(seed) if isinstance(seed, str) else seed for seed in frame["seed"]]
    if undirected:
        frame["better"] = [told(words) or HIGHER for words in frame["convention"]]
    _one_direction(frame, source, rows)
    unread = ~frame["convention"].map(readable)
    if unread.any():
        first = frame["convention"][unread].iloc[0]
        raise InputError(f"{source}: column 'convention' is {first!r} in {_rows(unread, rows)}: {ALLOWED}")
    numbers = pd.to_numeric(frame["value"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = pd.Series(~np.isfinite(numbers))
    if bad.any():
        first = frame[bad].iloc[0]
        raise InputError(
            f"{source}: column 'value' is {_quoted(first['value'])} for {trial(first)}, in {_rows(bad, rows)}: "
            "give a finite number, or take the row out yourself"
        )
    size = np.abs(numbers)
    beyond = pd.Series((size > MOST) | ((size > 0) & (size < LEAST)))
    if beyond.any():
        first = frame[beyond].iloc[0]
        raise InputError(
            f"{source}: column 'value' is {_quoted(first['value'])} for {trial(first)}, in {_rows(beyond, rows)}: "
            f"magnitudes go from {LEAST:g} to {MOST:g} here; give the values in another unit"
        )
    frame["value"] = numbers
    _one_notation(frame["seed"], source)
    twice = frame.duplicated(TRIAL, keep="first")
    if twice.any():
        first = frame[twice].iloc[0]
        raise InputError(
            f"{source}: {trial(first)} has more than one row, {_rows(twice, rows)} repeated: "
            "keep one, or tell the methods apart by name"
        )
    return frame


def _one_direction(frame: pd.DataFrame, source: str, rows: "pd.Index[Any]") -> None:
    """Refuse an unknown direction, and a space and data set with two directions."""
    bad = ~frame["better"].isin([HIGHER, LOWER])
    if bad.any():
        first = frame["better"][bad].iloc[0]
        raise InputError(
            f"{source}: column 'better' is {first!r} in {_rows(bad, rows)}: write {HIGHER!r} or {LOWER!r}, whichever "
            "values are better"
        )
    for (space, dataset), group in frame.groupby(["space", "dataset"], sort=True):
        if group["better"].nunique() > 1:
            raise InputError(
                f"{source}: of {place(str(space), str(dataset))} some values are better higher and some lower: give "
                "values of one metric, and say in a column 'better' which way it is better"
            )


def _one_notation(seeds: "pd.Series[Any]", source: str) -> None:
    """Refuse seeds that are one number written in two ways: they would neither pair nor be seen to repeat."""
    written: dict[float, str] = {}
    for seed in map(str, seeds.unique()):
        number = pd.to_numeric(seed, errors="coerce")
        if not pd.isna(number) and written.setdefault(float(number), seed) != seed:
            raise InputError(
                f"{source}: seeds {written[float(number)]!r} and {seed!r} are one number in two notations: "
                "write it in one"
            )


def split(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A checked frame as (the values of single searches, the values that are the best of several, with column `k`).

    `k` is NaN if the number of searches is not stated. A best of k is not the value of one search, so it enters no mean
    and no test.
    """
    k = [best_of(words) for words in frame["convention"]]
    best = pd.Series([found is not None for found in k], index=frame.index, dtype=bool)
    return frame[~best], frame[best].assign(k=[float(found) for found in k if found is not None])


def limits(frame: pd.DataFrame) -> tuple[float, float] | None:
    """`LIMITS` of the unit of a checked frame, or `None` if values have several units or exceed the limits."""
    units = set(frame["unit"])
    found = LIMITS.get(next(iter(units))) if len(units) == 1 else None
    return found if found and frame["value"].between(*found).all() else None


def place(space: str, dataset: str) -> str:
    """Space and data set in words, without those that are not stated."""
    return " / ".join(name for name in (space, dataset) if name != UNSTATED) or "all values"


def trial(row: "pd.Series[Any]") -> str:
    """A row's trial in words, for a message."""
    return f"method {row['method']}, space {row['space']}, dataset {row['dataset']}, seed {row['seed']}"


def _rows(which: "pd.Series[bool]", rows: "pd.Index[Any]") -> str:
    count = int(which.sum())
    first = f"{rows.name} {rows[int(which.to_numpy().argmax())]}"
    return first if count == 1 else f"{count} {rows.name}s (the first: {first})"


def _quoted(value: object) -> str:
    return "missing" if pd.isna(value) or str(value) == "" else repr(str(value))  # type: ignore[call-overload]
