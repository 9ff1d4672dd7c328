"""The operations on one source node, grouped by kind so that the kernels compute a group in one call.

A group takes the state x `[N, H, W, C]` of its source and returns a value `[N, H', W', C]` for each of its members: the
operation's output before its last batch norm and before its weight. In the backward pass it is given, for each member,
the gradient g of the node that the member feeds and the batch norm's `BackwardCoefficients`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import FactorizedReduce, pool_input
from spaces.engine.batch_statistics import Statistics
from spaces.engine.kernels import (
    NOTHING,
    BackwardCoefficients,
    Kernels,
    Mean,
    Pointwise,
    Value,
    WeightedImages,
    WeightGradients,
    channels_first,
    channels_last,
)


class GroupInputs(NamedTuple):
    """What both passes of a group read: the kernels, the source's state, the members' parameters, the statistics."""

    kernels: Kernels
    x: Tensor
    parameters: Sequence[Tensor]
    statistics: Statistics


class GroupOutputs(NamedTuple):
    """The members' values (an empty tensor: not stored), and what else the backward pass needs."""

    values: Sequence[Tensor]
    saved: Sequence[Tensor] = ()


@dataclass
class GroupGradients:
    """The gradients that reach a group: for each member that of its node, and its batch norm's coefficients."""

    gradients: Sequence[Tensor]
    coefficients: Sequence[BackwardCoefficients]
    products: Sequence[Tensor | None]  # Σ g relu(x)ᵀ of a member that is `Pointwise`
    of_weights: WeightGradients | None  # None: the gradients of the parameters are not requested
    # The convolutions of a source also add the gradients that bypass all groups; gx is overwritten unless `accumulate`.
    whole: WeightedImages = NOTHING
    means: WeightedImages = NOTHING
    accumulate: bool = True


@dataclass
class Group(ABC):
    """Operations of one kind on one source; `rows` are its members' rows in the cell's statistics."""

    source: int
    rows: list[int] = field(default_factory=list)

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The members' parameters, read at every call: a functional call may have replaced them."""

    @abstractmethod
    def forward(self, given: GroupInputs) -> GroupOutputs:
        """The members' values; writes their statistics."""

    @abstractmethod
    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """Add the gradient at x to gx; returns the parameters' gradients."""

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A member's value: as stored or, where `stored` is empty, as a description that the kernels evaluate."""
        return stored


@dataclass
class Convolutions(Group):
    """ReLU and dense convolutions of stride 1, which share one ReLU."""

    convolutions: list[nn.Conv2d] = field(default_factory=list)

    def parameters(self) -> list[Tensor]:
        """One kernel for each member."""
        return [convolution.weight for convolution in self.convolutions]

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """Saves the second moments of the ReLU if its 1 x 1 convolutions are not stored; recomputes the ReLU."""
        values, second = given.kernels.dense(given.x, given.parameters, given.statistics.moments(self.rows))
        return GroupOutputs(values, [] if second is None else [second])

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A 1 x 1 convolution may not be stored."""
        return stored if stored.numel() else Pointwise(x, parameters[member])

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """All members at once, with the gradients that bypass the groups."""
        return given.kernels.dense_backward(
            back.gradients,
            outputs.values,
            back.coefficients,
            given.x,
            given.parameters,
            gx,
            second=outputs.saved[0] if outputs.saved else None,
            products=back.products,
            whole=back.whole,
            means=back.means,
            accumulate=back.accumulate,
            of_weights=back.of_weights,
        )


@dataclass
class Reductions(Group):
    """Skip-connections of stride 2 (`FactorizedReduce`)."""

    modules: list[FactorizedReduce] = field(default_factory=list)

    def parameters(self) -> list[Tensor]:
        """The even pixels' and the odd pixels' kernel of each member."""
        return [kernel for module in self.modules for kernel in (module.even.weight, module.odd.weight)]

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """Saves nothing else."""
        pairs = list(zip(given.parameters[::2], given.parameters[1::2], strict=True))
        return GroupOutputs(given.kernels.factorized(given.x, pairs, given.statistics.moments(self.rows)))

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """All members at once."""
        pairs = list(zip(given.parameters[::2], given.parameters[1::2], strict=True))
        of_values = (back.gradients, outputs.values, back.coefficients)
        return given.kernels.factorized_backward(*of_values, given.x, pairs, gx, of_weights=back.of_weights)


@dataclass
class Pooling(Group):
    """A pooling, computed once for all edges that have it."""

    largest: bool = False
    stride: int = 1
    normed: bool = False

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean of windows at stride 1, without a norm: `Kernels.dense_backward` has its gradient."""
        return self.stride == 1 and not self.largest and not self.normed

    def parameters(self) -> list[Tensor]:
        """A pooling has none."""
        return []

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """All members have the same value."""
        kernels = given.kernels
        if self.is_mean:
            return GroupOutputs([kernels.mean(given.x)] * len(self.rows))
        into = given.statistics.moments(self.rows) if self.normed else None
        value, saved = kernels.pool(given.x, self.stride, into, largest=self.largest)
        return GroupOutputs([value] * len(self.rows), [] if saved is None else [saved])

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A mean without batch norm may not be stored."""
        return stored if stored.numel() else Mean(x)

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """All members at once. That of a mean is done already (`GroupGradients.means`)."""
        if not self.is_mean:
            saved = outputs.saved[0] if outputs.saved else None
            of_value = (back.gradients, back.coefficients, given.x, outputs.values[0], saved)
            given.kernels.pool_backward(*of_value, self.stride, gx, largest=self.largest)
        return []


@dataclass
class Module(Group):
    """An operation that no kernel computes: its own module computes it, as in the reference engine."""

    module: nn.Module = field(default_factory=nn.Identity)

    def parameters(self) -> list[Tensor]:
        """The module's."""
        return list(self.module.parameters())

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """Saves the module's own graph."""
        with torch.enable_grad():
            # `data`: the module's graph must not take writes to other slices of the cell's output for writes to x.
            leaf = given.x.data.requires_grad_()
            out = self.module(pool_input(channels_first(leaf)))  # it may pool
        return GroupOutputs([channels_last(out.detach())], [leaf, out])

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """Through the module's own graph."""
        (g,), (by,), (leaf, out) = back.gradients, back.coefficients, outputs.saved
        wanted = [leaf, *(given.parameters if back.of_weights is not None else [])]
        found = torch.autograd.grad(
            out,
            wanted,
            channels_first(g * by.of_gradient),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        gx.add_(found[0])
        return list(found[1:]) if back.of_weights is not None else [None] * len(given.parameters)
