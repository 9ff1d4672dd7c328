"""Pools in Triton, for NVIDIA GPUs: all those of images of one shape in one launch each way. A part of `Kernels`."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from spaces.engine.kernel_values import Moments, PoolGradient, pixel_stride
from spaces.engine.triton_kernels.tile_sizes import NARROW, NARROW_TILE, PIXELS
from spaces.engine.triton_kernels.triton_launch import (
    MEMBERS,
    TERMS,
    Share,
    aligned,
    blocks,
    chunks,
    launch,
    padded,
    pixel_count,
    sizes,
    table,
)
from spaces.engine.triton_kernels.triton_statistics import put_moments


def pools(
    xs: Sequence[Tensor], largest: Sequence[bool], stride: int, into: Sequence[Moments] | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    """See `Kernels.pools`. Saves the places of maxima in their windows."""
    images, height, width, channels = xs[0].shape
    out = xs[0].new_empty(len(xs), images, -(-height // stride), -(-width // stride), channels)
    places = torch.empty(out.shape if any(largest) else 0, dtype=torch.int8, device=out.device)
    pixels = pixel_count(out[0])
    share = Share.of(pixels, PIXELS)
    parts = out.new_empty(share.programs, 2 * len(xs), channels, dtype=torch.float64) if into else None
    rows = [
        (int(of_largest), pixel_stride(x), place) for place, (x, of_largest) in enumerate(zip(xs, largest, strict=True))
    ]
    for each in chunks(len(xs), MEMBERS):
        members = rows[each]
        launch(
            "pool", (share.programs, blocks(channels, NARROW), len(members)), out, padded(xs[each], MEMBERS), out,
            places, table(members, out.device), parts, 2 * len(xs), share.each, pixels=pixels,
            **sizes(xs[0], stride), MOMENTS=into is not None, ALIGNED=aligned(xs[each]), **NARROW_TILE,
        )  # fmt: skip
    for place, rows_of in enumerate(into or ()):
        assert parts is not None
        sums = parts[:, 2 * place : 2 * place + 2]
        put_moments(rows_of, [sums] * len(rows_of.rows), share.each * PIXELS, pixels)
    return list(out.unbind()), [places[place] if of else None for place, of in enumerate(largest)]


def pools_backward(pools: Sequence[PoolGradient], stride: int) -> None:
    """See `Kernels.pools_backward`."""
    remaining = [
        pool._replace(gradients=pool.gradients[each], coefficients=pool.coefficients[each])
        for pool in pools
        for each in chunks(len(pool.gradients), TERMS)
    ]
    while remaining:
        counts = accumulate(len(pool.gradients) for pool in remaining[:MEMBERS])
        held = sum(count <= TERMS for count in counts)
        _backward(remaining[:held], stride)
        del remaining[:held]


def _backward(pools: Sequence[PoolGradient], stride: int) -> None:
    gxs = list({id(pool.gx): pool.gx for pool in pools}.values())
    ordered = [pool for gx in gxs for pool in pools if pool.gx is gx]
    gs = [g for pool in ordered for g in pool.gradients]
    by = [each.of_gradient for pool in ordered for each in pool.coefficients]
    ends = list(accumulate(len(pool.gradients) for pool in ordered))
    rows = [(end - len(pool.gradients), end, int(pool.largest)) for pool, end in zip(ordered, ends, strict=True)]
    last = list(accumulate(sum(pool.gx is gx for pool in ordered) for gx in gxs))
    targets = [(begin, end, pixel_stride(gx)) for begin, end, gx in zip([0, *last], last, gxs, strict=False)]
    x, channels = ordered[0].x, ordered[0].x.shape[-1]
    none = torch.empty(0, dtype=torch.int8, device=x.device)
    saved = [none if pool.saved is None else pool.saved for pool in ordered]
    launch(
        "pool_backward", (blocks(pixel_count(x), PIXELS), blocks(channels, NARROW), len(targets)), x,
        padded(gs, TERMS), padded(by, TERMS), table([pixel_stride(g) for g in gs], x.device),
        padded([pool.value for pool in ordered], MEMBERS), padded(saved, MEMBERS), table(rows, x.device),
        padded(gxs, MEMBERS), table(targets, x.device), pixels=pixel_count(x), **sizes(x, stride),
        ALIGNED=aligned([*gs, *gxs]), **NARROW_TILE,
    )  # fmt: skip


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return pools([x], [False], 1, None)[0][0]
