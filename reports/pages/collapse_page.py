"""What a report says of collapse: a part a block, the early warning over all of them, a page for each watched trial."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from reports.collapse import definition, early_warning
from reports.collapse.definition import Criterion
from reports.figures import collapse_figures
from reports.figures.axes import styles
from reports.figures.report_figure import ReportFigure
from reports.records.blocks import BASELINE, Block, SpaceOf
from reports.records.results import Results
from reports.sentences.contrast_sentences import statements as contrast_statements
from reports.statistics.contrasts import compare_shares
from reports.tables import collapse_tables
from reports.tables.tables import Table, named_rows


@dataclass(frozen=True)
class BlockCollapse:
    """One block: its shares, how they compare (`None` for one method), every verdict, the survival curves."""

    block: Block
    shares: Table
    contrasts: Table | None
    verdicts: Table
    statements: list[str]
    curves: pd.DataFrame
    survival: ReportFigure | None


@dataclass(frozen=True)
class ProbedTrial:
    """The figures that only a trial with probes has."""

    key: str
    films: list[ReportFigure]
    timeline: ReportFigure
    cells: list[ReportFigure]


@dataclass(frozen=True)
class Collapse:
    """All of it. `warnings` is None where nothing could be scored."""

    criterion: Criterion
    parts: list[BlockCollapse]
    warnings: Table | None
    rules: Table
    statements: list[str]
    pages: list[ProbedTrial] = field(default_factory=list)

    @property
    def tables(self) -> list[Table]:
        """The tables that LaTeX gets as well."""
        compared = [table for part in self.parts for table in (part.shares, part.contrasts) if table]
        return [*compared, *([self.warnings] if self.warnings else []), self.rules]

    @property
    def drawn(self) -> list[ReportFigure]:
        """The figures that LaTeX gets as well: a page's films and probes are for the screen."""
        return [part.survival for part in self.parts if part.survival]


def gather(
    results: Results,
    space_of: SpaceOf,
    criterion: Criterion | None = None,
    *,
    pages: bool = True,
) -> Collapse:
    """The collapse analysis of the results; with `pages`, also the figures of each trial with probes."""
    criterion = criterion or Criterion()
    judged = [
        (block, definition.trials(block.records, results.by_trial, space_of, criterion)) for block in results.blocks
    ]
    method_styles = styles(results.methods)
    parts = []
    for block, trials in judged:
        shares = definition.shares(trials, criterion.base_rate(space_of(block.space)))
        compared = compare_shares(shares, BASELINE if BASELINE in block.methods else None)
        curves = definition.survival(trials)
        parts.append(
            BlockCollapse(
                block=block,
                shares=collapse_tables.shares(block, shares, criterion),
                contrasts=collapse_tables.contrasts(block, compared),
                verdicts=collapse_tables.verdicts(block, trials),
                statements=definition.statements(shares) + contrast_statements(compared),
                curves=curves,
                survival=collapse_figures.survival_curves(block, curves, method_styles) if len(curves) else None,
            )
        )
    scored = early_warning.scores(judged, results)
    called = early_warning.alarms(judged, results, space_of)
    conditions = f"Over {results.conditions}"
    return Collapse(
        criterion=criterion,
        parts=parts,
        warnings=None if scored.empty else collapse_tables.warnings(early_warning.pooled(scored), conditions),
        rules=collapse_tables.alarms(called, conditions),
        statements=early_warning.statements(scored, called),
        pages=_pages(judged, results, space_of) if pages else [],
    )


def _pages(judged: Sequence[tuple[Block, pd.DataFrame]], results: Results, space_of: SpaceOf) -> list[ProbedTrial]:
    """The figures of each trial with a probe in its history."""
    made = []
    for block, trials in judged:
        for trial in named_rows(trials[trials["verdict"] != definition.UNKNOWN]):
            history = results.by_trial[str(trial["key"])]
            columns = [
                str(name)
                for name in history
                if str(name).startswith("probe.") and history[name].notna().any() and not _lists(history[name])
            ]
            if columns:
                made.append(_probed(trial, history, columns, space_of(block.space)))
    return made


def _probed(trial: dict[str, Any], history: pd.DataFrame, columns: Sequence[str], space: Any) -> ProbedTrial:
    texts = dict(zip(history["epoch"], history["genotype"], strict=True))
    genotypes = {epoch: space.parse(text) for epoch, text in texts.items()}
    first = genotypes[min(genotypes)]
    films = [
        collapse_figures.weight_heatmap(trial, history, kind, first.possible_edges(), space.operations)
        for kind in first.kinds
        if f"weights.{kind}" in history and _lists(history[f"weights.{kind}"])
    ]
    moments = {
        min(genotypes): f"after epoch {min(genotypes)}, the first",
        int(trial["best_epoch"]): f"after epoch {trial['best_epoch']}, its best",
        int(trial["epochs"]): f"after epoch {trial['epochs']}, returned",
    }
    return ProbedTrial(
        key=str(trial["key"]),
        films=films,
        timeline=collapse_figures.probe_timeline(trial, history, columns, float(trial["onset"])),
        cells=[
            collapse_figures.cell_at_epoch(trial, genotypes[epoch], kind, when)
            for epoch, when in moments.items()
            for kind in first.kinds
        ],
    )


def _lists(column: "pd.Series[Any]") -> bool:
    return isinstance(column.dropna().iloc[0], list | np.ndarray) if column.notna().any() else False
