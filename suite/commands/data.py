"""`dartboard data` says what data are here and gets the rest, `dartboard query` looks an architecture up."""

import sys
from contextlib import redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from spaces.common.errors import InputError
from suite.commands.options import DataRoot
from suite.console import Json, console, emit, errors, plain_errors, table

ALL = "all"
HOW_TO_IMPORT = "run `dartboard data import nats-tss FILE` on the NATS-Bench archive or a table made from it"


class TableName(StrEnum):
    """What can be imported."""

    nats_tss = "nats-tss"


def register(app: typer.Typer) -> None:
    """Put `data status`, `data fetch`, `data import` and `query` on `app`."""
    data = typer.Typer(help="Which data sets and tables are here, and how to get the rest.", no_args_is_help=True)
    data.command()(plain_errors(status))
    data.command()(plain_errors(fetch))
    data.command("import")(plain_errors(import_))
    app.add_typer(data, name="data")
    app.command()(plain_errors(query))


def status(as_json: Json = False, data_root: DataRoot = None) -> None:
    """Say which data sets and tables are here, verified by checksum, and how to get the rest."""
    from suite.data import readers, root

    folder = root.data_root(data_root)
    rows = [_data_set(name, folder) for name in readers.FILES] + [_table(folder)]

    def show() -> None:
        console.print(f"data root: {folder}", markup=False, soft_wrap=True)
        console.print(table("Data", rows))

    emit({"root": str(folder), "data": rows}, as_json, show)


def _data_set(name: str, folder: Path) -> dict[str, Any]:
    from suite.data import readers

    if not readers.present(name, folder):
        return {"name": name, "state": "missing", "detail": readers.how_to_get(name)}
    try:
        readers.verify(name, folder)
    except InputError as error:
        return {"name": name, "state": "damaged", "detail": str(error)}
    detail = "official files, MD5 verified" if name in readers.DOWNLOADED else "bundled with scikit-learn"
    return {"name": name, "state": "here", "detail": detail}


def _table(folder: Path) -> dict[str, Any]:
    from spaces.tabular.files import ARCHITECTURES
    from spaces.tabular.table import Table

    try:
        found = Table.open(folder)
    except InputError as error:
        return {"name": "nats-tss table", "state": "damaged", "detail": str(error)}
    if found is None:
        return {"name": "nats-tss table", "state": "missing", "detail": HOW_TO_IMPORT}
    return {
        "name": "nats-tss table",
        "state": "here" if len(found) == ARCHITECTURES else "incomplete",
        "detail": f"{len(found):,} of {ARCHITECTURES:,} architectures; {found.source}",
    }


def fetch(
    name: Annotated[str, typer.Argument(help="cifar10, cifar100 or svhn.")],
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Download a data set's official files into the data root and verify them."""
    from spaces.common.errors import unknown
    from suite.data import readers, root

    folder = root.data_root(data_root)
    if name not in readers.FILES:
        raise unknown("data set", name, readers.FILES)
    with redirect_stdout(sys.stderr):  # torchvision may print, and stdout is for the answer
        readers.download(name, folder)
    row = _data_set(name, folder)
    said = f"{name}: {row['state']} ({row['detail']})"
    emit({"root": str(folder), **row}, as_json, lambda: console.print(said, markup=False, soft_wrap=True))


def import_(
    name: Annotated[TableName, typer.Argument(help="The table to make.")],
    file: Annotated[Path, typer.Argument(help="The official archive (folder or file), or a table .csv or .csv.gz.")],
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Make a small, quick table in the data root from the official archive or from a table."""
    from rich.progress import Progress

    from spaces.tabular.table import import_table
    from suite.data import root

    folder = root.data_root(data_root)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"reading {file.name}", total=None)
        path = import_table(file, folder, lambda done, total: bar.update(task, completed=done, total=total))
    row = _table(folder)
    said = f"{path}: {row['detail']}"
    emit({"path": str(path), **row}, as_json, lambda: console.print(said, markup=False, soft_wrap=True))


def query(
    architecture: Annotated[str, typer.Argument(help="As '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'.")],
    dataset: Annotated[str, typer.Option(help="cifar10, cifar100, imagenet16-120, or all three.")] = ALL,
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    epochs: Annotated[int, typer.Option(help="Of the training looked up: 200 or 12.")] = 200,
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Look an architecture of nats-tss up in the tabular benchmark."""
    from dataclasses import asdict

    from spaces.tabular.table import Table
    from suite.data import root

    architecture = architecture.strip()
    folder = root.data_root(data_root)
    found = Table.open(folder)
    if found is None:
        raise InputError(f"there is no NATS-Bench table in {folder}: {HOW_TO_IMPORT}, or name another --data-root")
    names = found.datasets if dataset == ALL else (dataset,)
    answers = [asdict(found.query(architecture, name, split, epochs)) for name in names]

    def show() -> None:
        console.print(f"{architecture} (architecture {answers[0]['index']})", markup=False, soft_wrap=True)
        rows = [answer | {"accuracy": f"{answer['accuracy']:.2f} %", "std": _two(answer["std"])} for answer in answers]
        console.print(table("", rows, ("dataset", "split", "epochs", "accuracy", "std", "seeds")))
        console.print(f"source: {found.source}", markup=False, soft_wrap=True)

    emit({"architecture": architecture, "answers": answers}, as_json, show)


def _two(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
