"""`dartboard data` checks, downloads and imports data; `dartboard query` looks up an architecture."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from spaces.common.errors import InputError
from suite.commands.options import DataRoot
from suite.terminal.console import Json, console, emit, errors, plain_errors, table

ALL = "all"


def register(app: typer.Typer) -> None:
    """Put `data status`, `data fetch`, `data import` and `query` on `app`."""
    data = typer.Typer(help="Check, download and import data sets and tables.", no_args_is_help=True)
    data.command()(plain_errors(status))
    data.command()(plain_errors(fetch))
    data.command("import")(plain_errors(import_))
    app.add_typer(data, name="data")
    app.command()(plain_errors(query))


def status(as_json: Json = False, data_root: DataRoot = None) -> None:
    """Show which data sets and tables are here, verified by checksum, and how to get the others."""
    from suite.data import root
    from suite.data import status as data_status

    folder = root.data_root(data_root)
    rows = data_status.status(folder)

    def show() -> None:
        console.print(f"data root: {folder}", markup=False, soft_wrap=True)
        console.print(table("Data", rows))

    emit({"root": str(folder), "data": rows}, as_json, show)


def fetch(
    name: Annotated[str, typer.Argument(help="Its name; `dartboard data status` says which can be downloaded.")],
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Download the official files of a data set to the data root and verify them."""
    from spaces.common.errors import unknown
    from suite.data import root
    from suite.data.registry import DATASETS
    from suite.data.status import data_set_status

    folder = root.data_root(data_root)
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    with redirect_stdout(sys.stderr):  # torchvision may print to stdout, which is for the result
        DATASETS[name].fetch(folder)
    row = data_set_status(name, folder)
    said = f"{name}: {row['state']} ({row['detail']})"
    emit({"root": str(folder), **row}, as_json, lambda: console.print(said, markup=False, soft_wrap=True))


def import_(
    name: Annotated[str, typer.Argument(help="The table to make: nats-tss.")],
    file: Annotated[Path, typer.Argument(help="The official archive (folder or file), or a table .csv or .csv.gz.")],
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Convert the official archive, or a CSV table, to a compact table in the data root."""
    from rich.progress import Progress

    from spaces.common.errors import unknown
    from spaces.tabular.benchmark import BENCHMARKS
    from suite.data import root
    from suite.data.status import table_status

    if name not in BENCHMARKS:
        raise unknown("table", name, BENCHMARKS)
    folder = root.data_root(data_root)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(f"reading {file.name}", total=None)
        path = BENCHMARKS[name].make(file, folder, lambda done, total: bar.update(task, completed=done, total=total))
    row = table_status(BENCHMARKS[name], folder)
    said = f"{path}: {row['detail']}"
    emit({"path": str(path), **row}, as_json, lambda: console.print(said, markup=False, soft_wrap=True))


def query(
    architecture: Annotated[str, typer.Argument(help="As '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'.")],
    dataset: Annotated[str, typer.Option(help="cifar10, cifar100, imagenet16-120, or all three.")] = ALL,
    split: Annotated[str, typer.Option(help="test or valid.")] = "test",
    epochs: Annotated[int, typer.Option(help="Training epochs of the accuracy: 200 or 12.")] = 200,
    as_json: Json = False,
    data_root: DataRoot = None,
) -> None:
    """Look up an architecture of nats-tss in the tabular benchmark."""
    from dataclasses import asdict

    from spaces.tabular.benchmark import NATS_TSS
    from suite.data import root

    architecture = architecture.strip()
    folder = root.data_root(data_root)
    found = NATS_TSS.open(folder)
    if found is None:
        missing = f"there is no {NATS_TSS.title} table in {folder}"
        raise InputError(f"{missing}: {NATS_TSS.how_to_import}, or name another --data-root")
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
