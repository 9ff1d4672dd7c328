"""`dartboard report`: records as pages and as LaTeX."""

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite.terminal.console import Json, console, emit, plain_errors
from suite.terminal.tables import print_table, rows

if TYPE_CHECKING:
    from pandas import DataFrame

# The columns of the main table that fit a terminal.
MAIN = ("Method", "n", "Mean ± std", "95 % interval", "Skip share", "Difference", "Verdict")


def register(app: typer.Typer) -> None:
    """Put `report` on `app`."""
    app.command()(plain_errors(report))


def report(
    runs: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    out: Annotated[Path, typer.Option(help="The report's folder; an earlier report there is replaced.")],
    exhibit: Annotated[
        list[Path] | None,
        typer.Option(help="Your own exhibit, a TOML file, shown beside the papers'; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a study: pages that need no network, and LaTeX with tables and figures."""
    document, show = build_report(runs, out, own=exhibit or [])
    emit(document, as_json, show)


def build_report(
    runs: Path,
    out: Path,
    root: Path | None = None,
    keys: Collection[str] | None = None,
    own: Iterable[Path] = (),
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Write a report of the records in `runs` to `out`; return its document for JSON and a function that prints it.

    The tabular benchmark is read from the data root `root`. `keys`, if given, select the trials; `own` are files of a
    user's own exhibits.

    Raises `InputError` as `suite.exhibits.own_exhibits.read_own`, `suite.store.load_frames` and `reports.render.build`.
    """
    from reports.records.results import Results
    from reports.render import build
    from reports.tables import tables
    from spaces.tabular.benchmark import NATS_TSS
    from suite.data.root import data_root as root_of
    from suite.exhibits.own_exhibits import read_own
    from suite.exhibits.solved import solved
    from suite.store import load_frames

    shown = read_own(own)
    records, histories = load_frames(runs)
    if keys is not None:
        records, histories = (frame[frame["key"].isin(keys)].reset_index(drop=True) for frame in (records, histories))
    # The landscape page needs a record that was looked up in the table, and the table itself.
    table = NATS_TSS.open(root or root_of(None)) if "tabular" in set(records["evaluation"]) else None
    whole = table.frame if table and table.whole else None
    results = Results.of(records, histories)
    page = build(results, out, table=whole, recipes=registry(), solved=solved(shown), own=shown)
    mains = [tables.main(block) for block in results.blocks]
    document = {
        "report": str(page),
        "tables": [{"caption": main.caption, "rows": rows(main.frame)} for main in mains],
    }

    def show() -> None:
        for main in mains:
            print_table(main, MAIN)
        console.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)

    return document, show


def registry() -> "DataFrame":
    """Every registered method, a row each: name, title, source, spaces, options (with defaults), declaration."""
    import pandas as pd

    from methods import METHODS, get_method

    rows = []
    for name in METHODS:
        method = get_method(name)
        declared = method.declaration()
        rows.append(
            {
                "name": name,
                "title": declared["title"],
                "source": declared["source"],
                "spaces": list(method.spaces),
                "options": {option.name: option.default for option in method.options},
                "declaration": declared,
            }
        )
    return pd.DataFrame(rows)
