"""What a comparison supports, in words."""

from collections.abc import Iterable
from math import isinf, isnan
from typing import Any

import pandas as pd

from reports.statistics.direction import SIGNS
from reports.statistics.power import MOST, POWER
from reports.statistics.significance import ALPHA
from reports.statistics.values import NOTHING, place
from spaces.common.plural import counted

BETTER = "significantly better"
WORSE = "significantly worse"
UNCORRECTED = "not significant after correction"
INSIGNIFICANT = "not significant"
UNDECIDABLE = "too few seeds"
ABSENT = "not compared"

LEAST = 1e-4
"""The smallest p that is written."""


def ranged(low: float, high: float, noun: str) -> str:
    """How many there are at least and at most: `1 seed`, `2 to 4 seeds`."""
    return counted(high, noun) if low == high else f"{low:g} to {counted(high, noun)}"


def verdict(row: dict[str, Any]) -> str:
    """One of the six verdicts above, for a row of `reports.statistics.comparison.compare`."""
    if not (row["n_method"] and row["n_baseline"]):
        return ABSENT
    if row["p_holm"] > ALPHA >= row["p"]:
        return UNCORRECTED
    if row["smallest_p_holm"] > ALPHA:
        return UNDECIDABLE
    if row["p_holm"] > ALPHA:
        return INSIGNIFICANT
    return BETTER if SIGNS[row["better"]] * row["difference"] > 0 else WORSE


def statement(row: dict[str, Any]) -> str:
    """The row in a few sentences: what was seen, what it supports, what it does not, what it could not have."""
    method, baseline, verdict = row["method"], row["baseline"], row["verdict"]
    if verdict == ABSENT:
        return f"{method} was not compared: {baseline} has no trial on {place(row['space'], row['dataset'])}."
    seen = f"difference {signed(row['difference'])}{_interval(row)}"
    tested = f"Holm {p_is(row['p_holm'])}, {_sizes(row)}, A12 = {row['a12']:.2f}"
    if verdict == UNDECIDABLE:
        said = f"{method} against {baseline}: {seen}. {_ties(row)}{_impossible(row)}"
    elif verdict == INSIGNIFICANT:
        said = f"No significant difference between {method} and {baseline}: {seen} ({tested}). {_ties(row)}".strip()
    elif verdict == UNCORRECTED:
        said = (
            f"{method} against {baseline} is not significant after correction ({p_is(row['p'])}): {seen} "
            f"({tested}, over {row['family']})."
        )
        if row["smallest_p_holm"] > ALPHA:
            said += " So few seeds could not have passed it."
    else:
        word = "better" if verdict == BETTER else "worse"
        side = "higher" if row["difference"] > 0 else "lower"
        said = f"Significant difference: {method} is {word} ({side}) than {baseline}, {seen} ({tested})."
    return " ".join(
        words for words in (said, _planned(row), _equivalent(row), _pairing(row), row["conventions"]) if words
    )


def searches(n: int) -> str:
    """`n` searches in words."""
    return counted(n, "search", "searches")


def unmatched(method: str, baseline: str, ours: pd.DataFrame, theirs: pd.DataFrame | None) -> str:
    """Why values that share something by seed are not paired, in words; empty where they share nothing."""
    if theirs is None:
        return ""
    shared = [set(values["shared"]) - {NOTHING} for values in (ours, theirs)]
    if not all(shared):
        return ""
    if len(shared[0] | shared[1]) > 1:
        return f"{method} and {baseline} do not share the same: {' and '.join(sorted(shared[0] | shared[1]))}"
    first, second = set(ours["seed"]), set(theirs["seed"])
    if not first & second:
        return f"no seed of {method} is one of {baseline}"
    sides = [(method, first - second), (baseline, second - first)]
    return ", ".join(f"{_seeds(seeds)} of {name} {_has(seeds)} no pair" for name, seeds in sides if seeds)


def conventions(method: str, baseline: str, ours: set[str], theirs: set[str]) -> str:
    """A warning where no value of the one is what a value of the other is; else empty."""
    if not theirs or ours & theirs:
        return ""
    sides = f"{method} is {' or '.join(sorted(ours))}; {baseline} is {' or '.join(sorted(theirs))}"
    return f"Mind that they are not of one convention: {sides}."


def sentence(words: str) -> str:
    """`words` with a capital in front and a full stop."""
    return f"{words[:1].upper()}{words[1:]}."


def signed(value: float) -> str:
    """Two decimals with a sign, with a true minus."""
    return f"{value:+.2f}".replace("-", "−")


def plain(value: float) -> str:
    """Two decimals, with a true minus."""
    return f"{value:.2f}".replace("-", "−")


def p_is(p: float) -> str:
    """`p = 0.012`, or `p < 0.0001`."""
    return f"p {p_value(p)}" if p < LEAST else f"p = {p_value(p)}"


def p_value(p: float) -> str:
    """Two significant digits, never rounded to zero."""
    return f"{p:.2g}" if p >= LEAST else "< 0.0001"


def _interval(row: dict[str, Any]) -> str:
    if isnan(row["low"]):
        return ""
    return f", 95 % interval {signed(row['low'])} to {signed(row['high'])}"


def _sizes(row: dict[str, Any]) -> str:
    n, m = row["n_method"], row["n_baseline"]
    if row["paired"]:
        return f"n = {counted(n, 'seed')}"
    return f"n = {n} and {counted(m, 'seed')}, unpaired"


def _ties(row: dict[str, Any]) -> str:
    return "All values tie. " if row["tied"] else ""


def _impossible(row: dict[str, Any]) -> str:
    sizes = _sizes(row)
    if isnan(row["p"]):
        return f"{sizes}: that allows no test, so no difference could have been declared."
    smallest = f"{sizes}: the smallest p this test can give is {p_value(row['smallest_p'])}"
    if row["smallest_p"] <= ALPHA:
        smallest += f", {p_value(row['smallest_p_holm'])} after Holm over {row['family']}"
    beside = "" if isnan(row["t_p"]) else f" The t test, which takes values for normal, has {p_is(row['t_p'])}."
    return f"{smallest}, so no difference could have been declared.{beside}"


def _planned(row: dict[str, Any]) -> str:
    """What so many seeds could have shown, and how many it takes; for a significant difference nothing."""
    if row["verdict"] in (BETTER, WORSE) or isnan(row["detectable"]):
        return ""
    power = f"{POWER:.0%}".replace("%", " %")
    able = not isinf(row["detectable"])
    could = f"At this spread a true difference of {plain(row['detectable'])} is found with {power} power"
    if not row["difference"]:
        return f"{could}." if able else ""
    takes = f"more than {MOST:,}".replace(",", "\u202f") if isinf(row["n_needed"]) else f"{row['n_needed']:.0f}"
    if able:
        return f"{could}; one as large as that seen takes {takes} seeds of each."
    return (
        f"At this spread it takes {takes} seeds of each to find a difference as large as that seen with {power} power."
    )


def _equivalent(row: dict[str, Any]) -> str:
    if isnan(row["margin"]) or isnan(row["attainable_margin"]):
        return ""
    within = f"within ±{plain(row['margin'])}"
    if isnan(row["tost_p"]):
        return f"Equivalence {within} was not tested: the difference has no spread."
    if row["tost_p_holm"] <= ALPHA:
        return f"They are equivalent {within} (TOST, Holm {p_is(row['tost_p_holm'])})."
    if row["attainable_margin"] > row["margin"]:
        return (
            f"Equivalence {within} could not have been shown: at this spread the margin would have to be at least "
            f"±{plain(row['attainable_margin'])}."
        )
    return f"Equivalence {within} is not shown (TOST, Holm {p_is(row['tost_p_holm'])})."


def _pairing(row: dict[str, Any]) -> str:
    return f"Not paired by seed: {row['unmatched']}." if row["unmatched"] else ""


def _seeds(seeds: Iterable[Any]) -> str:
    names = sorted(map(str, seeds))
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{'seed' if len(names) == 1 else 'seeds'} {shown}"


def _has(seeds: set[Any]) -> str:
    return "has" if len(seeds) == 1 else "have"
