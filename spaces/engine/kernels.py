"""The interface of a family of kernels, and the values that its functions take and return.

Images are `[N, H, W, C]`, channels last in memory; a tensor may be a slice of the channels of a wider one. Statistics
and sums over a batch are float64 `[C]`, or `[rows, C]`. `torch_kernels` is the definition: it runs on every device in
every precision. The C++ family is for CPUs, the Triton family for NVIDIA GPUs.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor


class DepthwiseShape(NamedTuple):
    """The shape of a depthwise convolution: kernel size, dilation, stride. Its padding keeps the size at stride 1."""

    kernel: int
    dilation: int
    stride: int


class SeparableStage(NamedTuple):
    """One stage of a separable convolution: relu(scale · x + shift), or relu(x), through both of its kernels."""

    x: Tensor
    scale: Tensor | None
    shift: Tensor | None
    depthwise: Tensor
    pointwise: Tensor
    form: DepthwiseShape


class Pointwise(NamedTuple):
    """A value that is not stored: relu(x) through a 1x1 convolution."""

    x: Tensor
    weight: Tensor


class Mean(NamedTuple):
    """A value that is not stored: the mean of 3 x 3 windows of x, at stride 1."""

    x: Tensor


Value = Tensor | Pointwise | Mean


class WeightedImages(NamedTuple):
    """Images, and for each of them a coefficient for every channel `[C]`."""

    images: Sequence[Tensor]
    coefficients: Sequence[Tensor]


class BackwardCoefficients(NamedTuple):
    """A, B and K `[C]` of dL/dy = A g + B y + K, the gradient before a batch norm for the gradient g behind it."""

    of_gradient: Tensor
    of_value: Tensor
    constant: Tensor


class Norms(NamedTuple):
    """Rows of batch statistics: mean and variance `[rows, C]`, and two columns `[rows, 1]`."""

    mean: Tensor
    variance: Tensor
    eps: Tensor
    through: Tensor  # 1 where the gradient passes through mean and variance, because they are the batch's own


class NormGradients(NamedTuple):
    """The backward pass of batch norms: coefficients for each row, and the gradients of w, γ, β that were requested.

    Those of w are float64 `[rows]`, those of γ and β `[rows, C]`.
    """

    coefficients: list[BackwardCoefficients]
    of_weights: Tensor | None
    of_scale: Tensor | None
    of_shift: Tensor | None


def channels_first(x: Tensor) -> Tensor:
    """`[N, H, W, C]` as `[N, C, H, W]`, which torch's operations take, without a copy."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Tensor) -> Tensor:
    """`[N, C, H, W]` as `[N, H, W, C]`, which kernels take, contiguous."""
    return x.permute(0, 2, 3, 1).contiguous()


def pixel_stride(x: Tensor) -> int:
    """The distance between two pixels of `x` [N, H, W, C], which may be a slice of wider images."""
    if x.is_contiguous():
        return x.shape[-1]
    # The stride of a dimension of size 1 is arbitrary.
    return next(x.stride(dimension) for dimension in (2, 1, 0) if x.shape[dimension] > 1)


def pixel_strides(images: Sequence[Value]) -> tuple[int, ...]:
    """Those of images that are all stored."""
    return tuple(pixel_stride(cast(Tensor, image)) for image in images)


class Kernels(Protocol):
    """A family of kernels. The families are modules."""

    NAME: str
    """The language in words."""
    AT_ONCE: int
    """Separable convolutions of a group in one backward call: each needs images of its own meanwhile."""

    def obstacle(self, device: str, dtype: torch.dtype, channels: int) -> str:
        """Why the family cannot compute images of this device type, data type and channels; "" if it can."""

    def moments(self, y: Tensor, means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
        """Write the mean and the (biased) variance of each channel of `y` to each of `means` and `variances`."""

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
        """Write bias + Σ coefficient · term to `out`, for coefficients `[terms, C]`; add it to `out` on request."""

    def rectify(self, x: Tensor) -> Tensor:
        """ReLU."""

    def rectify_backward(self, grad_output: Tensor, x: Tensor, gx: Tensor) -> None:
        """Add the gradient of the ReLU of x to gx."""

    def pool(self, x: Tensor, stride: int, *, largest: bool) -> Tensor:
        """Maximum or mean of 3 x 3 windows, the padding not counted."""

    def pool_backward(
        self, grad_output: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool
    ) -> None:
        """Add the gradient of `pool` at x to gx."""

    def mean(self, x: Tensor) -> Tensor:
        """The mean of 3 x 3 windows at stride 1; empty if the family wants a `Mean` instead."""

    def dense(
        self,
        x: Tensor,
        weights: Sequence[Tensor],
        means: Sequence[Tensor] | None,
        variances: Sequence[Tensor] | None,
    ) -> tuple[list[Tensor], Tensor | None]:
        """A convolution of relu(x), of stride 1, for each of `weights`; mean and variance of each written on request.

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
        whole: WeightedImages,
        means: WeightedImages,
        accumulate: bool,
        of_weights: bool,
    ) -> list[Tensor | None]:
        """Write the gradient of `dense` to gx, or add it, for dL/dvalue = A g + B value + K of each of its `values`.

        Includes the gradient of x itself, weighted by `whole`, and of the `Mean` of x, weighted by `means`. `second`
        and `products` are what `dense` and `reduce` returned. Returns the gradients of `weights` on request.
        """

    def separable(
        self,
        stages: Sequence[SeparableStage],
        means: Sequence[Tensor] | None,
        variances: Sequence[Tensor] | None,
    ) -> list[Tensor]:
        """The values of stages whose images have one shape; mean and variance of each written on request."""

    def separable_backward(
        self,
        gradients: Sequence[Tensor],
        values: Sequence[Tensor],
        coefficients: Sequence[BackwardCoefficients],
        stages: Sequence[SeparableStage],
        gx: Tensor | Sequence[Tensor],
        *,
        weights: bool,
    ) -> tuple[Tensor | None, list[Tensor | None]]:
        """The gradients of `separable`, for dL/dvalue = A g + B value + K of each of its `values`.

        Writes dL/d(scale · x + shift) of each stage to its gx and returns Σ gx and Σ gx · x of each in turn,
        `[2 · stages, C]` (see `backward_coefficients`). Or adds all gradients to one gx, if all stages share one x
        without a scale. Then the gradients of both kernels of each stage, if those of the `weights` are requested.
        """

    def forward_coefficients(
        self, norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """A = w γ s of each row `[rows, C]`, and the constant Σ (w β - A m) `[C]`.

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

    def summed_coefficients(self, coefficients: Sequence[BackwardCoefficients]) -> tuple[Tensor, Tensor]:
        """The sum of several gradients of one value: all A and then Σ B, `[members + 1, C]`, and Σ K."""
