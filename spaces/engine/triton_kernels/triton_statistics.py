"""Statistics of an image's channels in Triton, for NVIDIA GPUs: moments, and batch norm's coefficients.

It implements a part of `Kernels`. Sums over a batch stay sums of tiles, which the kernel that
reads them adds up.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces.engine.kernels import BackwardCoefficients, NormGradients, Norms, pixel_strides
from spaces.engine.triton_kernels.triton_launch import (
    MERGED,
    chunks,
    on_channels,
    on_rows,
    on_tiles,
    partial_sums,
    pixel_count,
    tile,
)


def moments(y: Tensor, means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """See `Kernels.moments`."""
    _moments([y], means, variances)


def moments_of(ys: Sequence[Tensor], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """The mean and variance of each of `ys`, all of one shape."""
    for each in chunks(len(ys)):
        _moments(ys[each], means[each], variances[each])


def _moments(ys: Sequence[Tensor], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """Those of the one image to all places, or of each of several to its own."""
    y, count = ys[0], len(ys)
    found = partial_sums(y, 2 * count)
    on_tiles("moments", y, tuple(ys), pixel_strides(ys), found, members=count)
    sizes = {"pixels": pixel_count(y), "P": tile(y.shape[-1])[0], "TILES": MERGED}
    where = (found, tuple(means), tuple(variances), len(found), count)
    on_channels("merge", y, *where, members=count, SAME=count == 1, **sizes)


def forward_coefficients(
    norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.forward_coefficients`."""
    rows, channels = norms.mean.shape
    out = norms.mean.new_empty(rows + 1, channels, dtype=dtype)
    where = (norms.mean, norms.variance, norms.eps, out, rows)
    width = scale.shape[1]
    on_channels("forward_coefficients", out, weights, scale, shift, width, *where, WIDE=width > 1)
    return out[:-1], out[-1]


def normalization(
    norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.normalization`."""
    rows, channels = norms.mean.shape
    out = norms.mean.new_empty(2, rows, channels, dtype=dtype)
    where = (norms.mean, norms.variance, norms.eps, scale, shift, out, rows)
    on_channels("normalization", out, *where, members=rows, AFFINE=scale is not None)
    return out[0], out[1]


def backward_coefficients(
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
    """See `Kernels.backward_coefficients`. Takes the sums of tiles."""
    rows, channels = norms.mean.shape
    out = sums.new_empty(rows, 3, channels, dtype=dtype)
    of_weights = sums.new_empty(rows) if weights is not None else None
    of_norms = sums.new_empty(2, rows, channels, dtype=dtype) if learnt else (None, None)
    width = scale.shape[1] if scale is not None else 1
    where = (*norms, count, out, of_weights, *of_norms)
    on_rows(
        "backward_coefficients", sums, sums, len(sums), sums.shape[1], weights, scale, shift, width, *where,
        rows=rows, SHARED=sums.shape[1] == 1 + rows, WEIGHED=weights is not None, SCALED=scale is not None,
        LEARNT=learnt, WIDE=width > 1, TILES=MERGED,
    )  # fmt: skip
    return NormGradients([BackwardCoefficients(*each.unbind()) for each in out], of_weights, *of_norms)


def summed_coefficients(coefficients: Sequence[BackwardCoefficients]) -> tuple[Tensor, Tensor]:
    """See `Kernels.summed_coefficients`."""
    one = coefficients[0].constant
    out = one.new_empty(len(coefficients) + 2, len(one))
    on_channels("summed_coefficients", out, *zip(*coefficients, strict=True), out)
    return out[:-1], out[-1]


def tap_sums(sums: Tensor, taps: int, like: Tensor) -> Tensor:
    """The gradients of depthwise kernels shaped `like` one, from the sums of tiles `[tiles, members · taps, C]`."""
    rows = sums.shape[1]
    out = like.new_empty(rows // taps, *like.shape)
    on_channels("tap_sums", sums, sums, out, len(sums), rows, members=rows, TAPS=taps, TILES=MERGED)
    return out
