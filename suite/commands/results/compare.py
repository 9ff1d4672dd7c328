"""`dartboard compare`: the statistics of methods against one another, in the terminal."""

import math
from pathlib import Path
from typing import Annotated

import typer

from reports.statistics.values.direction import HIGHER, LOWER, SIGNS
from spaces.common.errors import InputError, unknown
from suite.commands.results.compared_values import read_values
from suite.commands.results.comparisons import CrossBlockRanking, compare_spaces, print_statements
from suite.terminal.console import Json, emit, plain_errors


def register(app: typer.Typer) -> None:
    """Put `compare` on `app`."""
    app.command()(plain_errors(compare))


def compare(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS_OR_CSV",
            help="A folder of runs, or a CSV with the columns method, seed and value (or accuracy, error, loss, …) "
            "and optionally space, dataset, convention, noise, better, unit and shared.",
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
            help="Whether to pair methods by seed [paired in a folder of runs, where trials of one seed share random "
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
    """Compare methods: means, intervals, corrected tests, effect sizes and ranks, in tables and in words."""
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise InputError(f"--margin {margin:g}: give a number above 0, in the values' unit")
    if better is not None and better not in SIGNS:
        raise InputError(f"--better {better}: give {HIGHER} or {LOWER}, whichever values are better")
    protocols, said, warnings = read_values(source, metric, better, paired)
    if baseline is not None:
        methods = {str(method) for values in protocols for method in values.whole["method"]}
        if baseline not in methods:
            raise unknown("baseline", baseline, methods)
    groups = [
        group
        for values in protocols
        for part in values.parts
        for group in compare_spaces(*part, baseline, values.margin if margin is None else margin)
    ]
    rankings = [CrossBlockRanking.of(values) for values in protocols]
    document = {
        "source": str(source),
        "margin": protocols[0].margin if margin is None else margin,
        "declared": said,
        "warnings": warnings,
        "groups": [group.document() for group in groups],
        "across": [ranking.document() for ranking in rankings],
    }

    def show() -> None:
        print_statements([*said, *(f"Warning: {words}." for words in warnings)])
        for group in groups:
            group.show()
        for ranking in rankings:
            ranking.show()

    emit(document, as_json, show)
