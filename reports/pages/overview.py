"""The tables of the first page and the list of trials: some columns of the tables on the other pages."""

import pandas as pd

from reports.pages.block_page import Section
from reports.pages.collapse_page import Collapse
from reports.tables import tables
from reports.tables.collapse_tables import SHARES
from reports.tables.tables import Column, Table
from spaces.common.plural import counted

RESULTS = ("Method", "n", "Mean ± std", "95 % interval", "Skip share", "Params (M)", "Seconds", "Difference", "Verdict")
SCORE = "Score"
"""Stands for the heading of the scores."""

PLACE = Column("Space and data set", lambda row: str(row["place"]), numeric=False)
VERDICT = Column("Search", lambda row: str(row["verdict"]), numeric=False)
TRIAL = ("Method", "Seed", SCORE, "Skip share", "Params (M)", "Epochs", "Search (s)")


def results(section: Section) -> Table:
    """The block's main table, with fewer columns."""
    columns = tuple(column for column in section.main.columns if column.heading in RESULTS)
    return Table(section.main.frame, columns, section.main.caption, f"{section.block.slug}-results")


def shares(collapse: Collapse) -> Table:
    """The share of collapsed searches of every method in every block."""
    frame = pd.concat(
        [part.shares.frame.assign(place=part.block.title, conditions=part.block.conditions) for part in collapse.parts],
        ignore_index=True,
    )
    held = "; ".join(dict.fromkeys(frame["conditions"]))
    caption = f"Collapsed searches, a row a method and block: {held}. {collapse.criterion.words()}"
    return Table(frame, (SHARES[0], PLACE, *SHARES[1:]), caption, "collapse-shares")


def trials(sections: list[Section], collapse: Collapse) -> Table:
    """Every trial of every block, with whether its search collapsed."""
    frames = []
    for section, part in zip(sections, collapse.parts, strict=True):
        verdicts = part.verdicts.frame.set_index("key")["verdict"]
        block = section.block
        frames.append(block.records.assign(place=block.title, verdict=block.records["key"].map(verdicts)))
    frame = pd.concat(frames, ignore_index=True)
    score = tables.score_heading([section.block for section in sections])
    own = {column.heading: column for column in tables.trial_columns(score)}
    first, *rest = (own[score if heading == SCORE else heading] for heading in TRIAL)
    protocol = Column("Protocol", lambda row: str(row["protocol"]), numeric=False)
    held = "; ".join(dict.fromkeys(section.block.conditions for section in sections))
    return Table(frame, (first, PLACE, protocol, *rest, VERDICT), f"Every trial, a row each: {held}.", "trials")


def summary(records: pd.DataFrame) -> str:
    """The numbers of trials, methods, spaces, data sets and seeds, in a line."""
    counts = [
        (len(records), "trial"),
        (records["method"].nunique(), "method"),
        (records["space"].nunique(), "space"),
        (records["dataset"].nunique(), "data set"),
        (records["seed"].nunique(), "seed"),
    ]
    return ", ".join(counted(count, word) for count, word in counts)
