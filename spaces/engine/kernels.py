"""The interface of a family of kernels; `kernel_values` has the values that its functions take and return.

`torch_kernels` is the definition: it runs on every device in every precision. The C++ family is for CPUs, the Triton
family for NVIDIA GPUs.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    Moments,
    NormGradients,
    Norms,
    PoolGradient,
    SeparableStage,
    Value,
)


class WeightGradients(Protocol):
    """The gradients of convolution kernels in a cell's backward pass.

    Functions are given one if such gradients are requested. A family may return tensors that it only fills when the
    pass has ended.
    """

    def finish(self) -> None:
        """Compute those that are still to be computed."""


class Kernels(Protocol):
    """A family of kernels. The families are modules."""

    NAME: str
    """The language in words."""
    FILLS_STATISTICS: bool
    """Whether `forward_coefficients` and `normalization` write the statistics of rows without a norm, too."""
    JOINS_INPUTS: bool
    """Whether operations of all input nodes are computed in one call, if these have one shape."""
    AT_ONCE: int
    """Separable convolutions of a group in one backward call: each needs images of its own meanwhile."""

    def obstacle(self, device: str, dtype: torch.dtype, channels: int) -> str:
        """Why the family cannot compute images of this device type, data type and channels; "" if it can."""

    def weight_gradients(self) -> WeightGradients:
        """What collects the gradients of convolution kernels in one backward pass."""

    def moments(self, y: Tensor, into: Moments) -> None:
        """Write the mean and the (biased) variance of each channel of `y` to all rows of `into`."""

    def reduce(self, g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
        """Σ g, then Σ g · term for each term, over all pixels: float64 `[1 + terms, C]`.

        Then, for each term that is `Pointwise`, Σ g relu(x)ᵀ: float64 `[C, C]`. A family may return sums of parts of
        the batch, `[parts, 1 + terms, C]`, which its own `backward_coefficients` adds up, and no products if it stores
        all values.
        """

    def combine(
        self,
        terms: Sequence[Value],
        coefficients: Sequence[Tensor] | Tensor,
        bias: Tensor | None,
        out: Tensor,
        *,
        accumulate: bool = False,
    ) -> None:
        """Write bias + Σ coefficient · term to `out`, for coefficients `[terms, C]`; add it to `out` on request.

        A family's `forward_coefficients` may return its bias as rows `[rows, C]`, which its own `combine` adds up.
        """

    def pools(
        self, xs: Sequence[Tensor], largest: Sequence[bool], stride: int, into: Sequence[Moments] | None
    ) -> tuple[list[Tensor], list[Tensor | None]]:
        """Maximum or mean of 3 x 3 windows of each image, the padding not counted; all images have one shape.

        Moments are written to all rows of each's `into`. Then what `pools_backward` needs of each besides.
        """

    def pools_backward(self, pools: Sequence[PoolGradient], stride: int) -> None:
        """Add the gradients of pools of images of one shape."""

    def mean(self, x: Tensor) -> Tensor:
        """The mean of 3 x 3 windows at stride 1; empty if the family wants a `Mean` instead."""

    def dense(self, x: Tensor, weights: Sequence[Tensor], into: Moments | None) -> tuple[list[Tensor], Tensor | None]:
        """A convolution of relu(x), of stride 1, for each of `weights`; the moments of each to its row of `into`.

        A value is empty if the family wants a `Pointwise` instead. Last what `dense_backward` then needs: the sum of
        relu(x) and of its products between channels, float64 `[1 + C, C]`.
        """

    def dense_backward(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        coefficients: Sequence[BackwardCoefficients],
        x: Tensor,
        weights: Sequence[Tensor],
        gx: Tensor,
        *,
        second: Tensor | None,
        products: Sequence[Tensor | None],
        bypass: Bypass,
        of_weights: WeightGradients | None,
    ) -> list[Tensor | None]:
        """Write the gradient of `dense` to gx, or add it, for dL/dvalue = A g + B value + K of each of its `values`.

        `second` and `products` are what `dense` and `reduce` returned. Returns the gradients of `weights` on request.
        """

    def factorized(self, x: Tensor, kernels: Sequence[tuple[Tensor, Tensor]], into: Moments | None) -> list[Tensor]:
        """The values of `FactorizedReduce`, of stride 2, before the norm, for the kernels of each: even and odd pixels.

        The moments of each go to its row of `into`.
        """

    def factorized_backward(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        coefficients: Sequence[BackwardCoefficients],
        x: Tensor,
        kernels: Sequence[tuple[Tensor, Tensor]],
        gx: Tensor,
        *,
        of_weights: WeightGradients | None,
    ) -> list[Tensor | None]:
        """Add the gradient of `factorized` to gx, for dL/dvalue = A g + B value + K of each of its `values`.

        Returns the gradients of the kernels on request.
        """

    def separable(self, stages: Sequence[SeparableStage], into: Moments | None) -> list[Tensor]:
        """The values of stages whose images have one shape; the moments of each to its row of `into`."""

    def separable_backward(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        coefficients: Sequence[BackwardCoefficients],
        stages: Sequence[SeparableStage],
        gx: Sequence[Tensor],
        *,
        bypass: Sequence[Bypass] | None,
        of_weights: WeightGradients | None,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """The gradients of `separable`, for dL/dvalue = A g + B value + K of each of its `values`.

        Writes dL/d(scale · x + shift) of each stage to its gx and returns Σ gx and Σ gx · x of each in turn,
        `[2 · stages, C]` (see `backward_coefficients`). Or, with a `bypass` for each stage, adds the gradients at x
        to gx; stages that share x, without a scale, share both. Then the gradients of both kernels of each stage, on
        request.
        """

    def forward_coefficients(
        self, norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """A = w γ s of each row `[rows, C]`, and the constant Σ (w β - A m) `[C]` or its summands `[rows, C]`.

        For w `[rows, 1]`, γ and β `[rows, C]` or `[rows, 1]`, all in double.
        """

    def normalization(
        self, norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """The factor and the offset that normalise a value, `[rows, C]` each, with γ and β where given."""

    def backward_coefficients(
        self,
        norms: Norms,
        sums: Tensor,
        weights: Tensor | None,
        scale: Tensor | None,
        shift: Tensor | None,
        count: int,
        dtype: torch.dtype,
        *,
        learnt: bool,
    ) -> NormGradients:
        """The backward pass of each row, for `count` pixels; with the gradients of γ and β if they are `learnt`.

        The sums are q, then d of each row, `[1 + rows, C]`; or, where each row has a q of its own, q and d of each row
        in turn, `[2 · rows, C]`; as the same family's `reduce` and `separable_backward` return them. w, γ and β are as
        in `forward_coefficients`; γ alone or none where no w weighs the rows, and then they have no gradient.
        """

    def running_rows(
        self, norms: Norms, rows: Tensor, count: int, dtype: torch.dtype
    ) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """The means and the unbiased variances of these rows for `count` pixels, as running statistics have them."""
