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
import torch.nn.functional as F
from torch import Tensor, nn

from spaces.cells.operations import FactorizedReduce, pool_input
from spaces.engine.batch_statistics import Statistics
from spaces.engine.kernels import (
    BackwardCoefficients,
    Kernels,
    Mean,
    Pointwise,
    Value,
    WeightedImages,
    channels_first,
    channels_last,
)
from spaces.engine.torch_kernels import convolution_backward

NOTHING = WeightedImages([], [])


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
    weights: bool  # whether the gradients of the parameters are requested
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
        values, second = given.kernels.dense(given.x, given.parameters, *given.statistics.written(self.rows))
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
            of_weights=back.weights,
        )


@dataclass
class Reductions(Group):
    """Skip-connections of stride 2 (`FactorizedReduce`), as one 1x1 convolution of even and odd pixels together."""

    modules: list[FactorizedReduce] = field(default_factory=list)

    def parameters(self) -> list[Tensor]:
        """The even pixels' and the odd pixels' kernel of each member."""
        return [kernel for module in self.modules for kernel in (module.even.weight, module.odd.weight)]

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """Saves nothing else."""
        shifted = channels_first(self._even_and_odd(given))
        stacked = channels_last(F.conv2d(shifted, self._weight(given.parameters)))
        values = list(stacked.chunk(len(self.rows), -1))
        for row, y in zip(self.rows, values, strict=True):
            given.statistics.measure(given.kernels, [row], y)
        return GroupOutputs(values)

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """The gradients of even and odd pixels return to their places."""
        x, weight = given.x, self._weight(given.parameters)
        shifted = channels_first(self._even_and_odd(given))
        of_shifted, of_weight, _ = convolution_backward(
            channels_first(_before_norms(given.kernels, outputs.values, back)), shifted, weight, 1, [0, 0], 1, 1,
            back.weights,
        )  # fmt: skip
        even, odd = channels_last(of_shifted).chunk(2, -1)
        whole = x.new_zeros(x.shape)
        whole[:, ::2, ::2] = even
        target = whole[:, 1::2, 1::2]
        target += odd[:, : target.shape[1], : target.shape[2]]
        given.kernels.rectify_backward(whole, x, gx)
        if of_weight is None:
            return [None] * len(given.parameters)
        of_kernels = torch.split(of_weight, [len(kernel) for kernel in given.parameters])
        return [of_kernel.chunk(2, dim=1)[number % 2] for number, of_kernel in enumerate(of_kernels)]

    @staticmethod
    def _even_and_odd(given: GroupInputs) -> Tensor:
        """The ReLU's even pixels and those one off, side by side: `[N, ceil(H / 2), ceil(W / 2), 2 C]`."""
        rectified = given.kernels.rectify(given.x)
        even, odd = rectified[:, ::2, ::2], rectified[:, 1::2, 1::2]
        odd = F.pad(odd, (0, 0, 0, even.shape[2] - odd.shape[2], 0, even.shape[1] - odd.shape[1]))
        return torch.cat([even, odd], dim=-1)

    @staticmethod
    def _weight(parameters: Sequence[Tensor]) -> Tensor:
        """One kernel over both: a member's first channels read the even pixels alone, its others the odd ones."""
        sizes, channels = [len(kernel) for kernel in parameters], parameters[0].shape[1]
        whole = parameters[0].new_zeros(sum(sizes), 2 * channels, 1, 1)
        for number, (rows, kernel) in enumerate(zip(torch.split(whole, sizes), parameters, strict=True)):
            rows.chunk(2, dim=1)[number % 2].copy_(kernel)
        return whole


def _before_norms(kernels: Kernels, values: Sequence[Tensor], back: GroupGradients) -> Tensor:
    """dL/dvalue, all members side by side `[N, H, W, members · C]`."""
    *shape, channels = values[0].shape
    out = values[0].new_empty(*shape, len(values) * channels)
    for y, g, by, into in zip(values, back.gradients, back.coefficients, out.chunk(len(values), -1), strict=True):
        kernels.combine([g, y], by[:2], by.constant, into)
    return out


@dataclass
class Pooling(Group):
    """A pooling, computed once for all edges that have it."""

    largest: bool = False
    stride: int = 1
    normed: bool = False

    def parameters(self) -> list[Tensor]:
        """A pooling has none."""
        return []

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """All members have the same value."""
        kernels = given.kernels
        if self.stride == 1 and not self.largest and not self.normed:
            return GroupOutputs([kernels.mean(given.x)] * len(self.rows))
        value = kernels.pool(given.x, self.stride, largest=self.largest)
        if self.normed:
            given.statistics.measure(kernels, self.rows, value)
        return GroupOutputs([value] * len(self.rows))

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A mean without batch norm may not be stored."""
        return stored if stored.numel() else Mean(x)

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gx: Tensor
    ) -> list[Tensor | None]:
        """Adds up the members' gradients first. A mean that was not stored is done already (`GroupGradients.means`)."""
        kernels, value = given.kernels, outputs.values[0]
        if not value.numel():
            return []
        coefficients, constant = kernels.summed_coefficients(back.coefficients)
        total = torch.empty_like(value)
        kernels.combine([*back.gradients, value], coefficients, constant, total)
        kernels.pool_backward(total, given.x, value, self.stride, gx, largest=self.largest)
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
        wanted = [leaf, *(given.parameters if back.weights else [])]
        found = torch.autograd.grad(
            out,
            wanted,
            channels_first(g * by.of_gradient),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        gx.add_(found[0])
        return list(found[1:]) if back.weights else [None] * len(given.parameters)
