"""The pieces of a fast cell on NVIDIA GPUs: in Triton what is bound by memory; convolutions are torch's.

The interface is that of `portable.py`; the kernels stand in `fused_kernels.py`, and Triton compiles them as they are
called.
"""

import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache
from types import ModuleType
from typing import Any, cast

import torch
from torch import Tensor

from spaces.core.fast import portable, proof
from spaces.core.fast.portable import (
    Form,
    Slope,
    Value,
    Weighed,
    convolution_backward,
    pixels,
    planes,
    spacing,
    stacks,
)

OLDEST = (8, 0)  # the compute capability from which on the kernels are known to compile
TERMS = 16  # of a sum in one pass: a kernel is compiled for each number up to this
TILE = 2048  # elements of an image that a program holds at once
WIDEST = 64  # channels of a tile at most
MERGED = 64  # tiles whose sums are merged at once


@cache
def library() -> ModuleType | str:
    """The kernels for this process's GPU, or in words why there are none.

    At the first call the GPU has to prove them: what they compute must be what torch does there. Until now nobody has
    done so. It compiles them where that was not yet done.
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
        wrong = proof.disagreement(sys.modules[__name__], torch.device("cuda"))
    except Exception as error:  # of Triton's compiler, of the C compiler that it wants, of the driver
        return f"Triton failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return f"Triton's {wrong} is not torch's on this GPU" if wrong else kernels


@cache
def compiled() -> ModuleType | str:
    """The kernels, whatever device there is, or in words why they cannot be imported."""
    try:
        from spaces.core.fast import fused_kernels
    except ImportError as error:
        return f"no Triton: {error}"
    return fused_kernels


def covers(x: Tensor) -> bool:
    """Whether these kernels can be used on images like `x` [N, H, W, C]."""
    return x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64) and not isinstance(library(), str)


def _tile(channels: int) -> tuple[int, int]:
    """Pixels and channels of a tile, powers of 2."""
    wide = min(1 << (channels - 1).bit_length(), WIDEST)
    return TILE // wide, wide


def _tiles(x: Tensor) -> int:
    """How many tiles the pixels of `x` [N, H, W, C] make."""
    return -(-_pixels(x) // _tile(x.shape[-1])[0])


def _pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[1] * x.shape[2]


def _launch(
    name: str, over: Tensor, *arguments: object, members: int = 1, tiles: int | None = None, **more: Any
) -> None:
    """Run a kernel, a program for each tile of `over` [N, H, W, C] and member."""
    channels = over.shape[-1]
    high, wide = _tile(channels)
    grid = (_tiles(over) if tiles is None else tiles, -(-channels // wide), members)
    kernel = getattr(compiled(), name)
    with torch.cuda.device(over.device) if over.is_cuda else nullcontext():
        kernel[grid](*arguments, pixels=_pixels(over), channels=channels, P=high, C=wide, **more)


def _spacings(images: Sequence[Value]) -> tuple[int, ...]:
    return tuple(spacing(cast(Tensor, image)) for image in images)  # all values are stored here


def _parts(x: Tensor, rows: int) -> Tensor:
    """Room for the sums of each tile of `x` [N, H, W, C]: float64 `[tiles, rows, C]`."""
    return x.new_empty(_tiles(x), rows, x.shape[-1], dtype=torch.float64)


def moments(y: Tensor, mean: Tensor, variance: Tensor) -> None:
    """See `portable.moments`."""
    _moments([y], [mean], [variance])


def _moments(ys: Sequence[Tensor], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """The mean and variance of each of `ys`, all of one shape."""
    for start in range(0, len(ys), TERMS):
        some = slice(start, start + TERMS)
        images = tuple(ys[some])
        parts = _parts(images[0], 2 * len(images))
        _launch("moments", images[0], images, _spacings(images), parts, members=len(images))
        where = (parts, tuple(means[some]), tuple(variances[some]), len(parts))
        _launch("merge", images[0], *where, members=len(images), tiles=1, TILES=MERGED)


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `portable.reduce`. All values are stored here."""
    if not terms:
        return portable.reduce(g, terms)
    parts = _parts(g, 1 + len(terms))
    for start in range(0, len(terms), TERMS):
        some = tuple(terms[start : start + TERMS])
        where = (some, _spacings(some), parts, 1 + start, 1 + len(terms))
        _launch("reduce", g, g, spacing(g), *where, WITH_G=start == 0)
    return parts.sum(0), [None] * len(terms)


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """See `portable.combine`."""
    if not terms:
        portable.combine(terms, coefficients, bias, out, accumulate=accumulate)
    elif not isinstance(coefficients, Tensor):
        coefficients = torch.stack(list(coefficients))
    for start in range(0, len(terms), TERMS):
        some, first = tuple(terms[start : start + TERMS]), start == 0
        where = (coefficients[start:], bias if first else None, out, spacing(out))
        biased, added = first and bias is not None, accumulate or not first
        _launch("combine", out, some, _spacings(some), *where, BIASED=biased, ADDED=added)


def rectify(x: Tensor) -> Tensor:
    """See `portable.rectify`."""
    return _rectified(x, None, None)


def _rectified(x: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    out = x.new_empty(x.shape)
    _launch("rectify", x, x, spacing(x), scale, shift, out, NORMED=scale is not None)
    return out


def rectify_backward(slope: Tensor, x: Tensor, gx: Tensor) -> None:
    """See `portable.rectify_backward`."""
    where = (slope.contiguous(), x, spacing(x), None, None, gx, spacing(gx), None)
    _launch("rectify_backward", x, *where, NORMED=False, ADDED=True)


def pool(x: Tensor, stride: int, *, largest: bool) -> Tensor:
    """See `portable.pool`."""
    images, height, width, channels = x.shape
    out = x.new_empty(images, -(-height // stride), -(-width // stride), channels)
    _pool(x, out, out, None, stride, largest)
    return out


def _pool(x: Tensor, over: Tensor, out: Tensor | None, which: Tensor | None, stride: int, largest: bool) -> None:
    """The windows of `over` [N, H', W', C]: their maximum or mean to `out`, or the maximum's place to `which`."""
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": over.shape[1], "across": over.shape[2]}
    what = {"STRIDE": stride, "LARGEST": largest, "PLACES": which is not None}
    _launch("pool", over, x, spacing(x), out, which, **sizes, **what)


def pool_backward(slope: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool) -> None:
    """See `portable.pool_backward`."""
    which = None
    if largest:
        which = torch.empty(pooled.shape, dtype=torch.int8, device=x.device)
        _pool(x, pooled, None, which, stride, largest)
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": pooled.shape[1], "across": pooled.shape[2]}
    where = (slope.contiguous(), which, gx, spacing(gx))
    _launch("pool_backward", gx, *where, **sizes, STRIDE=stride, LARGEST=largest)


def mean(x: Tensor) -> Tensor:
    """See `portable.mean`."""
    return pool(x, 1, largest=False)


def dense(
    x: Tensor, weights: Sequence[Tensor], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> tuple[list[Tensor], Tensor | None]:
    """See `portable.dense`."""
    out, second = portable.dense(x, weights, None, None)
    if means is not None and variances is not None:
        _moments(out, means, variances)
    return out, second


def dense_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    slopes: Sequence[Slope],
    x: Tensor,
    weights: Sequence[Tensor],
    gx: Tensor,
    *,
    second: Tensor | None,
    products: Sequence[Tensor | None],
    whole: Weighed,
    means: Weighed,
    accumulate: bool,
    of_weights: bool,
) -> list[Tensor | None]:
    """See `portable.dense_backward`."""
    combine(*whole, None, gx, accumulate=accumulate)
    if not weights:  # and no `means`, as all values are stored here
        return []
    rectified = rectify(x)
    found: list[Tensor | None] = [None] * len(weights)
    for places, stacked in stacks(weights):
        back = _back(*([each[place] for place in places] for each in (gradients, values, slopes)))  # type: ignore[arg-type]
        form = (1, [stacked.shape[-1] // 2] * 2, 1, 1)  # stride, padding, dilation, groups
        of_x, of_stacked, _ = convolution_backward(planes(back), planes(rectified), stacked, *form, of_weights)
        rectify_backward(pixels(of_x), x, gx)
        if of_stacked is not None:
            for place, of_weight in zip(places, of_stacked.chunk(len(places)), strict=True):
                found[place] = of_weight
    return found


def _back(gradients: Sequence[Tensor], values: Sequence[Tensor], slopes: Sequence[Slope]) -> Tensor:
    """A g + B y + K of each member, side by side `[N, H, W, members · C]`."""
    *shape, channels = values[0].shape
    out = values[0].new_empty(*shape, len(values) * channels)
    coefficients = torch.stack([part for slope in slopes for part in slope])
    for start in range(0, len(values), TERMS):
        gs, ys = (tuple(each[start : start + TERMS]) for each in (gradients, values))
        where = (coefficients[3 * start :], out[..., start * channels :], spacing(out))
        _launch("slopes", values[0], gs, _spacings(gs), ys, _spacings(ys), *where, members=len(gs))
    return out


def separable(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    depthwise: Tensor,
    pointwise: Tensor,
    form: Form,
    mean: Tensor | None,
    variance: Tensor | None,
) -> Tensor:
    """See `portable.separable`."""
    y = portable.separated(_rectified(x, scale, shift), depthwise, pointwise, form)
    if mean is not None and variance is not None:
        moments(y, mean, variance)
    return y


def separable_backward(
    g: Tensor,
    y: Tensor,
    slope: Slope,
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    depthwise: Tensor,
    pointwise: Tensor,
    form: Form,
    gx: Tensor,
    *,
    accumulate: bool,
    weights: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """See `portable.separable_backward`."""
    rectified = _rectified(x, scale, shift)
    back = _back([g], [y], [slope])
    of_input, *found = portable.separated_backward(back, rectified, depthwise, pointwise, form, weights)
    parts = None if accumulate else _parts(x, 2)
    where = (of_input, x, spacing(x), scale, shift, gx, spacing(gx), parts)
    _launch("rectify_backward", x, *where, NORMED=scale is not None, ADDED=accumulate)
    of_depthwise, of_pointwise = found
    return None if parts is None else parts.sum(0), of_depthwise, of_pointwise
