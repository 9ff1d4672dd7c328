"""What the audit of the published numbers says, gathered once for its page and for the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from reports.published import audit, published_numbers
from reports.sentences.numbers import p_value, signed
from reports.tables.tables import NOTHING, Column, Row, Table, named_rows
from spaces.common.errors import unknown

NOTES = (
    "Every cell of the papers' tables was typed in from their texts, twice and independently, and compared. Where a "
    "text is damaged the reading taken stands beside the cell, with its reason.",
    "A win is a number of a paper's own method that is better than another method's in the same column of the same "
    "table. It is tested by Welch's t from the printed mean, spread and number of runs, two-sided, Holm-corrected over "
    "all comparisons of that table that can be tested; it is supported when the corrected p is at most 0.05. Not "
    "supported does not mean refuted: with three or four runs only large differences can be seen.",
    "A comparison cannot be judged when either number is the best of several searches (or a mean over retrainings of "
    "one that was selected), has no spread, or no number of runs is stated for it. A spread printed as 0.00 is read as "
    "the largest that rounds to it. Welch's t takes runs to be normal, which searches that collapse are not.",
    "Numbers of one method on one space and data set disagree when they differ at the coarser of the printed "
    "precisions, errors having been turned into accuracies. A reason is given only where it is sure.",
)


@dataclass(frozen=True)
class Disagreement:
    """One quantity of one method on one data set: its distinct numbers, each with the places that print it."""

    method: str
    space: str
    dataset: str
    quantity: str
    numbers: list[tuple[str, list[str]]]
    reason: str


@dataclass(frozen=True)
class Doubt:
    """Cells of one exhibit that are misprinted or contradict one another: where, what is printed, why."""

    where: str
    printed: str
    note: str


@dataclass(frozen=True)
class Audit:
    """All that the page shows. `claims` and `disagreements` are the frames behind it."""

    headline: str
    claims: pd.DataFrame
    disagreements: pd.DataFrame
    overview: Table
    tested: Table
    untested: Table
    differing: list[Disagreement]
    doubts: list[Doubt]


@cache
def audited(papers: tuple[str, ...] = tuple(published_numbers.PAPERS), assumed_n: int | None = None) -> Audit:
    """The audit of `papers`; disagreements are those that one of them takes part in. Callers leave its frames alone.

    `assumed_n` is the number of runs to assume where a paper states none (by default such a win is not judged).
    Raises `InputError` for an unknown paper.
    """
    for paper in papers:
        if paper not in published_numbers.PAPERS:
            raise unknown("paper", paper, published_numbers.PAPERS)
    numbers = published_numbers.numbers()
    own = numbers[numbers["paper"].isin(papers)]
    claims = audit.claims(own, assumed_n)
    disagreements = _of(audit.disagreements(numbers), papers)
    wins = claims[claims["outcome"] == "ahead"]
    unjudged = wins["verdict"] == audit.UNJUDGED
    assumed = "" if assumed_n is None else f" Where a paper states no number of runs, n = {assumed_n} is assumed."
    return Audit(
        headline=audit.headline(claims, disagreements),
        claims=claims,
        disagreements=disagreements,
        overview=Table(
            _overview(claims),
            OVERVIEW,
            "Wins of each paper's own method, by table: what its own printed numbers support." + assumed,
            "overview",
        ),
        tested=Table(
            wins[~unjudged],
            TESTED,
            "Every win that can be judged: Welch's t from the printed mean, spread and number of runs, Holm-corrected "
            "within a table; the advantage counts towards better." + assumed,
            "tested",
        ),
        untested=Table(
            wins[unjudged], UNTESTED, "Every win that cannot be judged, and the first reason." + assumed, "untested"
        ),
        differing=[_disagreement(group) for _, group in disagreements.groupby(GROUP, sort=False)],
        doubts=_doubts(own),
    )


GROUP = ["method", "space", "dataset", "quantity"]


def _of(disagreements: pd.DataFrame, papers: Iterable[str]) -> pd.DataFrame:
    concerned = disagreements[disagreements["paper"].isin(list(papers))][GROUP].drop_duplicates()
    return disagreements.merge(concerned, on=GROUP)


def _overview(claims: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (paper, exhibit), table in claims.groupby(["paper", "exhibit"], sort=False):
        wins = table[table["outcome"] == "ahead"]
        verdicts = wins["verdict"].value_counts()
        hindered = wins["obstacle"].value_counts()
        rows.append(
            {
                "paper": paper,
                "exhibit": exhibit,
                "compared": len(table),
                "ahead": len(wins),
                "supported": int(verdicts.get(audit.SUPPORTED, 0)),
                "unsupported": int(verdicts.get(audit.UNSUPPORTED, 0)),
                "unjudged": int(verdicts.get(audit.UNJUDGED, 0)),
                "why": ", ".join(words for words in audit.OBSTACLES if words in hindered) or NOTHING,
            }
        )
    return pd.DataFrame(rows)


def _disagreement(group: pd.DataFrame) -> Disagreement:
    places: dict[str, list[str]] = {}
    for row in named_rows(group.sort_values("number", ascending=False, kind="stable")):
        number = f"{row['number']:.{int(row['decimals'])}f}"
        places.setdefault(number, []).append(_place(row))
    first = named_rows(group)[0]
    return Disagreement(
        **{column: first[column] for column in (*GROUP, "reason")},
        numbers=[(number, list(dict.fromkeys(where))) for number, where in places.items()],
    )


def _place(row: Row) -> str:
    words = [] if row["convention"] == "unstated" else [row["convention"]]
    if row["metric"].endswith("error"):
        words.insert(0, f"as {row['printed']} error")
    elif "±" in row["printed"]:
        words.insert(0, f"± {row['printed'].partition(' ± ')[2]}")
    return f"{published_numbers.PAPERS[row['paper']]} {row['exhibit']}" + (f" ({', '.join(words)})" if words else "")


def _doubts(numbers: pd.DataFrame) -> list[Doubt]:
    doubted = numbers[numbers["flag"].isin(["misprint", "ambiguous"])]
    return [
        Doubt(
            f"{published_numbers.PAPERS[str(paper)]}, {exhibit}, {' and '.join(dict.fromkeys(cells['row']))}",
            "; ".join(f"{cell['column']} {cell['printed']}" for cell in named_rows(cells)),
            str(note),
        )
        for (paper, exhibit, note), cells in doubted.groupby(["paper", "exhibit", "note"], sort=False)
    ]


def _where(row: Row) -> str:
    return f"{published_numbers.PAPERS[row['paper']]}, {row['exhibit']}"


def _column(row: Row) -> str:
    return str(row["heading"]) if row["dataset"] in row["heading"] else f"{row['dataset']}, {row['heading']}"


def _runs(row: Row) -> str:
    stated = (row["n"], row["n_against"])
    return ", ".join(f"{row['assumed_n']:.0f} assumed" if pd.isna(n) else str(int(n)) for n in stated)


def _words(name: str) -> Any:
    return lambda row: str(row[name])


WHERE = (
    Column("Paper, table", _where, numeric=False),
    Column("Column", _column, numeric=False),
    Column("Own method", _words("method"), numeric=False),
    Column("Against", _words("against"), numeric=False),
    Column("Own", _words("printed")),
    Column("Other", _words("printed_against")),
)
TESTED = (
    *WHERE,
    Column("n", _runs),
    Column("Advantage, 95 %", lambda row: f"{signed(row['low'])} to {signed(row['high'])}"),
    Column("p (Holm)", lambda row: p_value(row["p_holm"])),
    Column("Verdict", _words("verdict"), numeric=False),
)
UNTESTED = (*WHERE, Column("Cannot be judged for", _words("obstacle"), numeric=False))
OVERVIEW = (
    Column("Paper, table", _where, numeric=False),
    Column("Compared", _words("compared")),
    Column("Ahead", _words("ahead")),
    Column("Supported", _words("supported"), "Of these wins"),
    Column("Not supported", _words("unsupported"), "Of these wins"),
    Column("Cannot be judged", _words("unjudged"), "Of these wins"),
    Column("for", _words("why"), numeric=False),
)
