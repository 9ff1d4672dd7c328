"""What a report says of the papers: every exhibit, published beside measured, and a verdict a claim, gathered once."""

import shlex
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import pandas as pd

from reports.exhibits import exhibit_cells, exhibit_figures, exhibit_tables
from reports.exhibits.catalogue import catalogue
from reports.exhibits.claim_tests import EQUIVALENCE_MARGIN, UNMEASURED
from reports.exhibits.claim_values import compared_values
from reports.exhibits.exhibit import Exhibit
from reports.exhibits.measured_cells import measured_cells
from reports.exhibits.scale_groups import EXACT, ScaleGroup, scale_groups
from reports.exhibits.verdicts import CLAIM_VERDICTS, claim_verdicts
from reports.figures.report_figure import ReportFigure
from reports.published.published_numbers import PAPERS, numbers
from reports.records.blocks import SpaceOf
from reports.sentences.numbers import ranged
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
    f"equivalent within {EQUIVALENCE_MARGIN:g} points; else undecided at this n. Equality is judged by two one-sided t "
    "tests, a number by whether the 95 % interval of its mean lies within the claim's bounds or outside, collapse by "
    "whether Wilson's 95 % interval of the share of collapsed seeds lies above or below one half, a ratio of costs by "
    "whether its 95 % interval lies within the claimed factor. A verdict at a reduced scale says nothing of the "
    "paper's own.",
    "Protocol quick only checks that everything runs: its verdicts are those of three epochs on a handful of images.",
)


@dataclass(frozen=True)
class Shown:
    """One exhibit: its tables, published alone or a table a scale; its figures; its verdicts; what it lacks.

    `curves` are all figures but `cells`; `protocols` are those at which there are trials, whether or not they fill it;
    `solved`: it was measured by no run, but solved by the report.
    """

    exhibit: Exhibit
    tables: list[Table]
    curves: list[ReportFigure]
    cells: list[ReportFigure]
    verdicts: pd.DataFrame
    lacks: list[str]
    measured: bool
    protocols: list[str]
    solved: bool

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
    def drawn(self) -> list[ReportFigure]:
        """The figures of exhibits but for cells."""
        return [drawn for paper in self.papers for exhibit in paper.exhibits for drawn in exhibit.curves]

    @property
    def cells(self) -> list[ReportFigure]:
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
        own = scale_groups(exhibit, records, histories, others)
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
    caption = "Every claim for which there are trials, at the scale at which they ran, or that the report solved itself"
    by_claim = claims(told, caption, "verdicts", paper=True)
    return Papers(papers, counted(frame), by_claim, listed(shown), headline(frame))


def headline(frame: pd.DataFrame) -> str:
    """The verdicts in sentences: how many the runs have at all scales, what those of a mere check cannot mean.

    What the report solved itself is no run's, and told apart.
    """
    papers = frame["paper"].nunique()
    made = _claims(frame)
    said = [f"{f'{made} claims of {papers} papers' if papers > 1 else in_words(made, 'claim')} can be tested."]
    told, solved = frame[_run(frame)], frame[_solved(frame)]
    if told.empty:
        said.append("These runs tell of none of them.")
    else:
        seeds = sorted(set(told["seeds"]))
        said.append(
            f"These runs tell of {_claims(told)}, a verdict a scale: {_by_verdict(told)}, with "
            f"{ranged(seeds[0], seeds[-1], 'seed')} of a method."
        )
    if "quick" in set(told["protocol"]):
        said.append(CHECKED)
    if len(solved):
        said.append(f"{SOLVED} That tells of {_claims(solved)}: {_by_verdict(solved)}.")
    return " ".join(said)


SOLVED = "Apart from these runs, the report itself solves a model of two numbers whose closed form is known."


def _run(frame: pd.DataFrame) -> pd.Series:
    """Which verdicts rest on trials."""
    return frame["verdict"].ne(UNMEASURED) & ~frame["solved"].astype(bool)


def _solved(frame: pd.DataFrame) -> pd.Series:
    """Which verdicts rest on what the report solved."""
    return frame["verdict"].ne(UNMEASURED) & frame["solved"].astype(bool)


def _claims(frame: pd.DataFrame) -> int:
    return len(frame.drop_duplicates(["exhibit", "claim"]))


def _by_verdict(frame: pd.DataFrame) -> str:
    by = frame["verdict"].value_counts()
    return ", ".join(f"{by.get(name, 0)} {name}" for name in CLAIM_VERDICTS[:-1])


CHECKED = (
    "Those of protocol quick only check that everything works, with a few epochs on a few images: they say nothing of "
    "the papers."
)


def counted(frame: pd.DataFrame) -> Table:
    """How many claims of each paper have which verdict at which scale, a row a paper and protocol.

    What the report solved itself was run at no protocol and with no seeds: its row says so.
    """
    rows = []
    for paper, mine in frame.groupby("paper", sort=False):
        scales = dict(iter(mine.groupby(["solved", "protocol"], sort=True)))
        for (solved, protocol), at in scales.items():
            if not protocol and len(scales) > 1:
                continue
            told = at["verdict"].value_counts()
            seeds = at.loc[at["seeds"].gt(0) & ~_solved(at), "seeds"]
            rows.append(
                {
                    "paper": PAPERS[str(paper)],
                    "protocol": "none: solved by the report" if solved else protocol or NOTHING,
                    "seeds": "–".join(str(n) for n in dict.fromkeys((seeds.min(), seeds.max()))) if len(seeds) else "",
                    **{name: int(told.get(name, 0)) for name in CLAIM_VERDICTS[:-1]},
                    UNMEASURED: _claims(mine) - _claims(at[at["verdict"] != UNMEASURED]),
                }
            )
    columns = (
        Column("Paper", lambda row: str(row["paper"]), numeric=False),
        Column("Protocol", lambda row: str(row["protocol"]), numeric=False),
        Column("Seeds", lambda row: str(row["seeds"]) or NOTHING),
        *(Column(name.capitalize(), _count(name)) for name in CLAIM_VERDICTS),
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
        return "solved by the report" if shown.solved else "measured"
    if shown.protocols:
        return "trials that do not fill it"
    return "can be run" if shown.exhibit.trials else "published numbers only" if shown.tables else "described only"


def claims(frame: pd.DataFrame, caption: str, slug: str, *, paper: bool = False) -> Table:
    """Rows of `reports.exhibits.verdicts.claim_verdicts` as a table."""
    columns = (
        *([Column("Paper", lambda row: PAPERS[str(row["paper"])], numeric=False)] if paper else []),
        Column("Exhibit", lambda row: str(row["number"]), numeric=False),
        Column("Claim", lambda row: str(row["claim"]), numeric=False),
        Column("Verdict", lambda row: str(row["verdict"]), numeric=False),
        Column("Seeds", lambda row: str(row["seeds"]) if row["seeds"] and not row["solved"] else NOTHING),
        Column("Scale", lambda row: str(row["scale"]) or NOTHING, numeric=False),
        Column("Why", lambda row: str(row["why"]), numeric=False),
    )
    return Table(frame.reset_index(drop=True), columns, caption, slug)


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _shown(
    exhibit: Exhibit,
    published: pd.DataFrame,
    found: list[ScaleGroup],
    space_of: SpaceOf,
    known: Collection[str] | None,
) -> Shown:
    scales: list[ScaleGroup | None] = [*found] or [None]
    cells = [measured_cells(exhibit, published, group, space_of) for group in scales]
    tables = [exhibit_tables.exhibit_table(exhibit, own, at) for own, at in zip(cells, scales, strict=True) if len(own)]
    curves: list[ReportFigure] = []
    drawings = list(exhibit_cells.published_cells(exhibit, space_of)) if exhibit.layout == "cells" else []
    for own, group in zip(cells, found, strict=False):  # without a group there is one table, of published cells
        curves += exhibit_figures.charts(exhibit, own, group, space_of)
    for group in found if exhibit.layout == "cells" else []:
        values = compared_values(exhibit, group, space_of)
        tables += [exhibit_tables.claim_table(exhibit, values, group)] if len(values) else []
        drawings += exhibit_cells.found_cells(exhibit, group, values, space_of)
    without = [] if known is None else exhibit.without_recipe(published, known)
    measured = any(own["n_measured"].gt(0).any() for own in cells) or bool(curves)
    measured |= exhibit.layout == "cells" and bool(found)
    return Shown(
        exhibit,
        tables,
        curves,
        drawings,
        claim_verdicts(exhibit, found, space_of),
        [*without, *exhibit.lacks],
        measured,
        [group.protocol for group in found],
        bool(found) and all(group.records["evaluation"].eq(EXACT).all() for group in found),
    )
