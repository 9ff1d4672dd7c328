"""What a report says of the papers: every exhibit, published beside measured, and a verdict a claim, gathered once."""

import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from reports.exhibits import exhibit_figures, exhibit_tables, verdicts
from reports.exhibits.catalogue import catalogue
from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_data import Part, filled, parts
from reports.exhibits.verdicts import UNMEASURED, VERDICTS
from reports.figures.figure import Drawn
from reports.published.published_numbers import PAPERS, numbers
from reports.records.blocks import SpaceOf
from reports.sentences.comparisons import ranged
from reports.tables.tables import NOTHING, Column, Row, Table
from spaces import get_space
from spaces.common.plural import counted as in_words

NOTES = (
    "An exhibit is a table or a figure of a paper. Its published numbers are those of the audit; what was measured "
    "stands in the same row, with its spread, the number of seeds and the scale at which it was run. A difference to a "
    "published number is told only at the papers' own scale, or of accuracies that are looked up in the tabular "
    "benchmark, where an architecture has the accuracy it has; then it is said how the search was reduced.",
    "A claim is judged at the scale at which it was measured. Supported: that one method beats another, when the "
    "permutation test of the seeds, corrected by Holm over all comparisons of the exhibit at that scale, has p of at "
    f"most 0.05 and the sign is the claim's; not supported, when the other is ahead by that test, or both are "
    f"equivalent within {verdicts.MARGIN:g} points; else undecided at this n. Equality is judged by two one-sided t "
    "tests, a number by whether the 95 % interval of its mean lies within the claim's bounds or outside, collapse by "
    "whether Wilson's 95 % interval of the share of collapsed seeds lies above or below one half, a ratio of costs by "
    "whether its 95 % interval lies within the claimed factor. A verdict at a reduced scale says nothing of the "
    "paper's own.",
    "Protocol quick only checks that everything runs: its verdicts are those of three epochs on a handful of images.",
)


@dataclass(frozen=True)
class Shown:
    """One exhibit: its tables, published alone or a table a scale; its figures; its verdicts; what it lacks.

    `curves` are all figures but `cells`; `protocols` are those at which there are trials, whether or not they fill it.
    """

    exhibit: Exhibit
    tables: list[Table]
    curves: list[Drawn]
    cells: list[Drawn]
    verdicts: pd.DataFrame
    lacks: list[str]
    measured: bool

    protocols: list[str]

    @property
    def commands(self) -> list[str]:
        """What runs it and reports it, at each scale that is shown and at the paper's own; none where nothing runs."""
        if not self.exhibit.trials or not get_space(self.exhibit.trials[0].spaces[0]).trials:
            return []
        known = dict.fromkeys([*self.protocols, "paper"])
        which = shlex.quote(self.exhibit.file or self.exhibit.name)
        return [f"dartboard run {which} --protocol {name} --report report" for name in known]


@dataclass(frozen=True)
class Paper:
    """One paper's exhibits, and its verdicts as a table; `headline` has them in a sentence.

    `open` are the claims that these runs do not tell of.
    """

    key: str
    name: str
    headline: str
    exhibits: list[Shown]
    verdicts: Table
    open: Table


@dataclass(frozen=True)
class Papers:
    """All papers; `counts` is the overview, `measured` every claim that has a verdict, `listed` every exhibit."""

    papers: list[Paper]
    counts: Table
    measured: Table
    listed: Table
    headline: str

    @property
    def tables(self) -> list[Table]:
        """The tables that LaTeX gets as well."""
        shown = [table for paper in self.papers for exhibit in paper.exhibits for table in exhibit.tables]
        return [
            self.counts,
            self.measured,
            *(table for paper in self.papers for table in (paper.verdicts, paper.open)),
            *shown,
        ]

    @property
    def drawn(self) -> list[Drawn]:
        """The figures of exhibits but for cells."""
        return [drawn for paper in self.papers for exhibit in paper.exhibits for drawn in exhibit.curves]

    @property
    def cells(self) -> list[Drawn]:
        """The cells that exhibits show."""
        return [drawn for paper in self.papers for exhibit in paper.exhibits for drawn in exhibit.cells]


def gather(
    records: pd.DataFrame,
    histories: pd.DataFrame,
    space_of: SpaceOf,
    known: Collection[str] | None = None,
    exhibits: Iterable[Exhibit] | None = None,
) -> Papers:
    """Every exhibit of the catalogue, or of `exhibits`, with what the records measured of it.

    `known` are the recipes that there are; without it nobody can say which rows lack one.
    """
    published = numbers()
    found = list(catalogue().values()) if exhibits is None else list(exhibits)
    trials = {exhibit.name: exhibit.trials for exhibit in found}
    shown = []
    for exhibit in found:
        others = [block for name, blocks in trials.items() if name != exhibit.name for block in blocks]
        own = parts(exhibit, records, histories, others)
        shown.append(_shown(exhibit, published, own, space_of, known))
    papers = []
    for key, name in PAPERS.items():
        mine = [each for each in shown if each.exhibit.paper == key]
        if mine:
            frame = pd.concat([each.verdicts for each in mine], ignore_index=True)
            measured = frame["verdict"] != UNMEASURED
            judged = claims(frame[measured], f"{name}: its claims, judged", f"{key}-verdicts")
            untold = claims(frame[~measured], f"{name}: claims that these runs do not tell of", f"{key}-open")
            papers.append(Paper(key, name, headline(frame), mine, judged, untold))
    each = [table.frame for paper in papers for table in (paper.verdicts, paper.open)]
    frame = pd.concat(each, ignore_index=True) if each else pd.DataFrame()
    told = frame[frame["verdict"] != UNMEASURED].reset_index(drop=True)
    caption = "Every claim for which there are trials, at the scale at which they ran"
    by_claim = claims(told, caption, "verdicts", paper=True)
    return Papers(papers, counted(frame), by_claim, listed(shown), headline(frame))


def headline(frame: pd.DataFrame) -> str:
    """The verdicts in a sentence or two: how many at all scales, and what those of a mere check cannot mean."""
    made = len(frame.drop_duplicates(["exhibit", "claim"]))
    told = frame[frame["verdict"] != UNMEASURED]
    papers = frame["paper"].nunique()
    whose = f"{made} claims of {papers} papers" if papers > 1 else in_words(made, "claim")
    if told.empty:
        return f"{whose} can be tested; these runs tell of none of them."
    by = told["verdict"].value_counts()
    words = ", ".join(f"{by.get(name, 0)} {name}" for name in VERDICTS[:-1])
    seeds = sorted(set(told["seeds"]))
    told_of = len(told.drop_duplicates(["exhibit", "claim"]))
    said = (
        f"{whose} can be tested. These runs tell of {told_of}, a verdict a scale: {words}, with "
        f"{ranged(seeds[0], seeds[-1], 'seed')} of a method."
    )
    return f"{said} {CHECKED}" if "quick" in set(told["protocol"]) else said


CHECKED = (
    "Those of protocol quick only check that everything works, with a few epochs on a few images: they say nothing of "
    "the papers."
)


def counted(frame: pd.DataFrame) -> Table:
    """How many claims of each paper have which verdict at which scale, a row a paper and protocol."""
    rows = []
    for paper, mine in frame.groupby("paper", sort=False):
        for protocol, at in mine.groupby("protocol", sort=True):
            if not protocol and len(mine["protocol"].unique()) > 1:
                continue
            told = at["verdict"].value_counts()
            claims_made = mine.drop_duplicates(["exhibit", "claim"])
            judged = at[at["verdict"] != UNMEASURED].drop_duplicates(["exhibit", "claim"])
            unmeasured = len(claims_made) - len(judged)
            seeds = at.loc[at["seeds"] > 0, "seeds"]
            rows.append(
                {
                    "paper": PAPERS[str(paper)],
                    "protocol": protocol or NOTHING,
                    "seeds": "–".join(str(n) for n in dict.fromkeys((seeds.min(), seeds.max()))) if len(seeds) else "",
                    **{name: int(told.get(name, 0)) for name in VERDICTS[:-1]},
                    UNMEASURED: unmeasured,
                }
            )
    columns = (
        Column("Paper", lambda row: str(row["paper"]), numeric=False),
        Column("Protocol", lambda row: str(row["protocol"]), numeric=False),
        Column("Seeds", lambda row: str(row["seeds"]) or NOTHING),
        *(Column(name.capitalize(), _count(name)) for name in VERDICTS),
    )
    return Table(
        pd.DataFrame(rows),
        columns,
        "Verdicts on the claims of each paper at each protocol that was run, and the claims that it tells nothing of",
        "claims-by-verdict",
    )


def listed(shown: list[Shown]) -> Table:
    """Every exhibit: what it is, whether it was measured, what it lacks."""
    rows = [
        {
            "paper": each.exhibit.paper,
            "exhibit": each.exhibit.name,
            "name": f"{PAPERS[each.exhibit.paper]}, {each.exhibit.number}",
            "title": each.exhibit.title,
            "state": _state(each),
            "claims": len(each.exhibit.claims),
            "lacks": "; ".join(each.lacks),
        }
        for each in shown
    ]
    columns = (
        Column("Exhibit", lambda row: str(row["name"]), numeric=False),
        Column("What it shows", lambda row: str(row["title"]), numeric=False),
        Column("State", lambda row: str(row["state"]), numeric=False),
        Column("Claims", lambda row: str(row["claims"])),
        Column("Lacking here", lambda row: str(row["lacks"]) or NOTHING, numeric=False),
    )
    return Table(pd.DataFrame(rows), columns, "Every table and figure of the papers", "exhibits")


def _state(shown: Shown) -> str:
    if shown.measured:
        return "measured"
    if shown.protocols:
        return "trials that do not fill it"
    return "can be run" if shown.exhibit.trials else "published numbers only" if shown.tables else "described only"


def claims(frame: pd.DataFrame, caption: str, slug: str, *, paper: bool = False) -> Table:
    """Rows of `reports.exhibits.verdicts.judged` as a table."""
    columns = (
        *([Column("Paper", lambda row: PAPERS[str(row["paper"])], numeric=False)] if paper else []),
        Column("Exhibit", lambda row: str(row["number"]), numeric=False),
        Column("Claim", lambda row: str(row["claim"]), numeric=False),
        Column("Verdict", lambda row: str(row["verdict"]), numeric=False),
        Column("Seeds", lambda row: str(row["seeds"]) if row["seeds"] else NOTHING),
        Column("Scale", lambda row: str(row["scale"]) or NOTHING, numeric=False),
        Column("Why", lambda row: str(row["why"]), numeric=False),
    )
    return Table(frame.reset_index(drop=True), columns, caption, slug)


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _shown(
    exhibit: Exhibit,
    published: pd.DataFrame,
    found: list[Part],
    space_of: SpaceOf,
    known: Collection[str] | None,
) -> Shown:
    scales: list[Part | None] = [*found] or [None]
    cells = [filled(exhibit, published, part, space_of) for part in scales]
    tables = [exhibit_tables.table(exhibit, each, part) for each, part in zip(cells, scales, strict=True) if len(each)]
    drawn = exhibit_figures.figures(exhibit, cells[0], None, space_of)
    for each, part in zip(cells, scales, strict=True):
        drawn += exhibit_figures.figures(exhibit, each, part, space_of) if part else []
    for part in found if exhibit.layout == "cells" else []:
        judged_by = verdicts.compared(exhibit, part, space_of)
        tables += [exhibit_tables.evidence(exhibit, judged_by, part)] if len(judged_by) else []
        drawn += exhibit_figures.found_cells(exhibit, part, judged_by, space_of)
    curves, drawings = ([], drawn) if exhibit.layout == "cells" else (drawn, [])
    without = [] if known is None else exhibit.without_recipe(published, known)
    lacks = [*without, *exhibit.lacks]
    filled_in = any(each["n_measured"].gt(0).any() for each in cells) or bool(curves)
    filled_in |= exhibit.layout == "cells" and bool(found)
    judged = verdicts.judged(exhibit, found, space_of)
    protocols = [part.protocol for part in found]
    return Shown(exhibit, tables, curves, drawings, judged, lacks, filled_in, protocols)
