"""`dartboard latency` measures the latency of each operation of a supernet on this device."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from spaces import DEFAULT_SPACE
from spaces.common.errors import InputError
from spaces.common.plural import counted
from suite.terminal.console import Json, console, emit, plain_errors, table


def register(app: typer.Typer) -> None:
    """Put `latency` on `app`."""
    app.command()(plain_errors(latency))


def latency(
    space: Annotated[str, typer.Option(help="A search space of images.")] = DEFAULT_SPACE,
    channels: Annotated[int | None, typer.Option(min=1, help="Initial channels [as `rarts` searches: 16].")] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells [as `rarts` searches on that space].")] = None,
    size: Annotated[int, typer.Option(min=1, help="Height and width of an image, pixels.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Images in a pass.")] = 1,
    device: Annotated[str, typer.Option(help="auto (cuda if it is here), cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads, on a CPU.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Passes, whose median is taken.")] = 20,
    out: Annotated[Path, typer.Option(help="The table's file.")] = Path("latency.json"),
    as_json: Json = False,
) -> None:
    """Measure a latency table for `rarts`: milliseconds for each operation and input shape of a supernet.

    `dartboard search rarts --set latency_table=FILE --set latency_weight=0.002` searches with it.
    """
    from importlib.metadata import version

    from methods import get_method
    from methods.search.settings import resolve
    from spaces import get_space
    from spaces.cells.latency import LatencyTable, measure
    from spaces.common.streams import seeded
    from suite.compute import pick_device
    from suite.environment import device_name, make_deterministic

    searched, method = get_space(space), get_method("rarts")
    if not searched.trials:
        raise InputError(f"{space} has no operations that could take time: choose a space of images")
    usual, _ = resolve(method.options, method.layers(searched))
    channels, cells = channels or usual.channels, cells or usual.cells
    for kind in searched.kinds:
        searched.cells_of(kind, cells)
    kind_of_device = pick_device(device, usual="cuda")
    if out.is_dir():
        raise InputError(f"{out} is a folder: name a file")
    make_deterministic(threads)
    try:
        with seeded(0, "latency"):
            net = searched.supernet(channels, cells, classes=10).to(kind_of_device)
        costs = measure(net, size, batch, kind_of_device, repeats)
    except RuntimeError as error:  # torch's: images that shrink to nothing, or too little memory
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"no {space} supernet of {counted(channels, 'channel')} and {searched.count_cells(cells)} runs on "
            f"{counted(batch, 'image')} of {size} x {size}: "
            f"change --size, --batch or --channels ({reason})"
        ) from error
    found = LatencyTable(
        space=space,
        channels=channels,
        cells=cells,
        size=size,
        batch=batch,
        device=device_name(kind_of_device),
        threads=threads,
        torch=version("torch"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        costs=tuple(costs),
    )
    found.write(out)
    rows = [
        {
            "operation": each.operation,
            "input": " x ".join(map(str, each.input)),
            "output": " x ".join(map(str, each.output)),
            "ms": f"{each.cost:.4g}",
            "stands at": counted(len(each.at), "edge"),
        }
        for each in sorted(found.costs, key=lambda c: (searched.operations.index(c.operation), c.input[1:], c.output))
    ]
    size_in_words = f"{counted(channels, 'channel')}, {searched.count_cells(cells)}"
    title = f"{space}, {size_in_words}, on {found.where}: milliseconds a pass"

    def show() -> None:
        console.print(table(title, rows))
        console.print(f"table: {out}", markup=False, soft_wrap=True)

    emit({"file": str(out), **json.loads(found.model_dump_json())}, as_json, show)
