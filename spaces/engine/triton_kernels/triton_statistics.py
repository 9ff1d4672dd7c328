"""What is known of an image's channels, on NVIDIA GPUs: moments, and what batch norm makes of them, in Triton.

The interface is that of `portable.py`. What a batch sums up to is handed on as its tiles' sums, which the kernel that
wants them adds up.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces.engine.torch_kernels import spacings
from spaces.engine.torch_statistics import Norms, Passed, Slope
from spaces.engine.triton_kernels.triton_launch import (
    MERGED,
    on_channels,
    on_rows,
    on_tiles,
    parts,
    pixel_count,
    some,
    tile,
)


def moments(y: Tensor, means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """See `portable.moments`."""
    _moments([y], means, variances)


def moments_of(ys: Sequence[Tensor], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """The mean and variance of each of `ys`, all of one shape."""
    for each in some(len(ys)):
        _moments(ys[each], means[each], variances[each])


def _moments(ys: Sequence[Tensor], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """Of one of `ys` to all places, or of each to one."""
    y, count = ys[0], len(ys)
    found = parts(y, 2 * count)
    on_tiles("moments", y, tuple(ys), spacings(ys), found, members=count)
    sizes = {"pixels": pixel_count(y), "P": tile(y.shape[-1])[0], "TILES": MERGED}
    where = (found, tuple(means), tuple(variances), len(found), count)
    on_channels("merge", y, *where, members=count, SAME=count == 1, **sizes)


def coefficients(
    norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `portable.coefficients`."""
    rows, channels = norms.mean.shape
    out = norms.mean.new_empty(rows + 1, channels, dtype=dtype)
    where = (norms.mean, norms.variance, norms.eps, out, rows)
    width = scale.shape[1]
    on_channels("coefficients", out, weights, scale, shift, width, *where, WIDE=width > 1)
    return out[:-1], out[-1]


def normalising(norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """See `portable.normalising`."""
    rows, channels = norms.mean.shape
    out = norms.mean.new_empty(2, rows, channels, dtype=dtype)
    where = (norms.mean, norms.variance, norms.eps, scale, shift, out, rows)
    on_channels("normalising", out, *where, members=rows, AFFINE=scale is not None)
    return out[0], out[1]


def slopes(
    norms: Norms,
    sums: Tensor,
    weights: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    count: int,
    dtype: torch.dtype,
    *,
    learnt: bool,
) -> Passed:
    """See `portable.slopes`. The sums are those of tiles."""
    rows, channels = norms.mean.shape
    out = sums.new_empty(rows, 3, channels, dtype=dtype)
    of_weights = sums.new_empty(rows) if weights is not None else None
    of_norms = sums.new_empty(2, rows, channels, dtype=dtype) if learnt else (None, None)
    width = scale.shape[1] if scale is not None else 1
    where = (*norms, count, out, of_weights, *of_norms)
    on_rows(
        "slopes", sums, sums, len(sums), sums.shape[1], weights, scale, shift, width, *where,
        rows=rows, SHARED=sums.shape[1] == 1 + rows, WEIGHED=weights is not None, SCALED=scale is not None,
        LEARNT=learnt, WIDE=width > 1, TILES=MERGED,
    )  # fmt: skip
    return Passed([Slope(*each.unbind()) for each in out], of_weights, *of_norms)


def joined(slopes: Sequence[Slope]) -> tuple[Tensor, Tensor]:
    """See `portable.joined`."""
    one = slopes[0].constant
    out = one.new_empty(len(slopes) + 2, len(one))
    on_channels("joined", out, *zip(*slopes, strict=True), out)
    return out[:-1], out[-1]


def tap_sums(sums: Tensor, taps: int, like: Tensor) -> Tensor:
    """The gradients of depthwise kernels `like` one, of their tiles' sums `[tiles, members · taps, C]`."""
    rows = sums.shape[1]
    out = like.new_empty(rows // taps, *like.shape)
    on_channels("tap_sums", sums, sums, out, len(sums), rows, members=rows, TAPS=taps, TILES=MERGED)
    return out
