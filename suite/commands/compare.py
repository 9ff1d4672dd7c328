"""`dartboard compare`: what the differences between methods support, in the terminal."""

import math
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reports.statistics.values.direction import HIGHER, LOWER, SIGNS
from spaces.common.errors import InputError, unknown
from suite.commands.results_csv import read_csv
from suite.terminal.console import Json, console, emit, plain_errors
from suite.terminal.tables import plain, print_table, rows

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.statistics.rankings import Rankings

# What a terminal has room for.
MEANS = ("Method", "n", "Mean ± std", "95 % interval", "Convention", "Spread is of")
BESTS = ("Method", "Convention", "Value", "Expected")
PLANNED = ("Method", "Against", "TOST p (Holm)", "Within", "Shown from", "Seeds")
VERSUS = ("Method", "n", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")
PAIRS = ("Method", "Against", "Difference", "95 % interval", "p", "p (Holm)", "A12", "Verdict")


def register(app: typer.Typer) -> None:
    """Put `compare` on `app`."""
    app.command()(plain_errors(compare))


def compare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS_OR_CSV",
            help="A folder of runs, or a CSV with the columns method, seed and value (or accuracy, error, loss, …), "
            "and space, dataset, convention, noise, better, unit and shared where they are known.",
        ),
    ],
    baseline: Annotated[
        str | None, typer.Option(help="The method to compare the others with [darts-1st, where it ran].")
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="The column to compare, of the records [their task's metric] or of the CSV [value, or a metric's "
            "name]."
        ),
    ] = None,
    better: Annotated[
        str | None,
        typer.Option(
            metavar=f"[{HIGHER}|{LOWER}]", help="Which way is better [what the metric's name says, else higher]."
        ),
    ] = None,
    paired: Annotated[
        bool | None,
        typer.Option(
            "--paired/--unpaired",
            help="Pair methods by seed, or do not [paired in a folder of runs, where trials of one seed share random "
            "streams; unpaired in a CSV].",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Test equivalence within plus or minus this much, in the values' unit [0.5 for the accuracies of a "
            "folder of runs, else no such test]."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what the differences between methods support: means, intervals, corrected tests, ranks, in words."""
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise InputError(f"--margin {margin:g}: give a number above 0, in the values' unit")
    if better is not None and better not in SIGNS:
        raise InputError(f"--better {better}: give {HIGHER} or {LOWER}, whichever values are better")
    batches, said, warnings = _read(source, metric, better, paired)
    if baseline is not None:
        methods = {str(method) for batch in batches for method in batch.whole["method"]}
        if baseline not in methods:
            raise unknown("baseline", baseline, methods)
    groups = [
        group
        for batch in batches
        for part in batch.parts
        for group in _groups(*part, baseline, batch.margin if margin is None else margin)
    ]
    views = [View.of(batch) for batch in batches]
    document = {
        "source": str(source),
        "margin": margin,
        "declared": said,
        "warnings": warnings,
        "groups": [group.document() for group in groups],
        "across": [view.document() for view in views],
    }

    def show() -> None:
        _print_statements([*said, *(f"Warning: {words}." for words in warnings)])
        for group in groups:
            group.show()
        for view in views:
            view.show()

    emit(document, as_json, show)


@dataclass(frozen=True)
class Batch:
    """Values under one protocol: `whole` for what goes across blocks, `parts` (conditions in words, values) within.

    `margin`: within plus or minus this much two values are equally good, where the user does not say.
    """

    conditions: str
    parts: "list[tuple[str, DataFrame]]"
    whole: "DataFrame"
    margin: float | None = None


def _read(
    source: Path, metric: str | None, better: str | None, paired: bool | None
) -> tuple[list[Batch], list[str], list[str]]:
    """The batches of a CSV or of a folder of runs; what their values are taken for; what may be amiss with them."""
    from reports.sentences import declared_sentences
    from reports.statistics.values import declared

    if not source.is_dir():
        found = declared.declare(read_csv(source), str(source), metric, better, paired)
        given = "values as given"
        said, warnings = declared_sentences.said(found), declared_sentences.warnings(found)
        return [Batch(given, [(given, found.values)], found.values)], said, warnings
    from reports.pages.cross_block import conditions, values_of
    from reports.records.blocks import MARGIN
    from reports.records.results import Results
    from suite.store import load_frames

    results = Results.of(*load_frames(source))
    batches = []
    for own in results.protocols():
        parts = [(block.conditions, declared.pair(block.values(metric, better), paired)) for block in own]
        whole = declared.pair(values_of(own, metric, better), paired)
        score = own[0].metric
        margin = MARGIN if score.unit == "%" and metric in (None, score.name) else None
        batches.append(Batch(conditions(own), parts, whole, margin))
    first, name = batches[0].whole, metric or results.blocks[0].metric.name
    said = declared_sentences.directions(
        first,
        declared_sentences.BY_OPTION if better else declared_sentences.by_name(name),
    )
    if paired is not None:
        said += declared_sentences.pairing(first, paired)
    alike = [group for batch in batches for group in declared.look_alikes(batch.whole)]
    return batches, said, list(dict.fromkeys(declared_sentences.look_alikes(alike)))


@dataclass(frozen=True)
class Group:
    """The statistics of one space and data set under one set of conditions."""

    space: str
    dataset: str
    better: str
    conditions: str
    summary: "DataFrame"
    pairs: "DataFrame"
    bests: "DataFrame"
    baseline: str | None
    versus: "DataFrame | None"

    @property
    def told(self) -> "DataFrame":
        """The comparisons that are told in words: against the baseline where there is one, else all pairs."""
        return self.pairs if self.versus is None else self.versus

    def document(self) -> dict[str, Any]:
        """The group for machines; `against_baseline` is null where no baseline ran."""
        return {
            "space": self.space,
            "dataset": self.dataset,
            "conditions": self.conditions,
            "better": self.better,
            "pairing": self.pairing(),
            "methods": rows(self.summary),
            "bests": rows(self.bests),
            "pairs": rows(self.pairs),
            "baseline": self.baseline,
            "against_baseline": None if self.versus is None else rows(self.versus),
            "statements": self.statements(),
        }

    def pairing(self) -> list[str]:
        """In words: what paired methods share, and whether that paid."""
        from reports.sentences import pairing_sentences

        return pairing_sentences.statements(self.told)

    def statements(self) -> list[str]:
        """In words: what the comparisons say, then what was not compared."""
        from reports.sentences import best_sentences

        said = [str(words) for words in self.told["statement"]] or [_uncompared(len(self.summary))]
        return said + best_sentences.statements(self.bests)

    def show(self) -> None:
        """Print the group for a person."""
        from reports.statistics.values.frame import place
        from reports.tables import tables

        title = f"{place(self.space, self.dataset)}: {self.conditions}, {self.better} is better"
        print_table(tables.summary(self.summary, title), MEANS)
        print_table(tables.best(self.bests, f"Best of k searches, {title}"), BESTS)
        if self.versus is not None and len(self.versus):
            print_table(tables.compared(self.versus, f"Against {self.baseline}, {title}"), VERSUS)
        if len(self.pairs) > (0 if self.versus is None else len(self.versus)):
            print_table(tables.compared(self.pairs, f"All pairs, {title}"), PAIRS)
        if len(self.told):
            print_table(tables.planned(self.told, f"Equivalence and power, {title}"), PLANNED)
        _print_statements([*self.pairing(), *self.statements()])


@dataclass(frozen=True)
class View:
    """The rankings across the spaces and data sets of one batch."""

    conditions: str
    rankings: "Rankings"

    @classmethod
    def of(cls, batch: Batch) -> "View":
        """The view of all of the batch's values."""
        from reports.statistics.rankings import rank_methods

        return cls(batch.conditions, rank_methods(batch.whole))

    def document(self) -> dict[str, Any]:
        """The view for machines; `friedman` is null for fewer than three methods or two blocks."""
        from reports.sentences import ranking_sentences

        friedman = self.rankings.friedman
        return {
            "conditions": self.conditions,
            "blocks": self.rankings.blocks,
            "methods": rows(self.rankings.frame),
            "pairs": rows(self.rankings.pairs),
            "friedman": friedman
            and {name: plain(value) for name, value in asdict(friedman).items() if name != "ranks"},
            "critical_difference": plain(self.rankings.critical),
            "statements": ranking_sentences.statements(self.rankings),
        }

    def show(self) -> None:
        """Print the view for a person."""
        from reports.sentences import ranking_sentences
        from reports.tables import tables

        for shown in tables.ranked(self.rankings, self.conditions, "across"):
            print_table(shown)
        _print_statements(ranking_sentences.statements(self.rankings))


def _groups(conditions: str, values: "DataFrame", baseline: str | None, margin: float | None) -> list[Group]:
    from reports.records.blocks import BASELINE
    from reports.sentences.comparisons import with_statements
    from reports.statistics import comparison
    from reports.statistics.best_of_k import bests
    from reports.statistics.values.frame import split

    summary, best = comparison.summarise(values), bests(values)
    pairs = with_statements(comparison.compare(values, None, margin), values)
    chosen = baseline or BASELINE
    ran = chosen in set(split(values)[0]["method"])
    versus = with_statements(comparison.compare(values, chosen, margin), values) if ran else None
    return [
        Group(
            str(space),
            str(dataset),
            str(own["better"].iloc[0]),
            conditions,
            _at(summary, space, dataset),
            _at(pairs, space, dataset),
            _at(best, space, dataset),
            None if versus is None else chosen,
            None if versus is None else _at(versus, space, dataset),
        )
        for (space, dataset), own in values.groupby(["space", "dataset"], sort=True)
    ]


def _at(frame: "DataFrame", space: Hashable, dataset: Hashable) -> "DataFrame":
    return frame[(frame["space"] == space) & (frame["dataset"] == dataset)]


def _uncompared(methods: int) -> str:
    if methods:
        return "One method ran here, so nothing is compared."
    return "Only bests of several searches are known here, so nothing is compared."


def _print_statements(statements: list[str]) -> None:
    for words in statements:
        console.print(words, markup=False, highlight=False)
    console.print()
