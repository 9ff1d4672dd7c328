"""What a piece sees in one step of a search, and the passes through the supernet that it may ask for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from methods.search.settings import Settings
from methods.search.stages import WHOLE, Stage
from spaces.base import Space
from spaces.cells.operations import frozen_statistics
from spaces.common.streams import generator
from spaces.engine.cuda_graphs import Graphs, eager

Alpha = dict[str, Tensor]  # kind → float [edges, operations]
Weights = dict[str, Tensor]  # kind → float [edges, operations] or [cells, edges, operations]
Parameters = Mapping[str, Tensor]  # names as in net.named_parameters()


@dataclass(frozen=True)
class Batch:
    """Images float [N, C, H, W], labels int64 [N], and the split they come from: ``train`` or ``valid``."""

    images: Tensor
    labels: Tensor
    split: str


@dataclass(frozen=True)
class StepContext:
    """Where in a search something is asked for, and what for.

    In a search of several stages, `space` is what the stage has left of it and `settings.cells` the stage's depth.
    """

    space: Space
    settings: Settings
    seed: int
    epoch: int  # from 0
    number: int  # of the step within the epoch, from 0
    progress: float  # share of the search that lies behind, 0 … 1
    stage: Stage = WHOLE
    stage_progress: float = 0.0  # share of the stage that lies behind, 0 … 1

    def generator(self, *purpose: str | int) -> torch.Generator:
        """The stream (CPU) of this step for `purpose`: the same however often it is asked for."""
        return generator(self.seed, *purpose, self.epoch, self.number)


def gradients(loss: Tensor, leaves: Sequence[Tensor], *, create_graph: bool = False) -> tuple[Tensor, ...]:
    """∇ of `loss` for `leaves`; zero for what it does not depend on.

    Such are the weights of an operation that weighs exactly nothing, as a softmax gives it where alpha lie far apart.
    """
    return torch.autograd.grad(loss, leaves, create_graph=create_graph, allow_unused=True, materialize_grads=True)


Relaxation = Callable[[Alpha, StepContext, str], Weights]
"""Alpha → weights, for a pass on the split ``train`` or ``valid``, or to ``select``: then without any draw."""


@dataclass(frozen=True)
class CachedGradients:
    """What the weight step's own pass found: the training loss's gradient for the weights and for each layer."""

    parameters: Sequence[Tensor]
    layers: Weights  # kind → [cells, edges, operations], of each cell's operation weights


@dataclass(frozen=True, kw_only=True)
class Step(StepContext):
    """One step: the supernet and alpha as they stand, and the two batches.

    `memory` is the pieces' own: what a piece keeps from step to step (tensors and plain values, under a key that
    begins with its name) is saved and restored with the search. A new stage starts with an empty one, since it starts
    with another supernet.
    """

    net: nn.Module
    alpha: Alpha
    relaxation: Relaxation
    memory: dict[str, Any]
    learning_rate: float  # of the weights, now
    momenta: Callable[[], list[Tensor]]  # the optimiser's momentum buffers, in the order of net.parameters()
    train: Batch
    valid: Batch
    graphs: Graphs | None = None  # what issues the supernet's passes; None: they are issued kernel by kernel
    cached_gradients: CachedGradients | None = None  # for the inner terms of a recipe that is `layerwise`
    second_weights: Parameters | None = None  # the second set of weights of a method that trains two (y of RARTS), live

    def logits(
        self,
        batch: Batch,
        *,
        alpha: Alpha | None = None,
        weights: Weights | None = None,
        parameters: Parameters | None = None,
        move_statistics: bool = False,
    ) -> Tensor:
        """The supernet's logits [N, classes] on `batch`, at other `alpha`, `weights` or `parameters` if given.

        Every pass of a step on one batch draws the same noise (S4), so that two sides of a finite difference
        differ by the perturbation alone. Running statistics move only if asked: one pass a step does, that of the
        weight step.
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
        """The space's loss (cross-entropy) of the supernet on `batch`, as `logits` computes it."""
        outputs = self.logits(batch, alpha=alpha, weights=weights, parameters=parameters)
        return self.space.loss(outputs, batch.labels)

    def parameters(self) -> dict[str, Tensor]:
        """The supernet's parameters by name, the live tensors."""
        return dict(self.net.named_parameters())

    def alpha_gradient(self, loss: Tensor, alpha: Alpha | None = None) -> Alpha:
        """∇α of `loss` for every kind. The weights' gradients are not computed."""
        leaves = self.alpha if alpha is None else alpha
        return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
