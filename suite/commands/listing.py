"""`dartboard list`: the methods, spaces, data sets, protocols, probes, studies and exhibits."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from spaces.common.errors import InputError
from suite.terminal.console import Json, console, emit, plain_errors, table

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


def register(app: typer.Typer) -> None:
    """Put `list` on `app`."""
    app.command("list")(plain_errors(list_names))


def list_names(
    what: Annotated[What, typer.Argument(help="What to list.")],
    name: Annotated[str | None, typer.Argument(help="A method whose pieces and options are shown.")] = None,
    as_json: Json = False,
) -> None:
    """List methods, spaces, data sets, protocols, probes, studies or exhibits."""
    if name is not None:
        if what is not What.methods:
            raise InputError(f"{what.value} {name}: only methods have details: leave {name} out")
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
    # The columns that fit a terminal.
    columns = {What.exhibits: ("name", "title", "state", "lacks"), What.methods: ("name", "title", "source")}.get(what)
    emit(rows, as_json, lambda: console.print(table(what.value, rows, columns)))


def _methods() -> list[dict[str, Any]]:
    from methods import METHODS

    return [_method(method) for method in METHODS.values()]


def _method(method: "Method") -> dict[str, Any]:
    """A method's declaration without its pieces."""
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
    from suite.exhibits.states import states

    return states()
