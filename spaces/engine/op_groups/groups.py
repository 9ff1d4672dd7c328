"""The operations on source nodes, grouped by kind so that the kernels compute a group in one call.

A group takes the state x `[N, H, W, C]` of each member's source and returns a value `[N, H', W', C]` for each of its
members: the operation's output before its last batch norm and before its weight. In the backward pass it is given, for
each member, the gradient g of the node that the member feeds and the batch norm's `BackwardCoefficients`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import FactorizedReduce, pool_input
from spaces.engine.batch_statistics import Statistics
from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    Mean,
    Pointwise,
    PoolGradient,
    Value,
    channels_first,
    channels_last,
)
from spaces.engine.kernels import Kernels, WeightGradients


class GroupInputs(NamedTuple):
    """What both passes of a group read: kernels, the state of each member's source, parameters, statistics."""

    kernels: Kernels
    xs: Sequence[Tensor]
    parameters: Sequence[Tensor]
    statistics: Statistics

    @property
    def x(self) -> Tensor:
        """The state of the only source."""
        return self.xs[0]


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
    bypass: Mapping[int, Bypass] = field(default_factory=dict)  # source -> what the group adds to its gx besides


@dataclass
class Group(ABC):
    """Operations of one kind on one source, or on several; for each member its source, and its row of statistics."""

    sources: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    @property
    def source(self) -> int:
        """The only source."""
        return self.sources[0]

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The members' parameters, read at every call: a functional call may have replaced them."""

    @abstractmethod
    def forward(self, given: GroupInputs) -> GroupOutputs:
        """The members' values; writes their statistics."""

    @abstractmethod
    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
    ) -> list[Tensor | None]:
        """Add the gradient at each source to its gx; returns the parameters' gradients."""

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
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
    ) -> list[Tensor | None]:
        """All members at once, with the gradients that bypass the groups."""
        return given.kernels.dense_backward(
            back.gradients,
            outputs.values,
            back.coefficients,
            given.x,
            given.parameters,
            gxs[self.source],
            second=outputs.saved[0] if outputs.saved else None,
            products=back.products,
            bypass=back.bypass.get(self.source, Bypass()),
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
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
    ) -> list[Tensor | None]:
        """All members at once."""
        pairs = list(zip(given.parameters[::2], given.parameters[1::2], strict=True))
        of_values = (back.gradients, outputs.values, back.coefficients)
        return given.kernels.factorized_backward(
            *of_values, given.x, pairs, gxs[self.source], of_weights=back.of_weights
        )


@dataclass
class Pooling(Group):
    """Pools, each computed once for all edges that have it: a source, and whether it takes the maximum or the mean."""

    stride: int = 1
    normed: bool = False
    pools: list[tuple[int, bool]] = field(default_factory=list)
    pool_of: list[int] = field(default_factory=list)  # for each member the place of its pool

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean of windows at stride 1, without a norm: `Bypass.means` has its gradient."""
        return self.stride == 1 and not self.normed and not any(largest for _, largest in self.pools)

    def add(self, source: int, largest: bool) -> None:
        """Give the next member its pool."""
        if (source, largest) not in self.pools:
            self.pools.append((source, largest))
        self.pool_of.append(self.pools.index((source, largest)))

    def members(self, pool: int) -> list[int]:
        """The members that have a pool."""
        return [member for member, of in enumerate(self.pool_of) if of == pool]

    def parameters(self) -> list[Tensor]:
        """A pooling has none."""
        return []

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """All members of a pool have the same value."""
        if self.is_mean:
            return GroupOutputs([given.kernels.mean(given.x)] * len(self.rows))
        members = [self.members(pool) for pool in range(len(self.pools))]
        into = [given.statistics.moments([self.rows[member] for member in each]) for each in members]
        rows = [each for each in into if each is not None] if self.normed else []
        xs, largest = [given.xs[each[0]] for each in members], [of for _, of in self.pools]
        values, saved = given.kernels.pools(xs, largest, self.stride, rows or None)
        kept = [x.new_empty(0) if of_pool is None else of_pool for x, of_pool in zip(xs, saved, strict=True)]
        return GroupOutputs([values[pool] for pool in self.pool_of], kept)

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A mean without batch norm may not be stored."""
        return stored if stored.numel() else Mean(x)

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
    ) -> list[Tensor | None]:
        """All pools at once."""
        pools = []
        for pool, (source, largest) in enumerate(self.pools):
            members, saved = self.members(pool), outputs.saved[pool]
            gradients = [back.gradients[member] for member in members]
            coefficients = [back.coefficients[member] for member in members]
            x, value = given.xs[members[0]], outputs.values[members[0]]
            of_max = saved if saved.numel() else None
            pools.append(PoolGradient(gradients, coefficients, x, value, of_max, largest, gxs[source]))
        given.kernels.pools_backward(pools, self.stride)
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
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
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
        gxs[self.source].add_(found[0])
        return list(found[1:]) if back.of_weights is not None else [None] * len(given.parameters)
