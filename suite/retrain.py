"""How good is the architecture a search returned? Looked up in a table where there is one, else retrained."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from methods.search.learners.training import cosine_annealing, descend, measure, weight_gradients
from methods.search.task import Task
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.network import Network
from spaces.common import cost_clock, streams
from spaces.common.plural import counted
from spaces.engine.kernel_choice import require_reference
from spaces.tabular.table import BenchmarkTable
from suite.data.sets import Dataset, Loader
from suite.plan import Plan
from suite.store import load_checkpoint, save_checkpoint


@dataclass(frozen=True)
class Result:
    """The final value of the task's metric on the test images, how it came about, and the seconds it took."""

    score: float
    evaluation: str
    convention: str
    seconds: float


def tabular(table: BenchmarkTable, genotype: Genotype, dataset: str) -> Result:
    """The mean test accuracy of `genotype` in `table` after 200 epochs."""
    start = cost_clock.now()
    answer = table.query(str(genotype), dataset)
    seeds = f"mean of the table's {answer.seeds} training seeds"
    convention = f"test accuracy after {answer.epochs} epochs, {seeds} ({answer.source})"
    return Result(answer.accuracy, "tabular", convention, cost_clock.now() - start)


def derived(plan: Plan, task: Task, space: Space, genotype: Genotype, dataset: Dataset) -> Network:
    """The network of `genotype` at the plan's size, freshly initialised from the plan's stream."""
    e = plan.evaluation
    with streams.seeded(plan.seed, "retraining"):
        return space.network(
            genotype,
            channels=e.channels,
            cells=e.cells,
            classes=task.outputs(dataset.classes),
            in_channels=dataset.channels,
            auxiliary=e.auxiliary > 0,
        )


def rehearse(plan: Plan, task: Task, space: Space, dataset: Dataset) -> None:
    """Raise `InputError` now, and not after the search, where a derived network of that size cannot be trained."""
    net = derived(plan, task, space, space.random(streams.generator(plan.seed, "rehearsal")), dataset)
    net.both(torch.zeros(2, dataset.channels, dataset.size, dataset.size))


def retrain(
    plan: Plan,
    task: Task,
    space: Space,
    genotype: Genotype,
    dataset: Dataset,
    checkpoint: Path,
    on_epoch: Callable[[int, int], None],
) -> Result:
    """Train the derived network on the whole training set, from scratch; its metric after the last epoch.

    A checkpoint is kept an epoch and continued from if it is there. Raises `InputError` if the device has failed its
    self-test.
    """
    e, device = plan.evaluation, torch.device(plan.compute.device)
    require_reference(device)
    start, before = cost_clock.now(), 0.0
    net = derived(plan, task, space, genotype, dataset).to(device)
    optimiser = torch.optim.SGD(
        net.parameters(), lr=e.learning_rate, momentum=e.momentum, nesterov=e.nesterov, weight_decay=e.weight_decay
    )
    split = Loader(
        dataset.x_train,
        dataset.y_train,
        batch_size=e.batch_size,
        seed=plan.seed,
        purpose="retraining",
        mean=dataset.mean,
        std=dataset.std,
        augment=replace(plan.augment, cutout=e.cutout),
        device=device,
    )
    train, first = task.batches(split), 0
    if state := load_checkpoint(checkpoint):
        net.load_state_dict(state["net"])
        optimiser.load_state_dict(state["optimiser"])
        first, before = state["epoch"], state["seconds"]
    for epoch in range(first, e.epochs):
        optimiser.param_groups[0]["lr"] = cosine_annealing(e.learning_rate, e.learning_rate_min, epoch / e.epochs)
        net.train()
        for number in range(len(train)):
            images, labels = train.batch(epoch, number)
            net.random.reseed(plan.seed, "drop-path", epoch, number)
            logits, side = net.both(images, drop_path=e.drop_path * epoch / e.epochs)
            objective = task.loss(logits, labels)
            if side is not None:
                objective = objective + e.auxiliary * task.loss(side, labels)
            descend(optimiser, weight_gradients(objective, optimiser), e.gradient_clip)
        seconds = before + cost_clock.now() - start
        state = {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch + 1, "seconds": seconds}
        save_checkpoint(checkpoint, state)
        on_epoch(epoch + 1, e.epochs)

    test = Loader(
        dataset.x_test,
        dataset.y_test,
        batch_size=e.batch_size,
        seed=plan.seed,
        purpose="test",
        mean=dataset.mean,
        std=dataset.std,
        augment=None,
        device=device,
    )

    def forward(images: torch.Tensor, number: int) -> Any:
        net.random.reseed(plan.seed, "noise", "test", number)
        return net(images)

    net.eval()
    loss, score = measure(forward, task.batches(test), e.batch_size, task)
    size = f"{counted(e.channels, 'channel')}, {space.count_cells(e.cells)}"
    name = task.metric.name
    convention = f"test {name} after {counted(e.epochs, 'epoch')} of one retraining from scratch ({size}, last epoch)"
    if not isfinite(loss):
        convention += "; the retraining diverged: its loss is not a number"
    return Result(score, "retrained", convention, before + cost_clock.now() - start)
