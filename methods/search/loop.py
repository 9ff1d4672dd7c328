"""The search loop: an iterator of epochs that can be stopped, saved and restored at any step."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch

from methods.search.learners.learner import SearchSetup
from methods.search.method import Method
from methods.search.probe import BATCH, Number, View, Watch, Watched
from methods.search.settings import Settings, resolve
from methods.search.step import Batch, Step
from methods.search.task import CLASSIFICATION, Batches, Task
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision

HistoryRow = dict[str, Any]  # one epoch of a history


class Search:
    """A search of `method` through `space` on two splits of a training set.

    Iterating takes the remaining epochs and yields a history row for each; `advance` takes a single step. A search
    that is saved by `state_dict` at any step and loaded into a fresh one ends in the same bits.
    """

    def __init__(
        self,
        space: Space,
        method: Method,
        train: Batches,
        valid: Batches,
        *,
        classes: int,
        in_channels: int,
        seed: int,
        settings: Settings | None = None,
        device: torch.device | str = "cpu",
        engine: Engine = "fast",
        precision: Precision = "fp32",
        graphs: bool | None = None,
        task: Task = CLASSIFICATION,
        probes: Sequence[Watched] = (),
    ) -> None:
        if settings is None:
            settings, _ = resolve(method.options, method.layers(space))
        self.setup = SearchSetup(
            space,
            settings,
            task.batches(train),
            task.batches(valid),
            classes,
            in_channels,
            seed,
            torch.device(device),
            engine,
            precision,
            graphs,
            task,
        )
        self.learner = method.learner(self.setup)
        self.watch = Watch(method.probes, probes)
        self.history: list[HistoryRow] = []
        self.epoch = 0
        self.number = 0  # of the next step within the epoch
        self._totals = self._no_totals()

    def _no_totals(self) -> torch.Tensor:
        """Sums over the epoch's weight steps: loss, tally, images. On the device: no step waits for the host."""
        return torch.zeros(3, dtype=torch.float64, device=self.setup.device)

    @property
    def steps_taken(self) -> int:
        """Steps behind this search."""
        return self.epoch * self.setup.steps + self.number

    @property
    def done(self) -> bool:
        """All epochs taken, or stopped by the method."""
        return self.number == 0 and (
            self.epoch >= self.setup.settings.epochs or (self.epoch > 0 and self.learner.stop(self.history))
        )

    @property
    def answer_epoch(self) -> int:
        """The epoch (from 1) whose architecture the search returns."""
        return self.learner.select_epoch(self.history) + 1

    @property
    def genotype(self) -> str:
        """The architecture that the search returns, of those in its history."""
        text: str = self.history[self.answer_epoch - 1]["genotype"]
        return text

    def advance(self) -> HistoryRow | None:
        """Take one step; at the end of an epoch, measure and return its history row."""
        train, valid = self._batches()
        if self.watch.following and (step := self._step_for_probes(self.epoch, self.number, train, valid)):
            self.watch.follow(step)
        loss, tally = self.learner.step(self.epoch, self.number, train, valid)
        size = len(train.labels)
        self._totals += torch.stack([loss.double() * size, tally.double(), torch.full_like(tally, size).double()])
        self.number += 1
        if self.number < self.setup.steps:
            return None
        self.history.append(self._close_epoch())
        self.learner.on_epoch_end(self.history)
        return self.history[-1]

    def _batches(self) -> tuple[Batch, Batch]:
        """Those of the next step."""
        train = Batch(*self.setup.train.batch(self.epoch, self.number), split="train")
        # The architecture split has epochs of its own, so that a shorter one is cycled and a longer one is not cut.
        valid = Batch(*self.setup.valid.batch(*divmod(self.steps_taken, len(self.setup.valid))), split="valid")
        return train, valid

    def warm_up(self) -> None:
        """Make ready what the next steps are computed by: compile and test kernels, capture passes.

        The steps that a GPU takes for that are taken back: the search is the same, bit for bit.
        """
        self.learner.computed_by()
        if self.done or not self.setup.warm_up_steps:
            return
        train, valid = self._batches()
        self.learner.make_step(self.epoch, self.number, train, valid)  # enters the stage, whose supernet is kept
        state = deepcopy(self.learner.state_dict())
        for _ in range(self.setup.warm_up_steps):
            self.learner.step(self.epoch, self.number, train, valid)
        self.learner.load_state_dict(state)

    def _close_epoch(self) -> HistoryRow:
        task, (loss, tally, images) = self.setup.task, self._totals.tolist()
        self.epoch, self.number, self._totals = self.epoch + 1, 0, self._no_totals()
        measured = self.learner.measure()  # first: random search decides here which candidate is the best
        genotype = self.learner.genotype()
        flat = {
            f"{name}.{kind}": value.float().cpu().flatten().tolist()
            for name, values in (("alpha", self.learner.alpha()), ("weights", self.learner.weights()))
            for kind, value in values.items()
        }
        return {
            "epoch": self.epoch,
            "train_loss": loss / images,
            f"train_{task.metric.name}": task.score(tally, images),
            **measured,
            "genotype": str(genotype),
            "skip_share": genotype.skip_share(genotype.kinds[0]),
            **flat,
            **self._probed(genotype, measured),
        }

    def _probed(self, genotype: Genotype, measured: dict[str, float]) -> dict[str, Number]:
        """The columns of the probes that are due after the epoch that ended."""
        if not self.watch.due(self.epoch):
            return {}
        weights = self.learner.weights()
        train = Batch(*self.setup.train.batch(BATCH, 0), split="train")
        valid = Batch(*self.setup.valid.batch(BATCH, 0), split="valid")
        view = View(
            space=self.setup.space,
            genotype=genotype,
            weights=weights,
            before={kind: self.history[-1][f"weights.{kind}"] for kind in weights} if self.history else None,
            # One step beyond the epoch's last: what a probe draws, no step draws.
            step=self._step_for_probes(self.epoch - 1, self.setup.steps, train, valid),
            discrete_score=measured[f"discrete_{self.setup.task.metric.name}"],
            score=self.learner.score,
        )
        return self.watch.columns(self.epoch, view)

    def _step_for_probes(self, epoch: int, number: int, train: Batch, valid: Batch) -> Step | None:
        """A step for probes. Its passes are not those of the search, so no CUDA graph of the search fits them."""
        step = self.learner.make_step(epoch, number, train, valid)
        return step and replace(step, graphs=None)

    def __iter__(self) -> Iterator[HistoryRow]:
        while not self.done:
            row = self.advance()
            if row is not None:
                yield row

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the search depends on: tensors and plain values, safe to load with `weights_only`."""
        return {
            "epoch": self.epoch,
            "number": self.number,
            "totals": self._totals,
            "history": self.history,
            "learner": self.learner.state_dict(),
            "probes": self.watch.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.epoch, self.number = state["epoch"], state["number"]
        self._totals = state["totals"].to(self.setup.device)
        self.history = list(state["history"])
        self.learner.load_state_dict(state["learner"])
        self.watch.load_state_dict(state["probes"])
        self.learner.on_epoch_end(self.history)
