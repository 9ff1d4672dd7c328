"""What a comparison of two methods supports, in words."""

from collections.abc import Iterable, Mapping
from math import isinf, isnan
from typing import Any

import pandas as pd

from reports.sentences.numbers import p_is, p_value, signed, two_decimals
from reports.statistics.power import MOST, POWER
from reports.statistics.significance import ALPHA
from reports.statistics.values.frame import NOTHING, checked, place, split
from reports.statistics.verdict import ABSENT, BETTER, INSIGNIFICANT, UNCORRECTED, UNDECIDABLE, WORSE
from spaces.common.plural import counted


def with_statements(compared: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """`compared`, rows of `compare(values, …)`, with columns in words: `unmatched`, `conventions` and `statement`.

    `unmatched` says why values that share something by seed are not paired, `conventions` warns if the two methods'
    values have different conventions; both are empty otherwise. `statement` says what the comparison supports.
    """
    searches, _ = split(checked(values))
    samples = {tuple(map(str, names)): own for names, own in searches.groupby(["space", "dataset", "method"])}
    rows = []
    for row in compared.to_dict("records"):
        where = str(row["space"]), str(row["dataset"])
        ours, theirs = samples[*where, row["method"]], samples.get((*where, row["baseline"]))
        told = {str(name): value for name, value in row.items()}
        told["unmatched"] = "" if row["paired"] else _unmatched(row["method"], row["baseline"], ours, theirs)
        told["conventions"] = _conventions(row["method"], row["baseline"], ours, theirs)
        rows.append(told | {"statement": statement(told)})
    return pd.DataFrame(rows, columns=[*compared.columns, "unmatched", "conventions", "statement"])


def statement(row: Mapping[str, Any]) -> str:
    """A comparison in sentences: the difference, the verdict, power, equivalence, pairing, and the conventions."""
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
            said += " With so few seeds no result could have been significant."
    else:
        word = "better" if verdict == BETTER else "worse"
        side = "higher" if row["difference"] > 0 else "lower"
        said = f"Significant difference: {method} is {word} ({side}) than {baseline}, {seen} ({tested})."
    return " ".join(
        words for words in (said, _planned(row), _equivalent(row), _pairing(row), row["conventions"]) if words
    )


def _unmatched(method: str, baseline: str, ours: pd.DataFrame, theirs: pd.DataFrame | None) -> str:
    """Why values that share something by seed are not paired; empty if they share nothing."""
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


def _conventions(method: str, baseline: str, ours: pd.DataFrame, theirs: pd.DataFrame | None) -> str:
    """A warning if the two methods' values have no convention in common; else empty."""
    if theirs is None:
        return ""
    own, other = set(ours["convention"]), set(theirs["convention"])
    if own & other:
        return ""
    sides = f"{method} is {' or '.join(sorted(own))}; {baseline} is {' or '.join(sorted(other))}"
    return f"Their conventions differ: {sides}."


def _interval(row: Mapping[str, Any]) -> str:
    if isnan(row["low"]):
        return ""
    return f", 95 % interval {signed(row['low'])} to {signed(row['high'])}"


def _sizes(row: Mapping[str, Any]) -> str:
    n, m = row["n_method"], row["n_baseline"]
    if row["paired"]:
        return f"n = {counted(n, 'seed')}"
    return f"n = {n} and {counted(m, 'seed')}, unpaired"


def _ties(row: Mapping[str, Any]) -> str:
    return "All values tie. " if row["tied"] else ""


def _impossible(row: Mapping[str, Any]) -> str:
    sizes = _sizes(row)
    if isnan(row["p"]):
        return f"{sizes}: that allows no test, so no difference could have been significant."
    smallest = f"{sizes}: the smallest p this test can give is {p_value(row['smallest_p'])}"
    if row["smallest_p"] <= ALPHA:
        smallest += f", {p_value(row['smallest_p_holm'])} after Holm over {row['family']}"
    beside = "" if isnan(row["t_p"]) else f" The t test, which assumes normal values, has {p_is(row['t_p'])}."
    return f"{smallest}, so no difference could have been significant.{beside}"


def _planned(row: Mapping[str, Any]) -> str:
    """The detectable difference and the number of seeds needed; empty for a significant difference."""
    if row["verdict"] in (BETTER, WORSE) or isnan(row["detectable"]):
        return ""
    power = f"{POWER:.0%}".replace("%", " %")
    able = not isinf(row["detectable"])
    could = f"At this spread a true difference of {two_decimals(row['detectable'])} is detected with {power} power"
    if not row["difference"]:
        return f"{could}." if able else ""
    takes = f"more than {MOST:,}".replace(",", "\u202f") if isinf(row["n_needed"]) else f"{row['n_needed']:.0f}"
    if able:
        return f"{could}; the observed difference takes {takes} seeds of each."
    return f"At this spread it takes {takes} seeds of each to detect the observed difference with {power} power."


def _equivalent(row: Mapping[str, Any]) -> str:
    if isnan(row["margin"]) or isnan(row["attainable_margin"]):
        return ""
    within = f"within ±{two_decimals(row['margin'])}"
    if isnan(row["tost_p"]):
        return f"Equivalence {within} was not tested: the difference has no spread."
    if row["tost_p_holm"] <= ALPHA:
        return f"They are equivalent {within} (TOST, Holm {p_is(row['tost_p_holm'])})."
    if row["attainable_margin"] > row["margin"]:
        return (
            f"Equivalence {within} could not have been shown: at this spread it takes a margin of at least "
            f"±{two_decimals(row['attainable_margin'])}."
        )
    return f"Equivalence {within} is not shown (TOST, Holm {p_is(row['tost_p_holm'])})."


def _pairing(row: Mapping[str, Any]) -> str:
    return f"Not paired by seed: {row['unmatched']}." if row["unmatched"] else ""


def _seeds(seeds: Iterable[Any]) -> str:
    names = sorted(map(str, seeds))
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{'seed' if len(names) == 1 else 'seeds'} {shown}"


def _has(seeds: set[Any]) -> str:
    return "has" if len(seeds) == 1 else "have"
