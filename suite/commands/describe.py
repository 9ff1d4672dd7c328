"""`dartboard list` says what there is, `dartboard describe` what a genotype is."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from spaces.common.errors import InputError
from suite.console import Json, console, emit, plain_errors, table

if TYPE_CHECKING:
    from methods.search.method import Method


class What(StrEnum):
    """What can be listed."""

    methods = "methods"
    spaces = "spaces"
    datasets = "datasets"
    protocols = "protocols"
    probes = "probes"
    studies = "studies"
    exhibits = "exhibits"


class Stem(StrEnum):
    """The first layers of a DARTS network."""

    cifar = "cifar"
    imagenet = "imagenet"


def register(app: typer.Typer) -> None:
    """Put `list` and `describe` on `app`."""
    app.command("list")(plain_errors(list_names))
    app.command()(plain_errors(describe))


def list_names(
    what: Annotated[What, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(help="A method, to show what it is made of and its options.")] = None,
    as_json: Json = False,
) -> None:
    """List what there is."""
    if name is not None:
        if what is not What.methods:
            raise InputError(f"{what.value} {name}: only a method has details: leave {name} out")
        _show_method(name, as_json)
        return
    rows = {
        What.methods: _methods,
        What.spaces: _spaces,
        What.datasets: _datasets,
        What.protocols: _protocols,
        What.probes: _probes,
        What.studies: _studies,
        What.exhibits: _exhibits,
    }[what]()
    # A terminal has room for less than JSON.
    columns = {What.exhibits: ("name", "title", "state", "lacks"), What.methods: ("name", "title", "source")}.get(what)
    emit(rows, as_json, lambda: console.print(table(what.value, rows, columns)))


def _methods() -> list[dict[str, Any]]:
    from methods import METHODS

    return [_method(method) for method in METHODS.values()]


def _method(method: "Method") -> dict[str, Any]:
    """What a method declares of itself, but for its pieces."""
    options = [
        {"name": o.name, "type": o.kind, "default": o.default, "allowed": o.allowed, "what": o.words}
        for o in method.options
    ]
    facts = {"name": method.name, "title": method.title, "source": method.source}
    return {**facts, "spaces": list(method.spaces), "options": options}


def _show_method(name: str, as_json: bool) -> None:
    from methods import get_method

    method = get_method(name)
    facts, declared = _method(method), method.declaration()
    rows = [{"what": key, "value": value} for key, value in declared.items()]
    rows.append({"what": "spaces", "value": ", ".join(method.spaces)})

    def show() -> None:
        for title, shown in ((method.name, rows), ("options", facts["options"])):
            if shown:
                console.print(table(title, [{key: escape(str(cell)) for key, cell in row.items()} for row in shown]))

    emit({**facts, "declaration": declared}, as_json, show)


def _spaces() -> list[dict[str, Any]]:
    from spaces import SPACES, get_space

    rows = []
    for name in SPACES:
        space = get_space(name)
        edges = ", ".join(f"{kind}: {mask.shape[0]}" for kind, mask in space.mask.items())
        rows.append({"name": name, "edges": edges, "operations": ", ".join(space.operations)})
    return rows


def _datasets() -> list[dict[str, Any]]:
    from suite.data.custom_datasets import descriptions

    return [{"name": name, "what": text} for name, text in descriptions().items()]


def _probes() -> list[dict[str, Any]]:
    from methods.probes import PROBES, get_probe
    from methods.search.piece_forms import describe as described

    return [{"name": name, "what": described(get_probe(name).measure).partition(": ")[2]} for name in PROBES]


def _protocols() -> list[dict[str, Any]]:
    from suite.protocol import PROTOCOLS

    return [{"name": p.name, "what": p.title, "device": p.device} for p in PROTOCOLS.values()]


def _studies() -> list[dict[str, Any]]:
    from suite.study import names

    return [{"name": name, "title": title} for name, title in names().items()]


def _exhibits() -> list[dict[str, Any]]:
    from suite.exhibits import states

    return states()


def describe(
    genotype: Annotated[str, typer.Argument(help="A genotype's text, or a file that holds one.")],
    space: Annotated[str, typer.Option(help="The space it is of.")],
    channels: Annotated[int | None, typer.Option(min=1, help="Initial channels [as papers train on CIFAR-10].")] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells [as papers train on CIFAR-10].")] = None,
    classes: Annotated[int, typer.Option(min=1, help="Classes.")] = 10,
    size: Annotated[int, typer.Option(min=1, help="Height and width of an image, pixels.")] = 32,
    stem: Annotated[Stem, typer.Option(help="The first layers.")] = Stem.cifar,
    draw: Annotated[Path | None, typer.Option(help="Write the drawings into this folder, an SVG a cell.")] = None,
    as_json: Json = False,
) -> None:
    """Parameters, multiply-adds, skip share, depth and a drawing of a genotype."""
    from reports.figures import cell_drawing
    from spaces import get_space
    from spaces.common.plural import counted
    from suite.protocol import evaluation, get_protocol

    of = get_space(space)
    usual, _ = evaluation(get_protocol("paper"), of, "cifar10", {})
    channels = usual.channels if channels is None else channels
    cells = usual.cells if cells is None else cells
    found = of.parse(_text(genotype))
    try:
        cost = of.cost(found, channels=channels, cells=cells, classes=classes, size=size, stem=stem.value)
    except InputError:
        raise
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:  # torch, by the layer that it is stuck at
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"no {space} network of {counted(channels, 'channel')}, {of.count_cells(cells)} and "
            f"{counted(classes, 'class', 'classes')} can be made and run on images of {size} x {size} behind the "
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
                cell_drawing.figure(found, kind).savefig(draw / f"{kind}.svg")
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
            console.print(cell_drawing.text(found, kind), markup=False, highlight=False)

    emit(document, as_json, show)


def _text(genotype: str) -> str:
    """What the file `genotype` holds, or `genotype` itself where there is none."""
    path = Path(genotype)
    try:
        if len(genotype) >= 200 or not path.is_file():
            return genotype
    except OSError:  # too long for a file name
        return genotype
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise InputError(f"{path} cannot be read: {reason}: give a genotype's text or a file that holds one") from error
