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

from spaces.core.fast.portable import Form, Mean, Pointwise, Slope, Value, Weighed, pixels, planes
from spaces.core.fast.statistics import Statistics
from spaces.core.operations import BatchNorm, FactorizedReduce

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
    for y, g, slope, into in zip(values, back.gradients, back.slopes, out.chunk(len(values), -1), strict=True):
        kernels.combine([g, y], torch.stack([slope.of_gradient, slope.of_value]), slope.constant, into)
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
        where = [statistics.written(row) for row in self.rows]
        means, variances = zip(*where, strict=True) if statistics.of_batch else (None, None)
        values, second = kernels.dense(x, parameters, means, variances)
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
            statistics.measure(kernels, row, y)
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
        slope = _slopes(kernels, values, back)
        weight = self._weight(parameters)
        of_halves, of_weight, _ = torch.ops.aten.convolution_backward(
            planes(slope), planes(self._halves(kernels, x)), weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            [True, back.weights, False],
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
        rows = []
        for number, kernel in enumerate(parameters):
            blank = torch.zeros_like(kernel)
            rows.append(torch.cat([blank, kernel] if number % 2 else [kernel, blank], dim=1))
        return torch.cat(rows)


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
            statistics.measure(kernels, self.rows[0], value, self.rows[1:])
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
        of_value = torch.stack([slope.of_value for slope in back.slopes]).sum(0)
        constant = torch.stack([slope.constant for slope in back.slopes]).sum(0)
        coefficients = torch.stack([*(slope.of_gradient for slope in back.slopes), of_value])
        total = torch.empty_like(values[0])
        kernels.combine([*back.gradients, values[0]], coefficients, constant, total)
        kernels.pool_backward(total, x, values[0], self.stride, gx, largest=self.largest)
        return []


@dataclass
class Separable(Group):
    """One dilated or separable convolution: depthwise and pointwise, once or twice, a batch norm between the two."""

    stages: tuple[tuple[nn.Conv2d, nn.Conv2d], ...] = ()
    between: BatchNorm | None = None
    between_row: int = -1

    def parameters(self) -> list[Tensor]:
        """The kernels, then scale and shift of the batch norm between, where it has them."""
        found = [convolution.weight for stage in self.stages for convolution in stage]
        if self.between is not None and self.between.affine:
            found += [self.between.weight, self.between.bias]
        return found

    def _forms(self) -> list[Form]:
        return [Form(d.kernel_size[0], d.dilation[0], d.stride[0]) for d, _ in self.stages]

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Keeps what stands between the two: its raw value, and scale and shift that normalise it."""
        first, *second = self._forms()
        rows = [self.between_row, *self.rows] if second else self.rows
        y = kernels.separable(x, None, None, *parameters[:2], first, *statistics.written(rows[0]))
        if not second:
            return [y], []
        scale, shift = self._normalising(statistics, parameters, x.dtype)
        z = kernels.separable(y, scale, shift, *parameters[2:4], second[0], *statistics.written(rows[1]))
        return [z], [y, scale, shift]

    def _normalising(self, statistics: Statistics, parameters: Sequence[Tensor], dtype: torch.dtype) -> list[Tensor]:
        """Scale and shift `[C]` that do what the batch norm between the halves does."""
        scale = statistics.spread(self._between_rows)[0]
        shift = -statistics.mean[self.between_row] * scale
        if len(parameters) > 4:
            scale, shift = scale * parameters[4], shift * parameters[4] + parameters[5]
        return [scale.to(dtype), shift.to(dtype)]

    @property
    def _between_rows(self) -> slice:
        return slice(self.between_row, self.between_row + 1)

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
        """Through the second half, the batch norm between, and the first."""
        first, *second = self._forms()
        (g,), (slope,), (value,), weights = back.gradients, back.slopes, values, back.weights
        later: list[Tensor | None] = []
        if second:
            y, scale, shift = kept
            inner = torch.empty_like(y)
            sums, *of_second = kernels.separable_backward(
                g, value, slope, y, scale, shift, *parameters[2:4], second[0], inner, accumulate=False, weights=weights
            )
            slope, of_norm = self._through_norm(sums, back.statistics, parameters, y)
            g, value, later = inner, y, [*of_second, *of_norm]
        _, *of_first = kernels.separable_backward(
            g, value, slope, x, None, None, *parameters[:2], first, gx, accumulate=True, weights=weights
        )
        return [*of_first, *later]

    def _through_norm(
        self, sums: Tensor, statistics: Statistics, parameters: Sequence[Tensor], y: Tensor
    ) -> tuple[Slope, list[Tensor | None]]:
        """The slope of the batch norm between the halves, and the gradients of its scale and shift."""
        affine = len(parameters) > 4
        scale = parameters[4][None].double() if affine else torch.ones_like(sums[:1])
        count = y.shape[0] * y.shape[1] * y.shape[2]
        slopes, p = statistics.slopes(self._between_rows, sums[0], sums[1:], scale, count, y.dtype)
        return slopes[0], [p[0].to(y.dtype), sums[0].to(y.dtype)] if affine else []


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
            out = self.module(planes(leaf))
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
        (g,), (slope,), (leaf, out) = back.gradients, back.slopes, kept
        wanted = [leaf, *(parameters if back.weights else [])]
        found = torch.autograd.grad(
            out, wanted, planes(g * slope.of_gradient), retain_graph=True, allow_unused=True, materialize_grads=True
        )
        gx.add_(found[0])
        return list(found[1:]) if back.weights else [None] * len(parameters)
