"""The verdict on a comparison: one of six, by Holm's p and by whether that could have been small enough."""

from collections.abc import Mapping
from typing import Any

from reports.statistics.significance import ALPHA
from reports.statistics.values.direction import SIGNS

BETTER = "significantly better"
WORSE = "significantly worse"
UNCORRECTED = "not significant after correction"
INSIGNIFICANT = "not significant"
UNDECIDABLE = "too few seeds"
ABSENT = "not compared"


def verdict(row: Mapping[str, Any]) -> str:
    """One of the six verdicts, for a row of `reports.statistics.comparison.compare` with its corrected p-values."""
    if not (row["n_method"] and row["n_baseline"]):
        return ABSENT
    if row["p_holm"] > ALPHA >= row["p"]:
        return UNCORRECTED
    if row["smallest_p_holm"] > ALPHA:
        return UNDECIDABLE
    if row["p_holm"] > ALPHA:
        return INSIGNIFICANT
    return BETTER if SIGNS[row["better"]] * row["difference"] > 0 else WORSE
