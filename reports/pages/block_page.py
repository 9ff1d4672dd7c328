"""What a report says, gathered once for the page and for LaTeX: one `Section` a block, the conditions, the methods."""

import json
from dataclasses import dataclass, field

import pandas as pd

from reports.figures import search_figures
from reports.figures.axes import Style, styles
from reports.figures.report_figure import ReportFigure
from reports.pages import trial_page
from reports.pages.trial_page import Pictures, words
from reports.records.blocks import Block, SpaceOf, flat, scale_words
from reports.records.results import Results
from reports.sentences import pairing_sentences
from reports.sentences.comparisons import with_statements
from reports.statistics.best_of_k import bests
from reports.tables import tables
from reports.tables.tables import Row, Table, named_rows
from spaces.common.plural import counted


@dataclass(frozen=True)
class Section:
    """All that is reported of one block. `missing` says in words what could not be drawn.

    `pictures` has cells and weights by the key of the trial, for each method's first seed.
    """

    block: Block
    main: Table
    comparisons: list[Table]
    bests: Table
    trials: Table
    statements: list[str]
    trajectory: ReportFigure | None
    losses: ReportFigure | None
    weights: list[ReportFigure] = field(default_factory=list)
    cells: list[ReportFigure] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    pictures: dict[str, Pictures] = field(default_factory=dict)

    @property
    def curves(self) -> list[ReportFigure]:
        """The figures of all trials together."""
        return [drawn for drawn in (self.trajectory, self.losses) if drawn]

    @property
    def drawn(self) -> list[ReportFigure]:
        """Every figure."""
        return [*self.curves, *self.weights, *self.cells]

    @property
    def tables(self) -> list[Table]:
        """The tables that LaTeX gets as well."""
        return [self.main, *self.comparisons, self.bests]


@dataclass(frozen=True)
class MethodDeclaration:
    """One configuration's declarations, as (name, value) in words, and the trials that share it."""

    method: str
    where: str
    declarations: list[tuple[str, str]]


def sections(results: Results, space_of: SpaceOf) -> list[Section]:
    """A section for each block. Raises `InputError` for a record whose genotype does not parse."""
    method_styles = styles(results.methods)
    return [_section(block, results, space_of, method_styles) for block in results.blocks]


def conditions(records: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """The environment and protocol of all records: a name and its distinct values, counted where they differ."""
    datasets = records["dataset"].astype(str) + " (digest " + records["dataset_digest"].astype(str) + ")"
    pairs = zip(records["protocol"].astype(str), records["scale"].astype(str), strict=True)
    software = [", ".join(f"{name} {value}" for name, value in found.items()) for found in records["environment"]]
    scales = pd.Series([f"{protocol}: {scale_words(protocol, scale)}" for protocol, scale in pairs])
    return [
        ("Protocol and scale", _counted(scales)),
        ("Scores are", _counted(records["evaluation"].astype(str) + ": " + records["convention"].astype(str))),
        ("Data sets", _counted(datasets)),
        ("Seeds", [", ".join(str(seed) for seed in sorted(records["seed"].unique()))]),
        ("Device", _counted(records["device"].astype(str) + ", threads " + records["threads"].astype(str))),
        ("Engine", _counted(records["engine"].astype(str))),
        ("Version", _counted("dartboard " + records["version"].astype(str))),
        ("Environment", _counted(pd.Series(software))),
    ]


def recipes(records: pd.DataFrame) -> list[MethodDeclaration]:
    """The distinct declarations of every method, with the spaces and protocols in which they held."""
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in named_rows(records.sort_values(["method", "space", "protocol"])):
        declared = json.dumps(row["recipe"], sort_keys=True, default=str)
        grouped.setdefault((str(row["method"]), declared), []).append(row)
    return [
        MethodDeclaration(
            method,
            ", ".join(dict.fromkeys(f"{row['space']} ({row['protocol']})" for row in rows)),
            [(name.replace("_", " "), words(value)) for name, value in flat(rows[0]["recipe"]).items()],
        )
        for (method, _), rows in grouped.items()
    ]


def _section(block: Block, results: Results, space_of: SpaceOf, method_styles: dict[str, Style]) -> Section:
    comparison = with_statements(block.comparison, block.scores)
    histories = results.histories
    section = Section(
        block=block,
        main=tables.main(block),
        comparisons=tables.comparisons(block, comparison),
        bests=tables.best(
            bests(block.scores), f"{block.title}, best of k searches: {block.conditions}", f"{block.slug}-bests"
        ),
        trials=tables.trials(block),
        statements=[*pairing_sentences.statements(comparison), *(str(words) for words in comparison["statement"])],
        trajectory=search_figures.accuracy_trajectory(block, histories, method_styles) if len(histories) else None,
        losses=search_figures.loss_curves(block, histories, method_styles) if len(histories) else None,
    )
    if section.trajectory is None:
        section.missing.append("No trajectory is drawn: the histories do not hold the metric of every epoch.")
    # The first seed of each method is drawn, so that no trial is chosen by its result.
    for trial in named_rows(block.records.drop_duplicates("label")):
        found = trial_page.draw(block, trial, results.history(str(trial["key"])), space_of)
        section.pictures[str(trial["key"])] = found
        section.cells.extend(found.cells)
        section.weights.extend(found.weights)
        section.missing.extend(found.missing)
    return section


def _counted(words: "pd.Series[str]") -> list[str]:
    counts = words.value_counts(sort=False).sort_index()
    if len(counts) == 1:
        return [str(counts.index[0])]
    return [f"{value} ({counted(count, 'trial')})" for value, count in counts.items()]
