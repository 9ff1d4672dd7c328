"""What every command shares: the console for people, the JSON document for machines, the report of errors."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from spaces.common.errors import InputError

if TYPE_CHECKING:
    from suite.data.sets import Dataset

console = Console()
errors = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


def emit(document: Any, as_json: bool, show: Callable[[], None]) -> None:
    """Print `document` as JSON on stdout if `as_json`, else call `show`, which prints it for a person."""
    if as_json:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        show()


def table(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> Table:
    """A Rich table of `rows` with the `columns` in that order (default: the first row's keys)."""
    shown = Table(title=title, title_justify="left")
    names = list(columns or (rows[0] if rows else []))
    for name in names:
        numeric = bool(rows) and isinstance(rows[0].get(name), int | float)
        shown.add_column(name.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*("" if row.get(name) is None else str(row[name]) for name in names))
    return shown


def print_error(words: str) -> None:
    """Print `words` on stderr as they are, without markup."""
    errors.print(words, markup=False, highlight=False, soft_wrap=True)


def print_notes(datasets: "Iterable[Dataset]") -> None:
    """Print on stderr, one line for each data set, how a user's own files were changed without being asked to."""
    for line in dict.fromkeys(f"{dataset.name}: {'; '.join(dataset.notes)}" for dataset in datasets if dataset.notes):
        print_error(line)


P = ParamSpec("P")
R = TypeVar("R")


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an `InputError` into one line on stderr, followed by its details if it has any, and exit status 2."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except InputError as error:
            # Names in the message may contain line breaks.
            words = " ".join(str(error).splitlines())
            errors.print(f"dartboard: {words}", style="red", markup=False, highlight=False, soft_wrap=True)
            if error.details:
                print_error(error.details)
            raise typer.Exit(2) from error

    return run
