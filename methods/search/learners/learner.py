"""What moves in a search: a learner takes a step on two batches, and can be measured, saved and restored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from methods.search.settings import Settings
from methods.search.step import Alpha, Batch, Step, Weights
from methods.search.task import CLASSIFICATION, Batches, Task
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision
from spaces.conventions import Role
from spaces.engine.cuda_graphs import SETTLED


@dataclass(frozen=True)
class SearchSetup:
    """What a learner is made for."""

    space: Space
    settings: Settings
    train: Batches
    valid: Batches
    classes: int
    in_channels: int
    seed: int
    device: torch.device
    engine: Engine = "fast"
    precision: Precision = "fp32"
    graphs: bool | None = None  # are passes replayed from CUDA graphs? None: on a GPU, where they can be captured
    task: Task = CLASSIFICATION

    @property
    def steps(self) -> int:
        """Steps an epoch: one pass over the weight split."""
        return len(self.train)

    @property
    def uses_graphs(self) -> bool:
        """Whether passes are replayed from CUDA graphs where that can be done."""
        return self.device.type == "cuda" if self.graphs is None else self.graphs

    @property
    def warm_up_steps(self) -> int:
        """Steps after which nothing is left to be compiled, loaded or captured; a CPU's kernels need none for that."""
        if self.uses_graphs:
            return SETTLED
        return 0 if self.device.type == "cpu" else 1

    @property
    def outputs(self) -> int:
        """The number of a network's outputs."""
        return self.task.outputs(self.classes)


class Learner(Protocol):
    """A search's moving part."""

    @property
    def roles(self) -> Mapping[str, Role]:
        """What each parameter of `alpha()` decides, by its name."""

    def computed_by(self) -> str | None:
        """What computes the supernet, in words (`Supernet.computed_by`); None if there is no supernet.

        Kernels that are not ready yet are compiled and tested for the answer.
        """

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """Take one step; returns the training batch's loss and `Task.tally` (scalars) before it."""

    def make_step(self, epoch: int, number: int, train: Batch, valid: Batch) -> Step | None:
        """The step that would be taken on these batches, for probes; None if there is no supernet. Nothing moves."""

    def measure(self) -> dict[str, float]:
        """Loss and metric on the architecture split after an epoch: the keys of a history row."""

    def score(self, weights: Weights) -> float:
        """The supernet's metric at `weights` on the architecture split, measured as that of the genotype is."""

    def weights(self) -> Weights:
        """The operation weights now."""

    def alpha(self) -> Alpha:
        """The architecture parameters now, by name; empty for a method that has none."""

    def genotype(self) -> Genotype:
        """The architecture that the search would return now."""

    def on_epoch_end(self, history: Sequence[dict[str, Any]]) -> None:
        """Change, for the epochs that follow, what the method derives from its history."""

    def stop(self, history: Sequence[dict[str, Any]]) -> bool:
        """Whether the search ends before its epochs do."""

    def select_epoch(self, history: Sequence[dict[str, Any]]) -> int:
        """The number of the row whose architecture the search returns."""

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on; tensors and plain values only."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state` as if never interrupted, in a fresh learner or in one that has taken other steps."""
