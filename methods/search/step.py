"""What a piece is given in one step of a search, and the passes through the supernet that it may request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from methods.search.settings import Settings
from methods.search.stages import WHOLE, Stage
from methods.search.task import CLASSIFICATION, Parameters, Task
from spaces.base import Space
from spaces.cells.operations import frozen_statistics
from spaces.common.streams import generator
from spaces.engine.cuda_graphs import Graphs, eager

Alpha = dict[str, Tensor]  # name of an architecture parameter → float; a kind of cell's is [edges, operations]
Weights = dict[str, Tensor]  # kind → float [edges, operations] or [cells, edges, operations]


@dataclass(frozen=True)
class Batch:
    """Images float [N, C, H, W], targets [N, …] (labels int64 [N]), and their split: ``train`` or ``valid``."""

    images: Tensor
    labels: Tensor
    split: str


@dataclass(frozen=True)
class StepContext:
    """The position in a search, with its space and settings.

    In a search of several stages, `space` has the operations of the stage and `settings.cells` is the stage's depth.
    """

    space: Space
    settings: Settings
    seed: int
    epoch: int  # from 0
    number: int  # of the step within the epoch, from 0
    progress: float  # completed share of the search, 0 … 1
    stage: Stage = WHOLE
    stage_progress: float = 0.0  # completed share of the stage, 0 … 1

    def tables(self, alpha: Alpha) -> Alpha:
        """The tables of operations in `alpha`: kind of cell → `[edges, operations]`. Other parameters are left out."""
        return {kind: alpha[kind] for kind in self.space.mask}

    def generator(self, *purpose: str | int) -> torch.Generator:
        """A generator (CPU) for this step and `purpose`; every call returns one in the same state."""
        return generator(self.seed, *purpose, self.epoch, self.number)


def gradients(loss: Tensor, leaves: Sequence[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """∇ of `loss` for `leaves`; zero for a leaf that it does not depend on.

    It does not depend on the weights of an operation whose own weight is exactly zero, which a softmax of alphas far
    apart gives.
    """
    return torch.autograd.grad(loss, leaves, create_graph=create_graph, allow_unused=True, materialize_grads=True)


Relaxation = Callable[[Alpha, StepContext, str], Weights]
"""Alpha → weights, for a pass on the split ``train`` or ``valid``, or to ``select``: then without random draws."""


@dataclass(frozen=True)
class CachedGradients:
    """Gradients of the training loss from the weight step's own pass: for the weights, and for each layer."""

    parameters: Sequence[Tensor]
    layers: Weights  # kind → [cells, edges, operations], of each cell's operation weights


@dataclass(frozen=True, kw_only=True)
class Step(StepContext):
    """One step: the supernet and alpha before it, and the two batches.

    `memory` is for the pieces: what one keeps from step to step (tensors and plain values, under a key that begins
    with its name) is saved and restored with the search. Each stage starts with an empty one, as with a new supernet.
    """

    net: nn.Module
    alpha: Alpha
    relaxation: Relaxation
    memory: dict[str, Any]
    learning_rate: float  # of the network weights, in this step
    momenta: Callable[[], list[Tensor]]  # the optimiser's momentum buffers, in the order of net.parameters()
    train: Batch
    valid: Batch
    graphs: Graphs | None = None  # CUDA graphs that replay the supernet's passes, if any
    cached_gradients: CachedGradients | None = None  # for the inner terms of a recipe that is `layerwise`
    task: Task = CLASSIFICATION
    second_weights: Parameters | None = None  # of a method that trains two sets (y of RARTS): the live tensors

    def logits(
        self,
        batch: Batch,
        *,
        alpha: Alpha | None = None,
        weights: Weights | None = None,
        parameters: Parameters | None = None,
        move_statistics: bool = False,
    ) -> Tensor:
        """The supernet's outputs on `batch` (of a classification logits [N, classes]), at other values where given.

        All passes of a step on one batch draw the same noise (S4), so the two sides of a finite difference differ by
        the perturbation alone. Running statistics move only with `move_statistics`, which the weight step's pass sets.
        """
        if weights is None:
            weights = self.relaxation(self.alpha if alpha is None else alpha, self, batch.split)
        self.net.random.reseed(self.seed, "noise", self.epoch, self.number, batch.split)  # type: ignore[union-attr,operator]
        compute = self.graphs or partial(eager, self.net)
        if move_statistics:
            return compute(batch.images, weights)
        with frozen_statistics(self.net):
            return compute(batch.images, weights, parameters)

    def loss(
        self,
        batch: Batch,
        *,
        alpha: Alpha | None = None,
        weights: Weights | None = None,
        parameters: Parameters | None = None,
    ) -> Tensor:
        """The task's loss (a scalar) of the supernet on `batch`, whose outputs `logits` computes."""
        outputs = self.logits(batch, alpha=alpha, weights=weights, parameters=parameters)
        return self.task.loss(outputs, batch.labels)

    def parameters(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, the live tensors."""
        return dict(self.net.named_parameters())

    def alpha_gradient(self, loss: Tensor, alpha: Alpha | None = None) -> Alpha:
        """∇α of `loss` for every architecture parameter, zero for one without influence.

        Gradients of the network weights are not computed.
        """
        leaves = self.alpha if alpha is None else alpha
        return dict(zip(leaves, gradients(loss, list(leaves.values())), strict=True))
