"""The numbers that the cases of kernels are computed from, on a device and in a data type."""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor

from spaces.common.streams import generator
from spaces.engine.kernel_values import BackwardCoefficients, Moments, NormGradients, Norms
from spaces.engine.kernels import Kernels

Case = Callable[[Kernels], list[Tensor]]

Size = tuple[int, int, int, int]
"""Images, height, width, channels."""

SMALL: Size = (3, 9, 7, 24)
"""No tile divides any of it."""


class Inputs:
    """The same numbers wherever they are made; first rounded to `rounded`, or to `dtype`.

    Images have this size, and some are slices of wider ones.
    """

    def __init__(
        self, device: torch.device, dtype: torch.dtype, rounded: torch.dtype | None = None, size: Size = SMALL
    ) -> None:
        self.device, self.dtype, self._rounded = device, dtype, rounded or dtype
        *self._outer, channels = size
        self.channels, self.pixels = channels, prod(self._outer)
        self._source = generator(0, "proof of kernels")
        self.terms = [self.image() if number % 2 else self.part() for number in range(19)]
        self.g, self.x = self.part(), self.part()
        self.coefficients, self.bias = self.numbers(19, channels), self.numbers(channels)
        self.by = self.coefficients_of_norm()
        self.three = [self.coefficients_of_norm() for _ in range(3)]
        self.pointwise = self.numbers(4, channels, channels, 1, 1)
        self.dense3 = self.numbers(channels, channels, 3, 3)
        self.depthwise = {size: self.numbers(channels, 1, size, size) for size in (3, 5)}
        mean, variance, *self.learnt = self.numbers(4, 19, channels).double().unbind()
        self.columns = self.numbers(4, 19, 1).double().abs()
        self._moments = mean, variance.square() + 0.1
        down = [-(-side // 2) for side in self._outer[1:]]
        self.smaller = [self.numbers(self._outer[0], *down, channels) for _ in range(2)]

    def numbers(self, *shape: int) -> Tensor:
        """Normal numbers, the next of the stream."""
        exact = torch.randn(shape, generator=self._source, dtype=torch.float64, device="cpu")
        return exact.to(self._rounded).to(self.device, self.dtype)

    def image(self) -> Tensor:
        """A whole image."""
        return self.numbers(*self._outer, self.channels)

    def part(self) -> Tensor:
        """A slice of a wider image."""
        return self.numbers(*self._outer, 2 * self.channels)[..., self.channels :]

    def statistics(self, count: int) -> Moments:
        """Where `count` means and as many variances belong."""
        made = torch.zeros(2, count, self.channels, dtype=torch.float64, device=self.device)
        return Moments(range(count), made[0], made[1], {})

    def measured(self, kernels: Kernels, into: Moments) -> list[Tensor]:
        """The means and the variances, when the family has added them up if it has not yet."""
        one = torch.ones(len(into.rows), 1, dtype=torch.float64, device=self.device)
        partial = [into.partial.get(row) for row in into.rows]
        kernels.normalization(Norms(into.mean, into.variance, one, one, partial), None, None, self.dtype)
        return [into.mean, into.variance]

    def coefficients_of_norm(self) -> BackwardCoefficients:
        """Of one value."""
        return BackwardCoefficients(*self.numbers(3, self.channels).unbind())

    def norms(self, rows: int) -> Norms:
        """The statistics of so many values."""
        mean, variance, eps = (each[:rows] for each in (*self._moments, self.columns[3]))
        return Norms(mean, variance, eps, torch.ones_like(eps))


def added(sums: Tensor) -> Tensor:
    """Sums `[rows, C]`; those of tiles `[tiles, rows, C]` are added up."""
    return sums.reshape(-1, *sums.shape[-2:]).sum(0)


def given(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """Those that are not None."""
    return [tensor for tensor in tensors if tensor is not None]


def flat(norms: NormGradients) -> list[Tensor]:
    """The tensors: all A, all B, all K, and the gradients."""
    return [
        *(torch.stack(each) for each in zip(*norms.coefficients, strict=True)),
        *given(norms[1:]),
    ]
