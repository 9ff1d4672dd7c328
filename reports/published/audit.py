"""The audit of published numbers: which claimed wins a paper's own numbers support, and where papers disagree.

Both functions take the frame of `reports.published.published_numbers.numbers`.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import isnan, nan

import numpy as np
import pandas as pd

from reports.published.published_numbers import METRICS, PAPERS, reasons
from reports.sentences.numbers import p_is, signed
from reports.statistics.significance import ALPHA, Summary, holm, welch
from reports.tables.tables import Row, named_rows
from spaces.common.plural import counted

SUPPORTED = "supported"
UNSUPPORTED = "not supported"
UNJUDGED = "cannot be judged"
NO_WIN = "no win"

BEST_OF_SEVERAL = "best of several searches"
NO_SPREAD = "no spread"
NO_RUNS = "no number of runs"
OBSTACLES = (BEST_OF_SEVERAL, NO_SPREAD, NO_RUNS)
"""Why a comparison cannot be judged, the first that applies."""

UNKNOWN_REASON = "unknown"

CLAIM_COLUMNS = [
    *("paper", "exhibit", "heading", "dataset", "metric", "method", "against", "printed", "n"),
    *("printed_against", "n_against", "assumed_n", "advantage", "low", "high", "p", "p_holm"),
    *("family", "outcome", "verdict", "obstacle", "statement"),
]
DISAGREEMENT_COLUMNS = [
    *("method", "space", "dataset", "quantity", "number", "decimals", "paper", "exhibit", "label", "printed"),
    *("metric", "convention", "reason"),
]


def claims(numbers: pd.DataFrame, assumed_n: int | None = None) -> pd.DataFrame:
    """Each number of a paper's own method compared with each other method's in the same column, and judged.

    One row a comparison, where the metric says which way is better:

    - `method` and `against` are the labels, `printed` and `printed_against` the cells, all as the paper has them; `n`
      and `n_against` the stated numbers of runs, and `assumed_n` the one put in where none is stated (else NaN)
    - `advantage`: by how much the paper's own method is better, with `low` and `high` of its 95 % interval; `p` of
      Welch's t from mean, standard deviation and n; `p_holm` after Holm's correction over the `family` (in words: the
      comparisons of that table that can be tested)
    - `outcome` as printed: ahead, level or behind; `verdict`: `SUPPORTED` where p_holm is at most 0.05, `UNSUPPORTED`,
      `UNJUDGED` for one of the `OBSTACLES`, and `NO_WIN` where the method is not ahead; `statement`, all this in words

    Without `assumed_n`, a row without n cannot be judged. ± is read as the standard deviation (ddof = 1); one printed
    as 0.00 may be anything that rounds to it, and the largest such is taken. The best of several searches, and the
    retrainings of one that was selected, are no sample of searches and are never tested.
    """
    rows = [_judged(own, other, assumed_n) for own, other in _contests(numbers)]
    corrected = [
        row for _, table in groupby(rows, lambda row: (row["paper"], row["exhibit"])) for row in _family(table)
    ]
    return pd.DataFrame(corrected, columns=CLAIM_COLUMNS)


def disagreements(numbers: pd.DataFrame) -> pd.DataFrame:
    """Where tables give one method different numbers for one quantity on one (space, data set): a row a number.

    Errors are turned into accuracies first (`number`; `printed` is the cell itself), and numbers differ when they do at
    the coarser of their printed precisions. The average and the best of a paper's own method, side by side in one
    table, are no disagreement. `reason` is that of `published/reasons.csv`, else `UNKNOWN_REASON`.
    """
    known = reasons().set_index(["method", "space", "dataset", "quantity"])["reason"]
    frame = numbers[numbers["number"].notna() & (numbers["method"] != "")].copy()
    frame = frame[frame["exhibit"].str.startswith("Table")]
    frame["quantity"] = frame["metric"].map(lambda name: METRICS[name].quantity)
    frame = frame[frame["quantity"] != ""]
    error = frame["metric"].str.endswith("error")
    frame["number"] = frame["number"].where(~error, 100 - frame["number"])
    found = []
    for key, group in frame.groupby(["method", "space", "dataset", "quantity"], sort=False):
        digits = int(group["decimals"].min())
        one_table = (group["paper"] + group["exhibit"]).nunique() == 1 and (group["role"] == "own").all()
        # Half a unit of the last digit is not left to how a float is stored.
        distinct = {round(float(number) + 1e-9, digits) for number in group["number"]}
        if len(distinct) > 1 and not one_table:
            found.append(group.assign(reason=known.get(key, UNKNOWN_REASON)))
    together = pd.concat(found, ignore_index=True) if found else frame.assign(reason=UNKNOWN_REASON).iloc[:0]
    together["number"] = [
        round(float(number), int(digits))
        for number, digits in zip(together["number"], together["decimals"], strict=True)
    ]
    # A method's groups stand together, in the order in which the methods appear.
    together["order"] = together.groupby("method", sort=False).ngroup()
    return together.sort_values("order", kind="stable").reset_index(drop=True)[DISAGREEMENT_COLUMNS]


def headline(judged: pd.DataFrame, differing: pd.DataFrame) -> str:
    """The audit in two sentences with its counts, of frames of `claims` and `disagreements`."""
    wins = judged[judged["outcome"] == "ahead"]
    verdicts = wins["verdict"].value_counts()
    papers = judged["paper"].nunique()
    one = papers == 1
    who = PAPERS[str(judged["paper"].iloc[0])] if one else f"The {papers} papers"
    hindered = wins[wins["verdict"] == UNJUDGED]["obstacle"].value_counts()
    why = ", ".join(f"{words} ({hindered[words]})" for words in OBSTACLES if words in hindered)
    groups = differing.groupby(["method", "space", "dataset", "quantity"])["reason"].first()
    numbers = "its own numbers" if one else "their own numbers"
    return (
        f"{who} {'sets its' if one else 'set their'} own method against another {len(judged)} times and "
        f"{'is' if one else 'are'} ahead {len(wins)} times: {numbers} support {verdicts.get(SUPPORTED, 0)} of these "
        f"wins, {verdicts.get(UNSUPPORTED, 0)} are not supported, {verdicts.get(UNJUDGED, 0)} cannot be judged"
        f"{f': {why}' if why else ''}. {len(groups)} quantities of one method on one data set differ between "
        f"tables, {int((groups == UNKNOWN_REASON).sum())} of them for an unknown reason."
    )


def _contests(numbers: pd.DataFrame) -> Iterator[tuple[Row, Row]]:
    better = numbers["metric"].map(lambda name: METRICS[name].better)
    frame = numbers[numbers["number"].notna() & (better != 0) & (numbers["method"] != "")]
    for _, column in frame.groupby(["paper", "exhibit", "heading", "dataset", "metric"], sort=False):
        cells = named_rows(column)
        for own in (cell for cell in cells if cell["role"] == "own"):
            yield from ((own, other) for other in cells if other["role"] not in ("own", "bound"))


def _judged(own: Row, other: Row, assumed_n: int | None) -> Row:
    better = METRICS[own["metric"]].better
    digits = max(own["decimals"], other["decimals"])
    advantage = round(better * (own["number"] - other["number"]), digits)
    obstacle = _obstacle(own, other, assumed_n)
    assumed = nan if assumed_n is None or obstacle or not (_unstated(own) or _unstated(other)) else assumed_n
    row = {column: own[column] for column in ("paper", "exhibit", "heading", "dataset", "metric", "printed", "n")}
    row |= {
        "method": own["label"],
        "against": other["label"],
        "printed_against": other["printed"],
        "n_against": other["n"],
        "assumed_n": assumed,
        "advantage": advantage,
        "outcome": "ahead" if advantage > 0 else "level" if advantage == 0 else "behind",
        "obstacle": obstacle,
        **dict.fromkeys(("low", "high", "p"), nan),
    }
    if not obstacle:
        test = welch(_summary(own, assumed_n), _summary(other, assumed_n))
        low, high = sorted((better * test.low, better * test.high))
        row |= {"low": low, "high": high, "p": test.p}
    return row


def _obstacle(own: Row, other: Row, assumed_n: int | None) -> str:
    both = (own, other)
    if any(cell["convention"] in ("best of searches", "mean over retrainings") for cell in both):
        return BEST_OF_SEVERAL
    if any(isnan(cell["spread"]) for cell in both):
        return NO_SPREAD
    return NO_RUNS if assumed_n is None and any(_unstated(cell) for cell in both) else ""


def _unstated(cell: Row) -> bool:
    return bool(pd.isna(cell["n"]))


def _summary(cell: Row, assumed_n: int | None) -> Summary:
    n = assumed_n if _unstated(cell) else cell["n"]
    smallest = 0.5 * 10.0 ** -int(cell["decimals"])
    return Summary(float(cell["number"]), float(cell["spread"]) or smallest, int(n or 0))


def _family(table: Iterable[Row]) -> list[Row]:
    """The comparisons of one table, corrected for their number and judged."""
    rows = list(table)
    p = np.array([row["p"] for row in rows], dtype=float)
    size = int((~np.isnan(p)).sum())
    family = f"{counted(size, 'comparison')} of {rows[0]['exhibit']}"
    for row, corrected in zip(rows, holm(p), strict=True):
        row["p_holm"], row["family"] = float(corrected), family
        row["verdict"] = _verdict(row)
        row["statement"] = _statement(row)
    return rows


def _verdict(row: Row) -> str:
    if row["outcome"] != "ahead":
        return NO_WIN
    if row["obstacle"]:
        return UNJUDGED
    return SUPPORTED if row["p_holm"] <= ALPHA else UNSUPPORTED


def _statement(row: Row) -> str:
    seen = f"{row['method']} {_side(row, '')} against {row['against']} {_side(row, '_against')}"
    how = row["outcome"] if row["outcome"] == "level" else f"{row['outcome']} by {abs(row['advantage']):g}"
    if row["obstacle"]:
        return f"{seen}: {how}; {row['verdict']}, {row['obstacle']}."
    tested = (
        f"advantage {signed(row['advantage'])}, 95 % interval {signed(row['low'])} to {signed(row['high'])}, "
        f"Holm {p_is(row['p_holm'])} over {row['family']}"
    )
    return f"{seen}: {how}; {row['verdict']} ({tested})."


def _side(row: Row, side: str) -> str:
    text, n = row[f"printed{side}"], row[f"n{side}"]
    if not pd.isna(n):
        return f"{text} (n = {int(n)})"
    return str(text) if isnan(row["assumed_n"]) else f"{text} (n = {row['assumed_n']:.0f} assumed)"
