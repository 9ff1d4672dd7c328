"""Statistics of an image's channels in Triton, for NVIDIA GPUs: moments, and batch norm's coefficients.

It implements a part of `Kernels`. Sums over a batch stay sums of parts, which the kernel that reads them adds up.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Moments,
    NormGradients,
    Norms,
    PartialMoments,
    pixel_stride,
)
from spaces.engine.triton_kernels.tile_sizes import NARROW, PIXELS
from spaces.engine.triton_kernels.triton_launch import (
    PARTS,
    TERMS,
    Share,
    blocks,
    chunks,
    launch,
    padded,
    pixel_count,
    table,
)

MERGED = {"PARTS": PARTS, "C": NARROW}


def moments(y: Tensor, into: Moments) -> None:
    """See `Kernels.moments`."""
    share, channels = Share.of(pixel_count(y), PIXELS), y.shape[-1]
    found = y.new_empty(share.programs, 2, channels, dtype=torch.float64)
    grid = (share.programs, blocks(channels, NARROW))
    sizes = {"each": share.each, "pixels": pixel_count(y), "channels": channels}
    launch("moments", grid, y, y, pixel_stride(y), found, **sizes, P=PIXELS, C=NARROW)
    put_moments(into, [found] * len(into.rows), share.each * PIXELS, pixel_count(y))


def put_moments(into: Moments, sums: Sequence[Tensor], share: int, pixels: int, places: slice = slice(None)) -> None:
    """Leave each row, or those at `places`, its parts of `share` pixels: float64 `[parts, 2, C]`."""
    for row, each in zip(into.rows[places], sums, strict=True):
        into.partial[row] = PartialMoments(each, share, pixels)


def _merged(norms: Norms, rows: slice) -> dict[str, Any]:
    """The arguments by which a kernel finds the parts of these rows, or that there are none."""
    if not norms.partial:
        return {"parts": (norms.mean,) * TERMS, "table": None, "pixels": 1, "MERGED": False}
    numbers = [
        number
        for part in norms.partial[rows]
        for number in ((0, 0, 0) if part is None else (len(part.sums), part.sums.stride(0), part.share))
    ]
    sums = [norms.mean if part is None else part.sums for part in norms.partial[rows]]
    pixels = next((part.pixels for part in norms.partial[rows] if part is not None), 1)
    found = {"parts": padded(sums, TERMS), "table": table(numbers, norms.mean.device), "pixels": pixels}
    return {**found, "MERGED": True}


def forward_coefficients(
    norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.forward_coefficients`. The constants of all rows, float64 `[rows, C]`, which `combine` adds up."""
    rows, channels = norms.mean.shape
    out, constants = norms.mean.new_empty(rows, channels, dtype=dtype), torch.empty_like(norms.mean)
    wide = scale.shape[1]
    for each in chunks(rows, TERMS):
        of_rows = [x[each] for x in (weights, scale, shift, norms.mean, norms.variance, norms.eps, out, constants)]
        w, gamma, beta, mean, variance, *rest = of_rows
        where = {"mean": mean, "variance": variance, **_merged(norms, each), "channels": channels}
        names = dict(zip(("eps", "out", "constants"), rest, strict=True))
        of_terms = {"weights": w, "scale": gamma, "shift": beta, "width": wide}
        grid = (each.stop - each.start, blocks(channels, NARROW))
        launch("forward_coefficients", grid, out, **of_terms, **where, **names, WIDE=wide > 1, **MERGED)
    return out, constants


def normalization(
    norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.normalization`."""
    rows, channels = norms.mean.shape
    out = norms.mean.new_empty(2, rows, channels, dtype=dtype)
    for each in chunks(rows, TERMS):
        mean, variance, eps = (x[each] for x in (norms.mean, norms.variance, norms.eps))
        learnt = {"scale": None if scale is None else scale[each], "shift": None if shift is None else shift[each]}
        where = {"mean": mean, "variance": variance, "eps": eps, **_merged(norms, each), "channels": channels}
        grid = (each.stop - each.start, blocks(channels, NARROW))
        launch(
            "normalization", grid, out, **where, **learnt, out=out[:, each], rows=rows, AFFINE=scale is not None,
            **MERGED,
        )  # fmt: skip
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
    """See `Kernels.backward_coefficients`. Takes the sums of parts."""
    rows, channels = norms.mean.shape
    out = sums.new_empty(rows, 3, channels, dtype=dtype)
    of_weights = sums.new_empty(rows) if weights is not None else None
    of_norms = sums.new_empty(2, rows, channels, dtype=dtype) if learnt else (None, None)
    width = scale.shape[1] if scale is not None else 1
    where = (norms.mean, norms.variance, norms.eps, norms.through, count, out, of_weights, *of_norms, channels)
    launch(
        "backward_coefficients", (rows,), sums, sums, len(sums), sums.shape[1], weights, scale, shift, width, *where,
        SHARED=sums.shape[1] == 1 + rows, WEIGHED=weights is not None, SCALED=scale is not None, LEARNT=learnt,
        WIDE=width > 1, **MERGED,
    )  # fmt: skip
    return NormGradients([BackwardCoefficients(*each.unbind()) for each in out], of_weights, *of_norms)


def running_rows(
    norms: Norms, rows: Tensor, count: int, dtype: torch.dtype
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """See `Kernels.running_rows`."""
    channels = norms.mean.shape[1]
    out = norms.mean.new_empty(2, len(rows), channels, dtype=dtype)
    where = (norms.mean, norms.variance, rows, out, count, len(rows), channels)
    launch("running_rows", (len(rows), blocks(channels, NARROW)), out, *where, C=NARROW)
    return out[0].unbind(), out[1].unbind()
