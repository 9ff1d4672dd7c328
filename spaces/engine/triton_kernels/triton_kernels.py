"""The kernels for NVIDIA GPUs, in Triton, which compiles them when they are first called. They implement `Kernels`.

`image_kernels.py`, `pool_kernels.py`, `dense_kernels.py`, `separable_kernels.py` and `statistics_kernels.py` have the
kernels; the modules `triton_*.py` launch them.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from types import SimpleNamespace
from typing import cast

import torch
from torch import Tensor

from spaces.engine import self_test, torch_kernels
from spaces.engine.kernels import BackwardCoefficients, Kernels, Moments, Value, pixel_stride, pixel_strides
from spaces.engine.triton_kernels.tile_sizes import NARROW, PIXELS
from spaces.engine.triton_kernels.triton_dense import dense as dense  # the rest of the family
from spaces.engine.triton_kernels.triton_dense import dense_backward as dense_backward
from spaces.engine.triton_kernels.triton_dense import factorized as factorized
from spaces.engine.triton_kernels.triton_dense import factorized_backward as factorized_backward
from spaces.engine.triton_kernels.triton_launch import (
    MEMBERS,
    TERMS,
    Share,
    aligned,
    blocks,
    chunks,
    compiled,
    launch,
    padded,
    pixel_count,
    table,
)
from spaces.engine.triton_kernels.triton_separable import separable as separable
from spaces.engine.triton_kernels.triton_separable import separable_backward as separable_backward
from spaces.engine.triton_kernels.triton_statistics import backward_coefficients as backward_coefficients
from spaces.engine.triton_kernels.triton_statistics import forward_coefficients as forward_coefficients
from spaces.engine.triton_kernels.triton_statistics import moments as moments
from spaces.engine.triton_kernels.triton_statistics import normalization as normalization
from spaces.engine.triton_kernels.triton_statistics import put_moments
from spaces.engine.triton_kernels.triton_statistics import running_rows as running_rows
from spaces.engine.triton_kernels.weight_gradients import CollectedGradients

NAME = "Triton"
OLDEST = (8, 0)  # the lowest compute capability for which the kernels are known to compile
FILLS_STATISTICS = True
AT_ONCE = MEMBERS
AT_A_TIME = 4  # terms of a sum over pixels that a program computes: it reads their common factor once
TILE = {"P": PIXELS, "C": NARROW}


@cache
def library() -> SimpleNamespace | str:
    """The kernels for this process's GPU, or the reason why there are none.

    The first call compiles them and runs the self-test: their results must be those of float64 on the CPU.
    """
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "no NVIDIA GPU"
    if (capability := torch.cuda.get_device_capability()) < OLDEST:
        return f"no Triton kernels for compute capability {'.'.join(map(str, capability))}"
    if isinstance(kernels := compiled(), str):
        return kernels
    try:
        wrong = self_test.disagreement(cast(Kernels, sys.modules[__name__]), torch.device("cuda"))
    except Exception as error:  # of Triton's compiler, of the C compiler that it needs, of the driver
        return f"Triton failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return f"Triton's {wrong} on this GPU is not what float64 gives on the CPU" if wrong else kernels


def obstacle(device: str, dtype: torch.dtype, channels: int) -> str:
    """See `Kernels.obstacle`."""
    if device != "cuda":
        return f"no Triton kernels for {device}"
    if isinstance(found := library(), str):
        return found
    return "" if dtype == torch.float32 else f"no Triton kernels for {dtype}"


def weight_gradients() -> CollectedGradients:
    """See `Kernels.weight_gradients`."""
    return CollectedGradients()


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
            ALIGNED=aligned([g, *members]), **TILE,
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
            ADDED=accumulate or each.start > 0, ALIGNED=aligned([out, *members]), **TILE,
        )  # fmt: skip


def pool(x: Tensor, stride: int, into: Moments | None, *, largest: bool) -> tuple[Tensor, Tensor | None]:
    """See `Kernels.pool`. Saves the places of maxima in their windows."""
    images, height, width, channels = x.shape
    out = x.new_empty(images, -(-height // stride), -(-width // stride), channels)
    which = torch.empty(out.shape, dtype=torch.int8, device=x.device) if largest else None
    share = Share.of(pixel_count(out), PIXELS)
    parts = x.new_empty(share.programs, 2, channels, dtype=torch.float64) if into else None
    launch(
        "pool", (share.programs, blocks(channels, NARROW)), x, x, pixel_stride(x), out, which, parts, share.each,
        **_windows(x, out, stride), pixels=pixel_count(out), LARGEST=largest, MOMENTS=into is not None, **TILE,
    )  # fmt: skip
    if into:
        assert parts is not None
        put_moments(into, [parts] * len(into.rows), share.each * PIXELS, pixel_count(out))
    return out, which


def pool_backward(
    gradients: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    value: Tensor,
    saved: Tensor | None,
    stride: int,
    gx: Tensor,
    *,
    largest: bool,
) -> None:
    """See `Kernels.pool_backward`."""
    channels = x.shape[-1]
    grid = (blocks(pixel_count(x), PIXELS), blocks(channels, NARROW))
    for each in chunks(len(gradients), MEMBERS):
        gs, by = gradients[each], [one.of_gradient for one in coefficients[each]]
        launch(
            "pool_backward", grid, x, padded(gs, MEMBERS), padded(by, MEMBERS), table(pixel_strides(gs), x.device),
            len(gs), value, saved, gx, pixel_stride(gx), **_windows(x, value, stride), pixels=pixel_count(x),
            LARGEST=largest, ALIGNED=aligned([*gs, gx]), **TILE,
        )  # fmt: skip


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return pool(x, 1, None, largest=False)[0]


def _windows(x: Tensor, out: Tensor, stride: int) -> dict[str, int]:
    _, height, width, channels = x.shape
    sizes = {"channels": channels, "height": height, "width": width, "stride": stride}
    return {**sizes, "down": out.shape[1], "across": out.shape[2]}


def _stored(terms: Sequence[Value]) -> list[Tensor]:
    return [cast(Tensor, term) for term in terms]
