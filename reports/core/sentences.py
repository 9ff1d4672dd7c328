"""What a comparison supports, in words."""

from math import isnan
from typing import Any

from reports.core.significance import ALPHA

HIGHER = "significantly higher"
LOWER = "significantly lower"
NO_EVIDENCE = "no evidence"
UNDECIDABLE = "too few seeds"
ABSENT = "not compared"


def verdict(row: dict[str, Any]) -> str:
    """One of the five verdicts above, for a row of `reports.statistics.compare`."""
    if not (row["n_method"] and row["n_baseline"]):
        return ABSENT
    if row["smallest_p_holm"] > ALPHA:
        return UNDECIDABLE
    if row["p_holm"] > ALPHA:
        return NO_EVIDENCE
    return HIGHER if row["difference"] > 0 else LOWER


def statement(row: dict[str, Any]) -> str:
    """The row in one or two sentences: what was seen, and what it does or could not support."""
    method, baseline, verdict = row["method"], row["baseline"], row["verdict"]
    if verdict == ABSENT:
        return f"{method} was not compared: {baseline} has no trial on {row['space']} / {row['dataset']}."
    seen = f"difference {signed(row['difference'])}{_interval(row)}"
    if verdict == UNDECIDABLE:
        return f"{method} against {baseline}: {seen}. {_ties(row)}{_impossible(row)}"
    tested = f"Holm p = {p_value(row['p_holm'])}, {_sizes(row)}, A12 = {row['a12']:.2f}"
    if verdict == NO_EVIDENCE:
        return f"No evidence of a difference between {method} and {baseline}: {seen} ({tested}). {_ties(row)}".strip()
    word = "higher" if verdict == HIGHER else "lower"
    return f"Significant difference: {method} is {word} than {baseline}, {seen} ({tested})."


def signed(value: float) -> str:
    """Two decimals with a sign, with a true minus."""
    return f"{value:+.2f}".replace("-", "−")


def plain(value: float) -> str:
    """Two decimals, with a true minus."""
    return f"{value:.2f}".replace("-", "−")


def p_value(p: float) -> str:
    """Two significant digits, never rounded to zero."""
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def _interval(row: dict[str, Any]) -> str:
    if isnan(row["low"]):
        return ""
    return f", 95 % interval {signed(row['low'])} to {signed(row['high'])}"


def _sizes(row: dict[str, Any]) -> str:
    n, m = row["n_method"], row["n_baseline"]
    if row["paired"]:
        return f"n = {n} {'seed' if n == 1 else 'seeds'}"
    return f"n = {n} and {m} seeds, unpaired"


def _ties(row: dict[str, Any]) -> str:
    return "All values tie. " if row["tied"] else ""


def _impossible(row: dict[str, Any]) -> str:
    sizes = _sizes(row)
    if isnan(row["p"]):
        return f"{sizes}: that allows no test, so no difference could have been declared."
    smallest = p_value(row["smallest_p"])
    if row["smallest_p"] > ALPHA:
        return f"{sizes}: the smallest p this test can give is {smallest}, so no difference could have been declared."
    corrected = p_value(row["smallest_p_holm"])
    return (
        f"{sizes}: the smallest p this test can give is {smallest}, {corrected} after Holm over {row['family']}, "
        "so no difference could have been declared."
    )
