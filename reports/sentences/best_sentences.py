"""Bests of several searches, in words."""

from math import isnan
from typing import Any

import pandas as pd

from reports.sentences.numbers import two_decimals


def statements(frame: pd.DataFrame) -> list[str]:
    """A sentence for each best of k that was given, among the rows of `reports.statistics.best_of_k.bests`."""
    return [
        f"{row['method']}: {two_decimals(row['value'])} is {row['convention'].removesuffix(', given')}, not the value "
        f"of one search, so it is in no mean and no test. {_expected(row)}"
        for row in frame.to_dict("records")
        if row["convention"].endswith(", given")
    ]


def _expected(row: dict[Any, Any]) -> str:
    if isnan(row["k"]):
        return "The number of searches is not stated, so no expected best can be computed."
    if row["n"] < 2:
        return "An expected best takes at least two searches of the method's own."
    return f"The expected best of {row['k']:g}, from its {row['n']} searches, is {two_decimals(row['expected'])}."
