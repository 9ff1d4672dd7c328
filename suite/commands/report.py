"""`dartboard report`: what the records say, as a page and as LaTeX."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer

from suite.commands.printing import print_table, rows
from suite.console import Json, console, emit, plain_errors

# What a terminal has room for, of the main table.
MAIN = ("Method", "n", "Mean ± std", "95 % interval", "Skip share", "Difference", "Verdict")


def register(app: typer.Typer) -> None:
    """Put `report` on `app`."""
    app.command()(plain_errors(report))


def report(
    runs: Annotated[Path, typer.Argument(help="The folder of a study's runs.")],
    out: Annotated[Path, typer.Option(help="The report's folder; an earlier report there is replaced.")],
    as_json: Json = False,
) -> None:
    """Write a study's report: one offline page, and LaTeX with its tables and figures."""
    document, show = build_report(runs, out)
    emit(document, as_json, show)


def build_report(
    runs: Path, out: Path, root: Path | None = None, keys: Collection[str] | None = None
) -> tuple[dict[str, Any], Callable[[], None]]:
    """Report the records below `runs` to `out`; the page's path and main tables for JSON, and what prints them.

    The tabular benchmark is looked for in the data root `root`; `keys`, if given, are the trials that are reported.

    Raises `InputError` as `suite.store.load_frames` and `reports.render.build`.
    """
    from reports import tables
    from reports.core.blocks import blocks
    from reports.render import build
    from spaces.core.tabular import Table
    from spaces.core.tabular_files import ARCHITECTURES
    from suite.core.root import data_root as root_of
    from suite.store import load_frames

    records, histories = load_frames(runs)
    if keys is not None:
        records, histories = (frame[frame["key"].isin(keys)].reset_index(drop=True) for frame in (records, histories))
    # Where something was looked up in the table, and that is still here, its landscape is shown.
    table = Table.open(root or root_of(None)) if "tabular" in set(records["evaluation"]) else None
    page = build(records, histories, out, table=table.frame if table and len(table) == ARCHITECTURES else None)
    mains = [tables.main(block, tables.comparison(block)) for block in blocks(records)]
    document = {
        "report": str(page),
        "tables": [{"caption": main.caption, "rows": rows(main.frame)} for main in mains],
    }

    def show() -> None:
        for main in mains:
            print_table(main, MAIN)
        console.print(f"report: {page}", markup=False, highlight=False, soft_wrap=True)

    return document, show
