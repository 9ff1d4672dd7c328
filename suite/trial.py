"""A trial: data → search → genotype → evaluation → record. A function of its plan that writes only its own folder."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from filelock import FileLock

from methods import get_method, get_task
from methods.search.external import task_file
from methods.search.external.own_errors import own_errors
from methods.search.method import FileRead
from methods.search.task import CLASSIFICATION, Task
from spaces import get_space
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common.errors import InputError
from spaces.tabular.benchmark import TabularBenchmark
from spaces.tabular.table import BenchmarkTable
from suite.data.pixels import LOSSLESS
from suite.data.sets import Dataset, is_own, load, shrink, subset
from suite.environment import device_name, engine_name, environment, make_deterministic, own_version
from suite.plan import Plan, covers, united
from suite.retrain import Result, rehearse, retrain, tabular
from suite.store import Record, discard, read_record, write_record
from suite.trial_search import run_search

Progress = Callable[[str, int, int], None]  # phase ("search" or "evaluate"), epochs behind, epochs in all

SUBSET_SEED = 0  # every trial of a protocol sees the same images; seeds differ in everything else


@cache
def load_data(spec: str, images: int, size: int, root: Path, download: bool = False, fit: str = "") -> Dataset:
    """The data set of a plan, cut to its number and size of training images; kept for the next trial."""
    return shrink(subset(load(spec, root, download=download, fit=fit), images or None, SUBSET_SEED), size or None)


def data_of(plan: Plan, root: Path, download: bool = False) -> Dataset:
    """The data set that `plan` searches on. Raises `InputError` where its crop leaves nothing of an image."""
    dataset = load_data(plan.dataset, plan.images, plan.size, root, download, plan.fit)
    if plan.augment.crop >= dataset.size:
        raise InputError(
            f"settings: augment.crop = {plan.augment.crop} must be below the {dataset.size} pixels of an image's side"
        )
    return dataset


@cache
def load_table(benchmark: TabularBenchmark, root: Path) -> BenchmarkTable | None:
    """The benchmark's table in the data root, or None; kept for the next trial."""
    return benchmark.open(root)


def table_for(plan: Plan, root: Path) -> BenchmarkTable | None:
    """The table that has the accuracies of this plan's architectures; None if they are retrained.

    A table that lacks architectures is not used: a search's result must not decide how it is evaluated. Tables are of
    image classification.
    """
    benchmark = get_space(plan.space).benchmark if plan.task == CLASSIFICATION.name else None
    table = load_table(benchmark, root) if benchmark else None
    if table is None or not table.whole:
        return None
    return table if plan.dataset in table.datasets else None


def key_of(plan: Plan, root: Path, download: bool = False) -> str:
    """The name of the plan's folder. Reads the data set, whose digest is part of it."""
    table = table_for(plan, root)
    dataset = data_of(plan, root, download)
    return plan.key(dataset.name, dataset.digest, table.digest if table else None)


def record_for(plan: Plan, folder: Path) -> Record | None:
    """The record in the plan's `folder`; None where there is none, or one that lacks probes the plan asks for."""
    record = read_record(folder)
    return record if record and covers(record.probes, plan.probes) else None


@own_errors()
def run_trial(
    plan: Plan, runs: Path, root: Path, *, download: bool = False, on_progress: Progress = lambda *_: None
) -> Record:
    """Run `plan`, or continue it where it stopped, or return the record it already has.

    A record that lacks probes is replaced by one that has them besides its own; nothing is retrained for that.
    A lock on its folder keeps a second process (a driver that outlived a kill) from running it at the same time.
    """
    compute = plan.compute
    make_deterministic(compute.threads, compute.precision)
    dataset = data_of(plan, root, download)
    table = table_for(plan, root)
    folder = runs / plan.key(dataset.name, dataset.digest, table.digest if table else None)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{runs}: no folder of runs can be made there: {error.strerror}") from error
    with FileLock(folder / ".lock"):
        if (record := record_for(plan, folder)) is not None:
            return record
        earlier = read_record(folder)
        if earlier is not None:
            plan = replace(plan, probes=united(plan.probes, earlier.probes))
        method, task = get_method(plan.method), get_task(plan.task)
        space = get_space(plan.space, without=method.removes(plan.space))
        files = method.reads(space, plan.settings)
        for option, file in files.items():
            if file.digest != plan.files[option]:
                raise InputError(
                    f"{plan.settings.options[option]}: {option} has changed since this run began: start again"
                )
        if task is not CLASSIFICATION:
            task_file.check_outputs(task, dataset.classes)
        if table is None:
            rehearse(plan, task, space, dataset)
        search, spent = run_search(
            plan,
            method,
            task,
            space,
            dataset,
            folder / "search.pt",
            lambda done, total: on_progress("search", done, total),
        )
        history, genotype = search.history, space.parse(search.genotype)
        result: Result
        if earlier is not None and earlier.genotype == str(genotype):
            result = Result(earlier.score, earlier.evaluation, earlier.convention, earlier.evaluate_seconds)
        elif table is None:
            result = retrain(
                plan,
                task,
                space,
                genotype,
                dataset,
                folder / "evaluate.pt",
                lambda done, total: on_progress("evaluate", done, total),
            )
        else:
            result = tabular(table, genotype, plan.dataset)
        for row in history:
            found = table.query(row["genotype"], plan.dataset).accuracy if table else float("nan")
            row[f"tabular_{task.metric.name}"] = found
        record = write_record(
            folder,
            {
                "key": folder.name,
                "method": plan.name,
                "space": plan.space,
                "dataset": dataset.name,
                "seed": plan.seed,
                "protocol": plan.protocol,
                "task": task.name,
                "metric": vars(task.metric),
                "score": result.score,
                "evaluation": result.evaluation,
                "convention": result.convention,
                "genotype": str(genotype),
                "tabular": table.accuracies(str(genotype)) if table else {},
                "skip_share": genotype.skip_share(genotype.kinds[0]),
                **_cost(plan, task, space, genotype, dataset, space.benchmark if table else None),
                "search_seconds": sum(spent.seconds),
                "epoch_seconds": spent.seconds,
                "probe_seconds": spent.probing,
                "warm_up_seconds": spent.warm_up,
                "evaluate_seconds": result.seconds,
                "search_steps": search.steps_taken,
                "parameters": {
                    name: {"of": role.of, "kind": role.kind, "shape": list(search.learner.alpha()[name].shape)}
                    for name, role in search.learner.roles.items()
                },
                "epochs": len(history),
                "answer_epoch": search.answer_epoch,
                "probes": united(plan.probes, {own.probe.name: own.every for own in method.probes}),
                "scale": plan.scale(len(dataset.y_train), retrained=table is None),
                "augmentation": plan.augmentation(retrained=table is None),
                "device": device_name(compute.device),
                "engine": search.learner.computed_by()
                or engine_name(compute.engine, compute.precision, compute.device),
                "precision": compute.precision,
                "threads": plan.compute.threads,
                "version": own_version(),
                "dataset_digest": dataset.digest,
                "dataset_source": dataset.source,
                "table_digest": table.digest if table else None,
                "recipe": {**method.declaration(plan.settings), **declared(files)},
                "settings": {
                    **plan.settings.flat(),
                    **{f"evaluate.{k}": v for k, v in vars(plan.evaluation).items() if table is None},
                    "images": plan.images,
                    "size": plan.size,
                    "augment.crop": plan.augment.crop,
                    "augment.flip": plan.augment.flip,
                    **({"fit": plan.fit or LOSSLESS} if is_own(plan.dataset) else {}),
                    "threads": plan.compute.threads,
                },
                "origin": _origin(plan, retrained=table is None),
                "environment": environment(),
            },
            history,
        )
        discard([folder / "search.pt", folder / "evaluate.pt"])
    return record


def _origin(plan: Plan, *, retrained: bool) -> dict[str, str]:
    """Who set what of the record's settings, and whatever was given for the trial."""
    own = {key: layer for key, layer in plan.origin.items() if retrained or not key.startswith("evaluate.")}
    return own | {key: layer for key, layer in plan.origin.items() if layer == "settings"}


def declared(files: Mapping[str, FileRead]) -> dict[str, str]:
    """What a record says of the files that a method read."""
    return {option.replace("_", " "): f"{file.words} (sha256 {file.digest[:12]})" for option, file in files.items()}


def _cost(
    plan: Plan, task: Task, space: Space, genotype: Genotype, dataset: Dataset, benchmark: TabularBenchmark | None
) -> dict[str, int]:
    """Parameters and multiply-adds of the network whose accuracy is recorded: the benchmark's, or the retrained one."""
    size: Sequence[int]
    if benchmark:  # its networks and images, whatever the protocol
        size = benchmark.channels, benchmark.cells, dataset.size * dataset.averaged
    else:
        size = plan.evaluation.channels, plan.evaluation.cells, dataset.size
    cost: dict[str, int] = space.cost(
        genotype,
        channels=size[0],
        cells=size[1],
        classes=task.outputs(dataset.classes),
        size=size[2],
        in_channels=dataset.channels,
    )
    return cost
