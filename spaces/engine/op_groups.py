"""What a fast cell computes of one source node: operations of its outgoing edges, as many at once as can be.

A group takes the state x `[N, H, W, C]` of its source and gives a value `[N, H', W', C]` for each of its members: the
operation's output before batch norm and before any weight. Going back it is told, member by member, the
gradient g of the node that the member feeds and what batch norm makes of it (`portable.Slope`).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spaces.cells.operations import FactorizedReduce, pool_input
from spaces.engine.batch_statistics import Statistics
from spaces.engine.torch_kernels import Mean, Pointwise, Value, Weighed, pixels, planes
from spaces.engine.torch_statistics import Slope

Kernels = ModuleType
"""`portable` or another module with its functions."""


NOTHING = Weighed([], [])


@dataclass
class Back:
    """What comes back to a group: for each member the gradient of its node, and its slope."""

    gradients: Sequence[Tensor]
    slopes: Sequence[Slope]
    statistics: Statistics
    products: Sequence[Tensor | None]  # Σ g relu(x)ᵀ of a member that is `Pointwise`
    weights: bool  # are the gradients of the parameters asked for?
    # The first group of a source also takes along what comes back past all groups, to gx as it is (if it is filled).
    whole: Weighed = NOTHING
    means: Weighed = NOTHING
    filled: bool = True


@dataclass
class Group(ABC):
    """Operations of one kind on one source; `rows` are its members' places in the cell's statistics."""

    source: int
    rows: list[int] = field(default_factory=list)

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The members' parameters, read now: a functional call may have put others in their place."""

    @abstractmethod
    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The members' values (empty: not stored), and what else the way back needs."""

    @abstractmethod
    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """Add the gradient at x to gx; returns the parameters' gradients."""

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A member's value: what was stored, or, where that is empty, how to make it."""
        return stored


def _slopes(kernels: Kernels, values: Sequence[Tensor], back: Back) -> Tensor:
    """dL/dvalue, all members side by side `[N, H, W, members · C]`."""
    *shape, channels = values[0].shape
    out = values[0].new_empty(*shape, len(values) * channels)
    for y, g, grad_output, into in zip(values, back.gradients, back.slopes, out.chunk(len(values), -1), strict=True):
        kernels.combine([g, y], grad_output[:2], grad_output.constant, into)
    return out


@dataclass
class Convolutions(Group):
    """ReLU and dense convolutions of stride 1: the ReLU once for all."""

    convolutions: list[nn.Conv2d] = field(default_factory=list)

    def parameters(self) -> list[Tensor]:
        """A kernel a member."""
        return [convolution.weight for convolution in self.convolutions]

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Keeps the second moments of the ReLU, where its 1 x 1 convolutions are not stored; it is computed again."""
        values, second = kernels.dense(x, parameters, *statistics.written(self.rows))
        return values, [] if second is None else [second]

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A 1 x 1 convolution may not have been stored."""
        return stored if stored.numel() else Pointwise(x, parameters[member])

    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """All members at once, and what comes back past them."""
        found: list[Tensor | None] = kernels.dense_backward(
            back.gradients,
            values,
            back.slopes,
            x,
            parameters,
            gx,
            second=kept[0] if kept else None,
            products=back.products,
            whole=back.whole,
            means=back.means,
            accumulate=back.filled,
            of_weights=back.weights,
        )
        return found


@dataclass
class Reductions(Group):
    """Skip-connections of stride 2 (`FactorizedReduce`), as one 1x1 convolution of both halves of the pixels."""

    modules: list[FactorizedReduce] = field(default_factory=list)

    def parameters(self) -> list[Tensor]:
        """The even pixels' and the odd pixels' kernel of each member."""
        return [kernel for module in self.modules for kernel in (module.even.weight, module.odd.weight)]

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Nothing more is kept."""
        stacked = pixels(F.conv2d(planes(self._halves(kernels, x)), self._weight(parameters)))
        values = list(stacked.chunk(len(self.rows), -1))
        for row, y in zip(self.rows, values, strict=True):
            statistics.measure(kernels, [row], y)
        return values, []

    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """The halves go back to where they came from."""
        grad_output = _slopes(kernels, values, back)
        weight = self._weight(parameters)
        of_halves, of_weight, _ = torch.ops.aten.convolution_backward(
            planes(grad_output), planes(self._halves(kernels, x)), weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0],
            1, [True, back.weights, False],
        )  # fmt: skip
        even, odd = pixels(of_halves).chunk(2, -1)
        whole = x.new_zeros(x.shape)
        whole[:, ::2, ::2] = even
        target = whole[:, 1::2, 1::2]
        target += odd[:, : target.shape[1], : target.shape[2]]
        kernels.rectify_backward(whole, x, gx)
        if not back.weights:
            return [None] * len(parameters)
        of_kernels = of_weight.split([len(kernel) for kernel in parameters])
        return [of_kernel.chunk(2, dim=1)[number % 2] for number, of_kernel in enumerate(of_kernels)]

    @staticmethod
    def _halves(kernels: Kernels, x: Tensor) -> Tensor:
        """The even pixels and those one off, side by side: `[N, ceil(H / 2), ceil(W / 2), 2 C]`."""
        rectified = kernels.rectify(x)
        even, odd = rectified[:, ::2, ::2], rectified[:, 1::2, 1::2]
        odd = F.pad(odd, (0, 0, 0, even.shape[2] - odd.shape[2], 0, even.shape[1] - odd.shape[1]))
        return torch.cat([even, odd], dim=-1)

    @staticmethod
    def _weight(parameters: Sequence[Tensor]) -> Tensor:
        """One kernel over both halves: a member's first channels see the even pixels alone, its others the odd."""
        sizes, channels = [len(kernel) for kernel in parameters], parameters[0].shape[1]
        whole = parameters[0].new_zeros(sum(sizes), 2 * channels, 1, 1)
        for number, (rows, kernel) in enumerate(zip(torch.split(whole, sizes), parameters, strict=True)):
            rows.chunk(2, dim=1)[number % 2].copy_(kernel)
        return whole


@dataclass
class Pooling(Group):
    """A pooling, computed once whatever the number of edges that have it."""

    largest: bool = False
    stride: int = 1
    normed: bool = False

    def parameters(self) -> list[Tensor]:
        """None."""
        return []

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The members' values are one and the same."""
        if self.stride == 1 and not self.largest and not self.normed:
            return [kernels.mean(x)] * len(self.rows), []
        value = kernels.pool(x, self.stride, largest=self.largest)
        if self.normed:
            statistics.measure(kernels, self.rows, value)
        return [value] * len(self.rows), []

    def value(self, member: int, x: Tensor, parameters: Sequence[Tensor], stored: Tensor) -> Value:
        """A mean without batch norm may not have been stored."""
        return stored if stored.numel() else Mean(x)

    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """All members' gradients are added up before they go back; those of a mean that was not stored have done so."""
        if not values[0].numel():
            return []
        coefficients, constant = kernels.joined(back.slopes)
        total = torch.empty_like(values[0])
        kernels.combine([*back.gradients, values[0]], coefficients, constant, total)
        kernels.pool_backward(total, x, values[0], self.stride, gx, largest=self.largest)
        return []


@dataclass
class Module(Group):
    """An operation that nothing here knows, as its module computes it."""

    module: nn.Module = field(default_factory=nn.Identity)

    def parameters(self) -> list[Tensor]:
        """The module's."""
        return list(self.module.parameters())

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Keeps the module's own graph."""
        with torch.enable_grad():
            # `data`: the module's graph must not take writes to other slices of the cell's output for writes to x.
            leaf = x.data.requires_grad_()
            out = self.module(pool_input(planes(leaf)))  # it may pool
        return [pixels(out.detach())], [leaf, out]

    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """Through the module's own graph."""
        (g,), (grad_output,), (leaf, out) = back.gradients, back.slopes, kept
        wanted = [leaf, *(parameters if back.weights else [])]
        found = torch.autograd.grad(
            out,
            wanted,
            planes(g * grad_output.of_gradient),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        gx.add_(found[0])
        return list(found[1:]) if back.weights else [None] * len(parameters)
