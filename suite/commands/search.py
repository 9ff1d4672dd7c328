"""`dartboard search` runs one trial, `dartboard run` a study."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from suite.commands.progress import progress, trial
from suite.console import Json, console, emit, errors, plain_errors, table

if TYPE_CHECKING:
    from suite.data.sets import Dataset
    from suite.store import Record

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Put `search` and `run` on `app`."""
    app.command()(plain_errors(search))
    app.command()(plain_errors(run))


def search(
    method: Annotated[
        str | None, typer.Argument(help="A method's name (`dartboard list methods`), or path/to/file.py:NAME.")
    ] = None,
    space: Annotated[str, typer.Option(help="A search space.")] = DEFAULT_SPACE,
    dataset: Annotated[str | None, typer.Option(help="A data set [digits].")] = None,
    seed: Annotated[int, typer.Option(help="The seed of all of the trial's random streams.")] = 0,
    protocol: Annotated[str | None, typer.Option(help="The scale [quick].")] = None,
    task: TaskOption = IMAGE_CLASSIFICATION,
    settings: Set = None,
    probes: Probes = None,
    probe_every: Annotated[int | None, typer.Option(help="Measure probes every so many epochs [1].")] = None,
    out: Annotated[Path | None, typer.Option(help="The runs folder [runs/search].")] = None,
    device: Device = "auto",
    engine: EngineOption = "fast",
    precision: PrecisionOption = "fp32",
    graphs: GraphsOption = False,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it is missing.")] = False,
    method_option: Annotated[str | None, typer.Option("--method", help="The method, instead of METHOD.")] = None,
    as_json: Json = False,
) -> None:
    """Run one trial: search, then evaluate what was found. On the space analytic: search until it comes to rest."""
    named = [name for name in (method, method_option) if name]
    if len(named) != 1:
        raise InputError("name one method, as METHOD or with --method")
    watched = names(probes)
    if probe_every is not None and not watched:
        raise InputError(f"--probe-every {probe_every}: nothing is watched: name what, as --probes cell,weights")
    from spaces import get_space
    from suite.data.root import data_root as root_of
    from suite.plan import plan
    from suite.trial import data_of, run_trial

    if not get_space(space).trials:
        images = {
            "dataset": dataset,
            "task": task != IMAGE_CLASSIFICATION,
            "protocol": protocol,
            "out": out,
            "data-root": data_root,
            "download": download,
        }
        computed = {"device": device != "auto", "engine": engine != "fast", "precision": precision != "fp32"}
        computed["graphs"] = graphs
        solve(
            named[0],
            [option for option, given in [*images.items(), ("probes", probes), *computed.items()] if given],
            overrides(settings),
            as_json,
        )
        return
    made = plan(
        named[0],
        space,
        dataset or "digits",
        seed,
        protocol or "quick",
        overrides(settings),
        device,
        engine,
        precision,
        graphs=graphs,
        probes=dict.fromkeys(watched, 1 if probe_every is None else probe_every),
        task=task,
    )
    root = root_of(data_root)
    say_notes([data_of(made, root, download)])
    runs = out or Path("runs/search")
    with interruptible(), progress([made]) as on_event:
        record = run_trial(made, runs, root, download=download, on_progress=lambda *at: on_event((0, *at)))
        on_event((0, "done", 1, 1))
    emit(json.loads(record.model_dump_json()), as_json, lambda: show(record, runs))


def solve(method: str, misplaced: Sequence[str], settings: dict[str, Any], as_json: bool) -> None:
    """Search the space analytic; `misplaced` are the options given that are about images."""
    from suite import analytic

    if misplaced:
        raise InputError(f"analytic is a problem in two numbers, without images: leave out --{misplaced[0]}")
    found = analytic.solve(method, settings)
    del found["course"]  # a thousand rows, for whoever draws them
    rows = [{"what": name, "found": found[name], "closed form": exact} for name, exact in found["closed_form"].items()]
    rest = "" if found["at_rest"] else ", not at rest yet"
    title = f"{method} on analytic, {counted(found['steps'], 'step')}{rest}"
    emit(found, as_json, lambda: console.print(table(title, rows)))


def show(record: "Record", out: Path) -> None:
    """A record for a person."""
    rows = [
        {"what": "genotype", "value": record.genotype},
        {"what": record.metric.name, "value": f"{record.metric.words(record.score)}  ({record.convention})"},
        {"what": "skip share", "value": f"{record.skip_share:.2f} of the normal cell's operations"},
        {"what": "network", "value": f"{record.params:,} parameters, {record.macs:,} multiply-adds"},
        {
            "what": "search",
            "value": f"{counted(record.epochs, 'epoch')}, {counted(record.search_steps, 'step')}, "
            f"{record.search_seconds:.1f} s",
        },
        {"what": "scale", "value": record.scale},
        {"what": "record", "value": str(out / record.key)},
    ]
    title = f"{record.method} on {record.space}, {record.dataset}, seed {record.seed}"
    console.print(table(escape(title), [{k: escape(v) for k, v in row.items()} for row in rows]))


def say_notes(datasets: Sequence["Dataset"]) -> None:
    """On stderr, a line a data set: what was done to a user's own files that nobody asked for."""
    lines = {f"{dataset.name}: {'; '.join(dataset.notes)}": None for dataset in datasets if dataset.notes}
    for line in lines:
        errors.print(line, markup=False, highlight=False, soft_wrap=True)


def run(
    study: Annotated[str, typer.Argument(help="A bundled study, an exhibit (PAPER/NAME) or a TOML file.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes [as many as fit the cores].")] = None,
    protocol: Annotated[str | None, typer.Option(help="Another scale than the study's own.")] = None,
    task: Annotated[str | None, typer.Option(help="Another task than the study's own.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds 0, 1, … in place of the study's own.")] = None,
    out: Annotated[Path | None, typer.Option(help="The runs folder [runs/STUDY; runs/exhibits].")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to this folder at the end.")] = None,
    device: Device = "auto",
    engine: EngineOption = "fast",
    precision: PrecisionOption = "fp32",
    graphs: GraphsOption = False,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch data sets that are missing.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study or an exhibit: what is finished stays, what is missing is run, what was interrupted goes on."""
    from suite import exhibits
    from suite import study as studies
    from suite.commands.report import build_report
    from suite.data.root import data_root as root_of
    from suite.executors.local import fair_jobs, run_all
    from suite.trial import data_of, key_of, record_for

    root = root_of(data_root)
    exhibit = exhibits.study_of(study)
    path, named = exhibit or (found := studies.find(study), studies.read(found))
    own = [path] if exhibit and not exhibits.bundled(path) else []
    replaced: list[str] = []
    if seeds:
        named = named.with_seeds(seeds)
    if exhibit and not download:
        named, replaced = exhibits.with_stand_ins(named, protocol or named.protocol, root)
    if report is not None:
        from reports.output.atomic_output import check_out

        check_out(report)
        exhibits.own(own)  # what is wrong with it is said before anything runs
    expansion = studies.expand(
        named,
        path,
        root,
        protocol=protocol,
        device=device,
        engine=engine,
        precision=precision,
        graphs=graphs,
        task=task,
        all_available=download,
    )
    runs = out or (exhibits.RUNS if exhibit else Path("runs") / path.stem)
    title = f"{path.resolve().parent.name}/{path.stem}" if exhibit else path.stem
    try:
        keys = [key_of(plan, root, download) for plan in expansion.plans]
        missing = [
            plan for plan, key in zip(expansion.plans, keys, strict=True) if record_for(plan, runs / key) is None
        ]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    say_notes([data_of(plan, root, download) for plan in missing])
    finished = len(expansion.plans) - len(missing)
    jobs = jobs or fair_jobs(missing)
    if not as_json:
        console.print(
            f"{title}: {counted(len(expansion.plans), 'trial')}, {finished} finished before, {jobs} at a time",
            markup=False,
        )
        for sentence in [*replaced, *(f"left out: {words}" for words in expansion.left_out)]:
            console.print(sentence, markup=False)
    with interruptible(), progress(missing) as on_event:
        failures = run_all(missing, runs, root, jobs=jobs, on_event=on_event)
    for failure in failures:
        errors.print(f"{trial(failure.plan)}: {failure.words}", markup=False, highlight=False, soft_wrap=True)
    summary: dict[str, Any] = {
        "study": title,
        "runs": str(runs),
        "trials": len(expansion.plans),
        "run_now": len(missing) - len(failures),
        "failed": len(failures),
        "left_out": expansion.left_out,
        "replaced": replaced,
    }
    parts: list[Callable[[], None]] = []
    if report is not None and len(failures) < len(expansion.plans):
        # Of an exhibit's report, the other trials beside it are no part.
        document, show_report = build_report(runs, report, root, set(keys) if exhibit else None, own)
        summary |= document
        parts.append(show_report)

    def show_all() -> None:
        console.print(f"records: {runs}", markup=False)
        for part in parts:
            part()

    emit(summary, as_json, show_all)
    if failures:
        raise typer.Exit(2 if all(failure.users for failure in failures) else 1)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends the block with a word on how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print("interrupted: finished epochs are kept, the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
