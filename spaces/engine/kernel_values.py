"""The values that the functions of a family of kernels take and return.

Images are `[N, H, W, C]`, channels last in memory; a tensor may be a slice of the channels of a wider one. Statistics
and sums over a batch are float64 `[C]`, or `[rows, C]`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

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


NOTHING = WeightedImages([], [])


class BackwardCoefficients(NamedTuple):
    """A, B and K `[C]` of dL/dy = A g + B y + K, the gradient before a batch norm for the gradient g behind it."""

    of_gradient: Tensor
    of_value: Tensor
    constant: Tensor


class PartialMoments(NamedTuple):
    """The moments of parts of a batch: mean and sum of squares around it, float64 `[parts, 2, C]`."""

    sums: Tensor
    share: int  # pixels of each part but the last
    pixels: int  # of all parts


@dataclass
class Moments:
    """Where the mean and the (biased) variance of values belong: each in a row `[C]` of the batch statistics.

    A family writes them there. Or it leaves moments of parts in `partial`, by row, which its own `forward_coefficients`
    and `normalization` add up and write.
    """

    rows: Sequence[int]
    mean: Tensor
    variance: Tensor
    partial: dict[int, PartialMoments]

    @property
    def means(self) -> list[Tensor]:
        """The rows of means."""
        return [self.mean[row] for row in self.rows]

    @property
    def variances(self) -> list[Tensor]:
        """The rows of variances."""
        return [self.variance[row] for row in self.rows]


class Bypass(NamedTuple):
    """The gradients at an image x that bypass the operations computed together: they are added to gx with these.

    `whole` weighs gradients of x itself, `means` those of its `Mean`. gx is overwritten unless `accumulate`.
    """

    whole: WeightedImages = NOTHING
    means: WeightedImages = NOTHING
    accumulate: bool = True

    @property
    def empty(self) -> bool:
        """Whether gx stays as it is."""
        return self.accumulate and not self.whole.images and not self.means.images


class PoolGradient(NamedTuple):
    """The gradient of a pool, Σ (A g + B value + K) over several g of its value; it is added to gx."""

    gradients: Sequence[Tensor]
    coefficients: Sequence[BackwardCoefficients]
    x: Tensor
    value: Tensor
    saved: Tensor | None  # as `Kernels.pools` returned it
    largest: bool
    gx: Tensor


class Norms(NamedTuple):
    """Rows of batch statistics: mean and variance `[rows, C]`, and two columns `[rows, 1]`."""

    mean: Tensor
    variance: Tensor
    eps: Tensor
    through: Tensor  # 1 where the gradient passes through mean and variance, because they are the batch's own
    partial: Sequence[PartialMoments | None] = ()  # of each row, if the statistics are the batch's own


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
