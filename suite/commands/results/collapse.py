"""`dartboard collapse`: which searches collapsed, when, and which probes warned before."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces.common.errors import InputError
from suite.commands.options import DataRoot
from suite.terminal.console import Json, console, emit, plain_errors
from suite.terminal.tables import print_table, rows

if TYPE_CHECKING:
    from pandas import DataFrame

    from reports.pages.collapse_page import Collapse
    from reports.pages.landscape_page import Landscape

VERDICTS = ("Method", "Seed", "Verdict", "Onset (epoch)")


def register(app: typer.Typer) -> None:
    """Put `collapse` on `app`."""
    app.command()(plain_errors(collapse))


def collapse(
    runs: Annotated[Path, typer.Argument(help="A folder of runs.")],
    idle: Annotated[
        float | None, typer.Option(help="The share of idle edges (skip_connect, none, noise) that is a collapse [0.6].")
    ] = None,
    landscape: Annotated[
        bool,
        typer.Option(
            "--landscape", help="Also show how accuracy depends on skip-connections in the tabular benchmark."
        ),
    ] = False,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Show which searches collapsed and when, each method's collapse rate, and how early each probe warned."""
    from reports.collapse.definition import Criterion
    from reports.pages.collapse_page import gather
    from reports.records.results import Results
    from spaces import get_space
    from suite.store import load_frames

    criterion = Criterion() if idle is None else Criterion(idle)
    results = Results.of(*load_frames(runs))
    found = gather(results, get_space, criterion, pages=False)
    document, seen = _document(found), None
    if landscape:
        from reports.pages import landscape_page

        seen = landscape_page.gather(whole_table(data_root), results)
        document["landscape"] = [] if seen is None else seen.statements
        document["landscape_results"] = [] if seen is None else rows(seen.tables[0].frame)

    def show() -> None:
        _show(found)
        if landscape:
            _show_landscape(seen)

    emit(document, as_json, show)


def whole_table(data_root: Path | None) -> "DataFrame":
    """The tabular benchmark as a data frame. Raises `InputError` where it is not installed."""
    from spaces.tabular.benchmark import NATS_TSS
    from suite.data.root import data_root as root_of

    root = root_of(data_root)
    table = NATS_TSS.open(root)
    if table is None:
        raise InputError(f"there is no {NATS_TSS.title} table in {root}: {NATS_TSS.how_to_import}")
    return table.frame


def _document(found: "Collapse") -> dict[str, Any]:
    return {
        "criterion": found.criterion.words(),
        "groups": [
            {
                "space": part.block.space,
                "dataset": part.block.dataset,
                "conditions": part.block.conditions,
                "shares": rows(part.shares.frame),
                "contrasts": rows(part.contrasts.frame) if part.contrasts else [],
                "trials": rows(part.verdicts.frame),
                "survival": rows(part.curves),
                "statements": part.statements,
            }
            for part in found.parts
        ],
        "early_warning": rows(found.warnings.frame) if found.warnings else [],
        "rules": rows(found.rules.frame),
        "statements": found.statements,
    }


def _show(found: "Collapse") -> None:
    console.print(found.criterion.words(), markup=False, highlight=False)
    for part in found.parts:
        print_table(part.shares)
        if part.contrasts:
            print_table(part.contrasts)
        print_table(part.verdicts, VERDICTS)
        for words in part.statements:
            console.print(words, markup=False, highlight=False)
        console.print()
    for table in [*([found.warnings] if found.warnings else []), found.rules]:
        print_table(table)
    for words in found.statements:
        console.print(words, markup=False, highlight=False)


def _show_landscape(seen: "Landscape | None") -> None:
    console.print()
    if seen is None:
        console.print("No trial here was evaluated in the tabular benchmark, so there is no landscape to show.")
        return
    for words in seen.statements:
        console.print(words, markup=False, highlight=False)
    print_table(seen.tables[0])
