"""What a report says across its blocks: the rankings of all methods under one protocol, as tables and figures."""

from dataclasses import dataclass

import pandas as pd

from reports.figures import ranking_figures
from reports.figures.axes import styles
from reports.figures.report_figure import ReportFigure
from reports.records.blocks import Block, slug
from reports.records.results import Results
from reports.sentences import ranking_sentences
from reports.statistics.rankings import Rankings, rank_methods
from reports.tables import tables
from reports.tables.tables import Table


@dataclass(frozen=True)
class Across:
    """The rankings under one protocol, which `conditions` tell. `tables` and `drawn` are empty without rankings."""

    protocol: str
    conditions: str
    slug: str
    rankings: Rankings
    tables: list[Table]
    drawn: list[ReportFigure]

    @property
    def statements(self) -> list[str]:
        """What is supported, what not, what could not have been, and what was left out."""
        return ranking_sentences.statements(self.rankings)


def across(results: Results) -> list[Across]:
    """A view across blocks for each protocol; protocols never mix."""
    method_styles = styles(results.methods)
    views = []
    for own in results.protocols():
        found, words = rank_methods(values_of(own)), conditions(own)
        name = f"across-{slug(own[0].protocol)}"
        drawn: list[ReportFigure | None] = []
        if len(found.frame):
            drawn.append(ranking_figures.critical_difference_diagram(found, name, words))
            drawn.append(ranking_figures.performance_profiles(found, name, words, method_styles))
        shown = [figure for figure in drawn if figure is not None]
        views.append(Across(own[0].protocol, words, name, found, tables.ranked(found, words, name), shown))
    return views


def values_of(own: list[Block], metric: str | None = None, better: str | None = None) -> pd.DataFrame:
    """The plain frame of several blocks; where two are of one space and data set, their names tell them apart.

    Raises `InputError` as `Block.values`.
    """
    places = [(block.space, block.dataset) for block in own]
    frames = []
    for block, place in zip(own, places, strict=True):
        frame = block.values(metric, better)
        if places.count(place) > 1:
            frame["dataset"] += f" ({block.scale}, {block.evaluation}, digest {block.dataset_digest})"
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def conditions(own: list[Block]) -> str:
    """The blocks' conditions, each distinct one once with the blocks that it is of where there are several."""
    kinds: dict[str, list[str]] = {}
    for block in own:
        kinds.setdefault(block.conditions, []).append(block.title)
    if len(kinds) == 1:
        return next(iter(kinds))
    return "; ".join(f"{conditions}: {', '.join(titles)}" for conditions, titles in kinds.items())
