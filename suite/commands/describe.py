"""`dartboard describe`: the cost, the shape and a drawing of a genotype."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spaces.common.errors import InputError
from suite.terminal.console import Json, console, emit, plain_errors


class Stem(StrEnum):
    """The first layers of a DARTS network."""

    cifar = "cifar"
    imagenet = "imagenet"


def register(app: typer.Typer) -> None:
    """Put `describe` on `app`."""
    app.command()(plain_errors(describe))


def describe(
    genotype: Annotated[str, typer.Argument(help="A genotype's text, or a file that holds one.")],
    space: Annotated[str, typer.Option(help="The genotype's search space.")],
    channels: Annotated[int | None, typer.Option(min=1, help="Initial channels [as papers train on CIFAR-10].")] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells [as papers train on CIFAR-10].")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Number of classes.")] = 10,
    size: Annotated[int, typer.Option(min=1, help="Height and width of an image, pixels.")] = 32,
    stem: Annotated[Stem, typer.Option(help="The stem: the first layers of the network.")] = Stem.cifar,
    draw: Annotated[Path | None, typer.Option(help="Write a drawing of each cell to this folder, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Show the parameters, multiply-adds, skip share, depth and a drawing of a genotype."""
    from reports.figures import cell_drawing
    from spaces import get_space
    from spaces.common.plural import counted
    from suite.evaluation import evaluation
    from suite.protocol import get_protocol

    of = get_space(space)
    usual, _ = evaluation(get_protocol("paper"), of, "cifar10", {})
    channels = usual.channels if channels is None else channels
    cells = usual.cells if cells is None else cells
    found = of.parse(_text(genotype))
    try:
        cost = of.cost(found, channels=channels, cells=cells, classes=classes, size=size, stem=stem.value)
    except InputError:
        raise
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:  # torch's, of the layer that fails
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"no {space} network of {counted(channels, 'channel')}, {of.count_cells(cells)} and "
            f"{counted(classes, 'class', 'classes')} can run on images of {size} x {size} with the "
            f"{stem.value} stem: change --channels or --size ({reason})"
        ) from error
    kinds = {
        kind: {
            "skip_share": found.skip_share(kind),
            "depth": found.depth(kind),
            "parametric": found.parametric(kind),
            "edges": [list(edge) for edge in found.edges(kind)],
        }
        for kind in found.kinds
    }
    document = {
        "genotype": str(found),
        "space": space,
        "network": {"channels": channels, "cells": cells, "classes": classes, "size": size, "stem": stem.value},
        **cost,
        "cells": kinds,
    }
    if draw is not None:
        try:
            draw.mkdir(parents=True, exist_ok=True)
            for kind in found.kinds:
                cell_drawing.cell_figure(found, kind).savefig(draw / f"{kind}.svg")
        except OSError as error:
            raise InputError(
                f"{draw}: the drawings cannot be written: {error.strerror or error}: name another folder"
            ) from error

    def show() -> None:
        console.print(json.dumps(str(found)).strip('"'), markup=False, soft_wrap=True)
        console.print(
            f"{cost['params']:,} parameters (auxiliary head excluded), {cost['macs']:,} multiply-adds (convolutions "
            f"and linear layers) at {counted(channels, 'channel')}, {of.count_cells(cells)}, "
            f"{counted(classes, 'class', 'classes')}, {size} x {size}"
        )
        for kind, facts in kinds.items():
            console.print(
                f"\n[bold]{escape(kind)}[/bold]: skip share {facts['skip_share']:.2f}, depth {facts['depth']}, "
                f"{counted(found.parametric(kind), 'operation')} with parameters"
            )
            console.print(cell_drawing.cell_text(found, kind), markup=False, highlight=False)

    emit(document, as_json, show)


def _text(genotype: str) -> str:
    """The text in the file `genotype`, or `genotype` itself if there is no such file."""
    path = Path(genotype)
    try:
        if len(genotype) >= 200 or not path.is_file():
            return genotype
    except OSError:  # too long for a file name
        return genotype
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(
            f"{path} cannot be read: {reason}: name a file that holds a genotype, or write the genotype itself"
        ) from error
