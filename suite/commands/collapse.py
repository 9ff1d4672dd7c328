"""`dartboard collapse`: which searches collapsed, when, and what told it beforehand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite.commands.report import print_table, rows_of
from suite.console import Json, console, emit, plain_errors

if TYPE_CHECKING:
    from reports.core.collapse_page import Collapse

VERDICTS = ("Method", "Seed", "Verdict", "Onset (epoch)")


def register(app: typer.Typer) -> None:
    """Put `collapse` on `app`."""
    app.command()(plain_errors(collapse))


def collapse(
    runs: Annotated[Path, typer.Argument(help="A folder of runs.")],
    idle: Annotated[
        float | None, typer.Option(help="The share of idle edges (skip_connect, none, noise) that is a collapse [0.6].")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which searches collapsed and when, how surely each method does, and which probe told it how early."""
    from reports.collapse import Criterion
    from reports.core.collapse_page import gather
    from spaces import get_space
    from suite.store import load_frames

    criterion = Criterion() if idle is None else Criterion(idle)
    found = gather(*load_frames(runs), get_space, criterion, pages=False)
    emit(_document(found), as_json, lambda: _show(found))


def _document(found: "Collapse") -> dict[str, Any]:
    return {
        "criterion": found.criterion.words(),
        "groups": [
            {
                "space": part.block.space,
                "dataset": part.block.dataset,
                "conditions": part.block.conditions,
                "shares": rows_of(part.shares.frame),
                "trials": rows_of(part.verdicts.frame),
                "survival": rows_of(part.curves),
                "statements": part.statements,
            }
            for part in found.parts
        ],
        "early_warning": rows_of(found.warnings.frame) if found.warnings else [],
        "rules": rows_of(found.rules.frame),
        "statements": found.statements,
    }


def _show(found: "Collapse") -> None:
    console.print(found.criterion.words(), markup=False, highlight=False)
    for part in found.parts:
        print_table(part.shares)
        print_table(part.verdicts, VERDICTS)
        for words in part.statements:
            console.print(words, markup=False, highlight=False)
        console.print()
    for table in [*([found.warnings] if found.warnings else []), found.rules]:
        print_table(table)
    for words in found.statements:
        console.print(words, markup=False, highlight=False)
