"""The frame every statistic starts from: one row a measured value, checked once so that nothing is dropped later."""

from typing import Any

import numpy as np
import pandas as pd

from spaces.core.errors import InputError

COLUMNS = ("method", "space", "dataset", "seed", "value")
TRIAL = ["method", "space", "dataset", "seed"]


def checked(values: pd.DataFrame, source: str = "values") -> pd.DataFrame:
    """`values` with exactly the columns `COLUMNS`, names as text and `value` as float64, in their order.

    Raises `InputError`, naming `source`, when a column is missing, there are no rows, a name or seed is empty, a value
    is not a finite number, or one (method, space, dataset, seed) has two rows. Nothing is repaired and nothing is
    dropped: a mean over what happens to be left is not the mean that was asked for.
    """
    for column in COLUMNS:
        if column not in values.columns:
            raise InputError(f"{source}: column {column!r} is missing: give the columns {', '.join(COLUMNS)}")
    if values.empty:
        raise InputError(f"{source}: no rows: give one row for each method, space, dataset and seed")
    frame = values.loc[:, list(COLUMNS)].reset_index(drop=True)
    for column in TRIAL:
        missing = frame[column].isna() | (frame[column].astype(str).str.strip() == "")
        if missing.any():
            raise InputError(f"{source}: column {column!r} is empty in {_rows(missing)}: fill it in")
    for column in ("method", "space", "dataset"):
        frame[column] = frame[column].astype(str)
    numbers = pd.to_numeric(frame["value"], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = pd.Series(~np.isfinite(numbers))
    if bad.any():
        first = frame[bad].iloc[0]
        raise InputError(
            f"{source}: column 'value' is {_quoted(first['value'])} for {trial(first)}, in {_rows(bad)}: "
            "give a finite number, or take the row out yourself"
        )
    frame["value"] = numbers
    twice = frame.duplicated(TRIAL, keep="first")
    if twice.any():
        first = frame[twice].iloc[0]
        raise InputError(
            f"{source}: {trial(first)} has more than one row, {_rows(twice)} repeated: "
            "keep one, or tell the methods apart by name"
        )
    return frame


def trial(row: "pd.Series[Any]") -> str:
    """A row's trial in words, for a message."""
    return f"method {row['method']}, space {row['space']}, dataset {row['dataset']}, seed {row['seed']}"


def _rows(which: "pd.Series[bool]") -> str:
    count = int(which.sum())
    first = int(which.to_numpy().argmax()) + 1
    return f"row {first}" if count == 1 else f"{count} rows (the first: row {first})"


def _quoted(value: object) -> str:
    return "missing" if pd.isna(value) or str(value) == "" else repr(str(value))  # type: ignore[call-overload]
