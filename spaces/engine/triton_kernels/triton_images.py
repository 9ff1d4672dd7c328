"""Sums of images, and sums over their pixels, in Triton, for NVIDIA GPUs. A part of `Kernels`."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from spaces.engine import torch_kernels
from spaces.engine.kernel_values import Value, pixel_stride, pixel_strides
from spaces.engine.triton_kernels.tile_sizes import NARROW, NARROW_TILE, PIXELS
from spaces.engine.triton_kernels.triton_launch import (
    TERMS,
    Share,
    aligned,
    blocks,
    chunks,
    launch,
    padded,
    pixel_count,
    table,
)

AT_A_TIME = 4  # terms that a program loads at once


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `Kernels.reduce`. All values are stored here; the sums are those of parts, `[parts, 1 + terms, C]`."""
    if not terms:
        return torch_kernels.reduce(g, terms)[0][None], []
    images, channels = _stored(terms), g.shape[-1]
    share = Share.of(pixel_count(g), PIXELS)
    found = []
    for each in chunks(len(images), TERMS):
        members = images[each]
        sums = g.new_empty(share.programs, 1 + len(members), channels, dtype=torch.float64)
        grid = (share.programs, blocks(channels, NARROW), blocks(len(members), AT_A_TIME))
        launch(
            "reduce", grid, g, g, pixel_stride(g), padded(members, TERMS), table(pixel_strides(members), g.device),
            sums, len(members), share.each, pixel_count(g), channels, TERMS=AT_A_TIME,
            ALIGNED=aligned([g, *members]), **NARROW_TILE,
        )  # fmt: skip
        found.append(sums if each.start == 0 else sums[:, 1:])
    return found[0] if len(found) == 1 else torch.cat(found, 1), [None] * len(terms)


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """See `Kernels.combine`. The bias may be the sum of rows `[rows, C]`."""
    images, channels = _stored(terms) or [out], out.shape[-1]
    constants = 0 if bias is None else bias.numel() // channels
    of_terms = list(coefficients) or [out]
    grid = (blocks(pixel_count(out), PIXELS), blocks(channels, NARROW))
    for each in chunks(len(images), TERMS):
        members, biased = images[each], constants > 0 and each.start == 0
        launch(
            "combine", grid, out, padded(members, TERMS), padded(of_terms[each], TERMS),
            table(pixel_strides(members), out.device), bias if biased else out, constants if biased else 0, out,
            pixel_stride(out), len(terms[each]), pixel_count(out), channels, TERMS=AT_A_TIME,
            ADDED=accumulate or each.start > 0, ALIGNED=aligned([out, *members]), **NARROW_TILE,
        )  # fmt: skip


def _stored(terms: Sequence[Value]) -> list[Tensor]:
    return [cast(Tensor, term) for term in terms]
