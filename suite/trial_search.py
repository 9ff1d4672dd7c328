"""The search of a trial: its splits, its probes, what it costs, and the checkpoint of every epoch."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from methods import Search
from methods.probes import get_probe
from methods.search.external import task_file
from methods.search.method import Method
from methods.search.probe import Watched
from methods.search.task import CLASSIFICATION, Task
from spaces.base import Space
from spaces.common import cost_clock
from suite.data.sets import Dataset, Loader, splits
from suite.plan import Plan, covers
from suite.store import load_checkpoint, save_checkpoint


@dataclass
class Spent:
    """Seconds of a search: of each epoch, of the probes that were asked for, and of getting ready for either.

    An epoch costs what it costs without those who look on, on a machine that is ready.
    """

    seconds: list[float] = field(default_factory=list)
    probing: float = 0.0
    warm_up: float = 0.0


def run_search(
    plan: Plan,
    method: Method,
    task: Task,
    space: Space,
    dataset: Dataset,
    checkpoint: Path,
    on_epoch: Callable[[int, int], None],
) -> tuple[Search, Spent]:
    """The search with all its epochs behind it, and what it cost. The test images are not handed on."""
    s = plan.settings
    loaders = [
        Loader(
            dataset.x_train[split],
            dataset.y_train[split],
            batch_size=s.batch_size,
            seed=plan.seed,
            purpose=purpose,
            mean=dataset.mean,
            std=dataset.std,
            augment=plan.augment,
            device=plan.compute.device,
        )
        for purpose, split in zip(("weights", "alpha"), splits(dataset, plan.seed, s.weights_share), strict=True)
    ]
    if task is not CLASSIFICATION:
        task_file.rehearse(task, loaders[0], dataset.classes)
    state = load_checkpoint(checkpoint)
    if state and not covers(state["probes"], plan.probes):
        state = None  # its epochs were not watched: they are taken once more
    probes = state["probes"] if state else dict(plan.probes)
    search = Search(
        space,
        method,
        *loaders,
        settings=s,
        classes=dataset.classes,
        in_channels=dataset.channels,
        seed=plan.seed,
        device=plan.compute.device,
        engine=plan.compute.engine,
        precision=plan.compute.precision,
        graphs=plan.compute.graphs,
        task=task,
        probes=[Watched(get_probe(name), every) for name, every in probes.items()],
    )
    spent = Spent()
    if state:
        search.load_state_dict(state["search"])
        spent = Spent(state["seconds"], state["probing"], state.get("warm_up", 0.0))  # which older ones lack
    on_epoch(search.epoch, s.epochs)
    before = cost_clock.prepared() - spent.warm_up
    with cost_clock.preparing():
        search.warm_up()
    start = cost_clock.now()
    for row in search:
        spent.seconds.append(cost_clock.now() - start - search.watch.seconds)
        spent.probing, search.watch.seconds = spent.probing + search.watch.seconds, 0.0
        spent.warm_up = cost_clock.prepared() - before
        save_checkpoint(checkpoint, {"search": search.state_dict(), "probes": probes, **asdict(spent)})
        on_epoch(row["epoch"], s.epochs)
        start = cost_clock.now()
    return search, spent
