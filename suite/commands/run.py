"""`dartboard run` runs the trials of a study or of an exhibit that are missing."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces.common.errors import InputError
from spaces.common.plural import counted
from suite.commands.options import DataRoot, Device, EngineOption, GraphsOption, PrecisionOption
from suite.terminal.console import Json, console, emit, plain_errors, print_error, print_notes
from suite.terminal.progress import interruptible, progress, trial

if TYPE_CHECKING:
    from suite.plan import Plan
    from suite.study import Study


def register(app: typer.Typer) -> None:
    """Put `run` on `app`."""
    app.command()(plain_errors(run))


def run(
    study: Annotated[str, typer.Argument(help="A bundled study, an exhibit (PAPER/NAME) or a TOML file.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes [as many as fit the cores].")] = None,
    protocol: Annotated[str | None, typer.Option(help="The scale, instead of the study's own.")] = None,
    task: Annotated[str | None, typer.Option(help="The task, instead of the study's own.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Run this many seeds, 0, 1, …, for each trial.")] = None,
    out: Annotated[Path | None, typer.Option(help="The runs folder [runs/STUDY; runs/exhibits].")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to this folder at the end.")] = None,
    device: Device = "auto",
    engine: EngineOption = "fast",
    precision: PrecisionOption = "fp32",
    graphs: GraphsOption = None,
    data_root: DataRoot = None,
    download: Annotated[bool, typer.Option("--download", help="Download data sets that are missing.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study or an exhibit. Finished trials are kept, missing ones run, interrupted ones continue."""
    from suite.commands.results.report import build_report
    from suite.compute import Compute
    from suite.data.root import data_root as root_of
    from suite.executors.local import fair_jobs, run_all
    from suite.executors.mps import shared_gpu
    from suite.study import expand
    from suite.trial import data_of

    root, compute = root_of(data_root), Compute.requested(device, engine, precision, graphs)
    source = _source(study, seeds)
    if source.is_exhibit and not download:
        source.use_stand_ins(protocol, root)
    if report is not None:
        _check_report(report, source.own)
    expansion = expand(
        source.study, source.path, root, protocol=protocol, task=task, compute=compute, all_available=download
    )
    runs = out or source.runs
    keys, missing = _missing(source.path, expansion.plans, runs, root, download)
    print_notes(data_of(plan, root, download) for plan in missing)
    jobs = jobs or fair_jobs(missing)
    if not as_json:
        finished = len(keys) - len(missing)
        line = f"{source.title}: {counted(len(keys), 'trial')}, {finished} finished before, {jobs} at a time"
        for sentence in (line, *source.replaced, *(f"left out: {words}" for words in expansion.left_out)):
            console.print(sentence, markup=False)
    with interruptible(), shared_gpu(missing, jobs, print_error), progress(missing) as on_event:
        failures = run_all(missing, runs, root, jobs=jobs, on_event=on_event)
    for failure in failures:
        print_error(f"{trial(failure.plan)}: {failure.words}")
    summary = {
        "study": source.title,
        "runs": str(runs),
        "trials": len(keys),
        "run_now": len(missing) - len(failures),
        "failed": len(failures),
        "left_out": expansion.left_out,
        "replaced": source.replaced,
    }
    shows: list[Callable[[], None]] = [lambda: console.print(f"records: {runs}", markup=False)]
    if report is not None and len(failures) < len(keys):
        # The folder of exhibits holds the trials of all of them: the report is of this one's.
        document, show_report = build_report(runs, report, root, set(keys) if source.is_exhibit else None, source.own)
        summary |= document
        shows.append(show_report)

    def show_all() -> None:
        for show in shows:
            show()

    emit(summary, as_json, show_all)
    if failures:
        raise typer.Exit(2 if all(failure.users for failure in failures) else 1)


@dataclass
class _Source:
    """Where the trials come from: a study's file, or an exhibit's."""

    path: Path
    study: "Study"
    is_exhibit: bool
    own: list[Path]  # the file, if it is a user's own exhibit
    replaced: list[str] = field(default_factory=list)  # in words, the data sets that others stand in for

    @property
    def title(self) -> str:
        """The study's name, or PAPER/NAME of an exhibit."""
        return f"{self.path.resolve().parent.name}/{self.path.stem}" if self.is_exhibit else self.path.stem

    @property
    def runs(self) -> Path:
        """The folder of its records, if none is named."""
        from suite.exhibits.exhibit_studies import RUNS

        return RUNS if self.is_exhibit else Path("runs") / self.path.stem

    def use_stand_ins(self, protocol: str | None, root: Path) -> None:
        """Replace the data sets that are not in `root` by bundled images, where the protocol allows it."""
        from suite.exhibits.exhibit_studies import with_stand_ins

        self.study, self.replaced = with_stand_ins(self.study, protocol or self.study.protocol, root)


def _source(name: str, seeds: int | None) -> _Source:
    """The exhibit or the study called `name`, with `seeds` seeds if given. Raises `InputError` where there is none."""
    from suite.exhibits.exhibit_studies import bundled, study_of
    from suite.study import find, read

    if exhibit := study_of(name):
        path, study = exhibit
    else:
        path = find(name)
        study = read(path)
    own = [path] if exhibit and not bundled(path) else []
    return _Source(path, study.with_seeds(seeds) if seeds else study, exhibit is not None, own)


def _check_report(report: Path, own: Sequence[Path]) -> None:
    """Raise `InputError` before anything runs, where the report cannot be written or an own exhibit is not one."""
    from reports.output.atomic_output import check_out
    from suite.exhibits.own_exhibits import read_own

    check_out(report)
    read_own(own)


def _missing(
    path: Path, plans: "Collection[Plan]", runs: Path, root: Path, download: bool
) -> "tuple[list[str], list[Plan]]":
    """The keys of all `plans`, and the plans without a record in `runs`. Raises `InputError` naming the file `path`."""
    from suite.trial import key_of, record_for

    try:
        keys = [key_of(plan, root, download) for plan in plans]
        missing = [plan for plan, key in zip(plans, keys, strict=True) if record_for(plan, runs / key) is None]
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return keys, missing
