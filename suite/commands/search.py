"""`dartboard search` runs one trial."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from spaces import DEFAULT_SPACE
from spaces.common.errors import InputError
from spaces.common.metric import IMAGE_CLASSIFICATION
from spaces.common.plural import counted
from suite.commands.options import (
    DataRoot,
    Device,
    EngineOption,
    GraphsOption,
    PrecisionOption,
    Probes,
    Set,
    TaskOption,
    names,
    overrides,
)
from suite.terminal.console import Json, console, emit, plain_errors, print_notes, table
from suite.terminal.progress import interruptible, progress

if TYPE_CHECKING:
    from suite.store import Record

WITHOUT_IMAGES = {"method", "method_option", "space", "seed", "settings", "as_json"}
"""The parameters that also apply to a space without trials."""


def register(app: typer.Typer) -> None:
    """Put `search` on `app`."""
    app.command()(plain_errors(search))


def search(
    context: typer.Context,
    method: Annotated[
        str | None, typer.Argument(help="A method's name (`dartboard list methods`), or path/to/file.py:NAME.")
    ] = None,
    space: Annotated[str, typer.Option(help="A search space.")] = DEFAULT_SPACE,
    dataset: Annotated[str, typer.Option(help="A data set [digits].")] = "digits",
    seed: Annotated[int, typer.Option(help="The seed of all of the trial's random streams.")] = 0,
    protocol: Annotated[str, typer.Option(help="The scale: quick, cpu, gpu or paper [quick].")] = "quick",
    task: TaskOption = IMAGE_CLASSIFICATION,
    settings: Set = None,
    probes: Probes = None,
    probe_every: Annotated[int | None, typer.Option(help="Measure probes every so many epochs [1].")] = None,
    out: Annotated[Path, typer.Option(help="The runs folder [runs/search].")] = Path("runs/search"),
    device: Device = "auto",
    engine: EngineOption = "fast",
    precision: PrecisionOption = "fp32",
    graphs: GraphsOption = None,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Download the data set if it is missing.")] = False,
    method_option: Annotated[str | None, typer.Option("--method", help="The method, instead of METHOD.")] = None,
    as_json: Json = False,
) -> None:
    """Run one trial: search, then evaluate the architecture. A space without images is solved to an equilibrium."""
    named = [name for name in (method, method_option) if name]
    if len(named) != 1:
        raise InputError("name one method, as METHOD or with --method")
    watched = _watched(probes, probe_every)
    from spaces import get_space
    from suite.compute import Compute
    from suite.data.root import data_root as root_of
    from suite.plan import plan
    from suite.trial import data_of, run_trial

    if not get_space(space).trials:
        _solve(space, named[0], _given(context), overrides(settings), as_json)
        return
    made = plan(
        named[0],
        space,
        dataset,
        seed,
        protocol,
        overrides(settings),
        Compute.requested(device, engine, precision, graphs),
        probes=watched,
        task=task,
    )
    root = root_of(data_root)
    print_notes([data_of(made, root, download)])
    with interruptible(), progress([made]) as on_event:
        record = run_trial(made, out, root, download=download, on_progress=lambda *at: on_event((0, *at)))
        on_event((0, "done", 1, 1))
    emit(json.loads(record.model_dump_json()), as_json, lambda: _show(record, out))


def _watched(probes: str | None, every: int | None) -> dict[str, int]:
    """The probes that the options name, with their strides. Raises `InputError` for a stride without a probe."""
    named = names(probes)
    if every is not None and not named:
        raise InputError(f"--probe-every {every}: no probe is named: name some, as --probes cell,weights")
    return dict.fromkeys(named, 1 if every is None else every)


def _given(context: typer.Context) -> list[str]:
    """The options on the command line, as they are written there, that need images."""
    sources = {parameter: context.get_parameter_source(str(parameter.name)) for parameter in context.command.params}
    return [
        (parameter.secondary_opts if context.params[str(parameter.name)] is False else parameter.opts)[0]
        for parameter, source in sources.items()
        if parameter.name not in WITHOUT_IMAGES and source and source.name == "COMMANDLINE"
    ]


def _solve(space: str, method: str, misplaced: Sequence[str], settings: dict[str, Any], as_json: bool) -> None:
    """Search a space without trials until nothing moves. Raises `InputError` for options that need images."""
    from suite import analytic

    if misplaced:
        raise InputError(f"{space} has no images: leave out {misplaced[0]}")
    found = analytic.solve(method, settings)
    del found["course"]  # a thousand rows, which only a figure needs
    rows = [{"what": name, "found": found[name], "closed form": exact} for name, exact in found["closed_form"].items()]
    rest = "" if found["at_rest"] else ", not at rest yet"
    title = f"{method} on {space}, {counted(found['steps'], 'step')}{rest}"
    emit(found, as_json, lambda: console.print(table(title, rows)))


def _show(record: "Record", out: Path) -> None:
    """Print a record for a person."""
    steps = f"{counted(record.epochs, 'epoch')}, {counted(record.search_steps, 'step')}"
    warm_up = f", after {record.warm_up_seconds:.1f} s of warm-up" if record.warm_up_seconds >= 0.05 else ""
    rows = [
        {"what": "genotype", "value": record.genotype},
        {"what": record.metric.name, "value": f"{record.metric.words(record.score)}  ({record.convention})"},
        {"what": "skip share", "value": f"{record.skip_share:.2f} of the normal cell's operations"},
        {"what": "network", "value": f"{record.params:,} parameters, {record.macs:,} multiply-adds"},
        {"what": "search", "value": f"{steps}, {record.search_seconds:.1f} s{warm_up}"},
        {"what": "scale", "value": record.scale},
        {"what": "record", "value": str(out / record.key)},
    ]
    title = f"{record.method} on {record.space}, {record.dataset}, seed {record.seed}"
    console.print(table(escape(title), [{k: escape(v) for k, v in row.items()} for row in rows]))
