"""The kernels in C++ for CPUs, called through ctypes; `library` compiles them. They implement `Kernels`."""

import ctypes
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor

from spaces.engine import torch_reductions
from spaces.engine.cpp_kernels.library import library as library
from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    DepthwiseShape,
    Mean,
    Moments,
    Pointwise,
    PoolGradient,
    SeparableStage,
    Value,
    pixel_stride,
)
from spaces.engine.kernels import Kernels, WeightGradients
from spaces.engine.torch_kernels import weight_gradients as weight_gradients  # the rest of the family
from spaces.engine.torch_reductions import Pairs
from spaces.engine.torch_statistics import backward_coefficients as backward_coefficients
from spaces.engine.torch_statistics import forward_coefficients as forward_coefficients
from spaces.engine.torch_statistics import normalization as normalization
from spaces.engine.torch_statistics import running_rows as running_rows

NAME = "C++"
LANES = 4  # the channels of an image must be a multiple of so many
FILLS_STATISTICS = False
JOINS_INPUTS = False
AT_ONCE = 1
STORED, MEAN, POINTWISE = range(3)  # the kinds of terms in `node.hpp`


def obstacle(device: str, dtype: torch.dtype, channels: int) -> str:
    """See `Kernels.obstacle`."""
    if device != "cpu":
        return f"no C++ kernels for {device}"
    if isinstance(found := library(), str):
        return found
    if dtype not in (torch.float32, torch.float64):
        return f"no C++ kernels for {dtype}"
    return f"{channels} channels are not a multiple of {LANES}" if channels % LANES else ""


def _at(x: Tensor | None) -> int | None:
    return None if x is None else x.data_ptr()


def _table(tensors: Sequence[Tensor | None]) -> "ctypes.Array[ctypes.c_void_p]":
    return (ctypes.c_void_p * len(tensors))(*[None if x is None else x.data_ptr() for x in tensors])


def _numbers(values: Sequence[int]) -> "ctypes.Array[ctypes.c_long]":
    return (ctypes.c_long * len(values))(*values)


def _pointers(images: Sequence[Tensor]) -> "tuple[ctypes.Array[ctypes.c_void_p], ctypes.Array[ctypes.c_long]]":
    return _table(images), _numbers([pixel_stride(x) for x in images])


@cache
def _kernel(name: str, dtype: torch.dtype, count: int) -> "ctypes._NamedFuncPointer":
    kernels = library()
    assert not isinstance(kernels, str)
    kernel = getattr(kernels, f"{name}_{'float32' if dtype == torch.float32 else 'float64'}")
    # All parameters are pointers or `long`, which are as wide as each other wherever these kernels are compiled.
    kernel.argtypes = [ctypes.c_long] * count
    kernel.restype = None
    return kernel


def _call(name: str, dtype: torch.dtype, *arguments: "int | ctypes.Array[Any] | None") -> None:
    """Call a kernel with numbers, addresses (None: null) and arrays, which are passed by address."""
    words = [a if type(a) is int else 0 if a is None else ctypes.addressof(a) for a in arguments]  # type: ignore[arg-type]
    _kernel(name, dtype, len(words) + 1)(*words, torch.get_num_threads())


def _pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[1] * x.shape[2]


def moments(y: Tensor, into: Moments) -> None:
    """See `Kernels.moments`."""
    means, variances = into.means, into.variances
    images, height, width, channels = y.shape
    where = (_at(means[0]), _at(variances[0]))
    _call("moments", y.dtype, _at(y), pixel_stride(y), images, height * width, channels, *where)
    for mean, variance in zip(means[1:], variances[1:], strict=True):
        mean.copy_(means[0])
        variance.copy_(variances[0])


def _terms(terms: Sequence[Value]) -> tuple[int | ctypes.Array[Any], ...]:
    """The arguments for terms: count, kinds, addresses and strides, and the matrices of those that have one."""
    kinds: list[int] = []
    images: list[Tensor] = []
    matrices: list[Tensor | None] = []
    for term in terms:
        match term:
            case Pointwise(x, weight):
                kinds.append(POINTWISE)
                images.append(x)
                matrices.append(weight.contiguous())
            case Mean(x):
                kinds.append(MEAN)
                images.append(x)
                matrices.append(None)
            case _:
                kinds.append(STORED)
                images.append(term)
                matrices.append(None)
    return len(terms), _numbers(kinds), *_pointers(images), _table(matrices)


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `Kernels.reduce`."""
    channels = g.shape[-1]
    sums = torch.empty(1 + len(terms), channels, dtype=torch.float64)
    square = (channels, channels)
    products = [torch.empty(square, dtype=torch.float64) if isinstance(term, Pointwise) else None for term in terms]
    _call("reduce", g.dtype, *g.shape, *_terms(terms), _at(g), pixel_stride(g), _at(sums), _table(products))
    return sums, products


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """See `Kernels.combine`."""
    table = coefficients if isinstance(coefficients, Tensor) else torch.stack(list(coefficients)) if terms else None
    where = (_at(table), _at(bias), _at(out), pixel_stride(out), int(accumulate))
    _call("combine", out.dtype, *out.shape, *_terms(terms), *where)


def pools(
    xs: Sequence[Tensor], largest: Sequence[bool], stride: int, into: Sequence[Moments] | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    """See `Kernels.pools`. Saves nothing."""
    images, height, width, channels = xs[0].shape
    outs = [x.new_empty(images, -(-height // stride), -(-width // stride), channels) for x in xs]
    for x, of_largest, out in zip(xs, largest, outs, strict=True):
        _call("pool", x.dtype, _at(x), pixel_stride(x), *x.shape, stride, int(of_largest), _at(out))
    for out, rows in zip(outs, into or (), strict=False):
        moments(out, rows)
    return outs, [None] * len(outs)


def pools_backward(pools: Sequence[PoolGradient], stride: int) -> None:
    """See `Kernels.pools_backward`."""
    for gradients, coefficients, x, value, _, largest, gx in pools:
        total = torch_reductions.summed_gradient(_family(), gradients, coefficients, value)
        where = (_at(total), _at(x), pixel_stride(x), _at(value))
        _call("pool_backward", x.dtype, *where, *x.shape, stride, int(largest), _at(gx), pixel_stride(gx))


def _family() -> Kernels:
    return cast(Kernels, sys.modules[__name__])


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return x.new_empty(0)


def dense(x: Tensor, weights: Sequence[Tensor], into: Moments | None) -> tuple[list[Tensor], Tensor | None]:
    """See `Kernels.dense`."""
    weights = [weight.contiguous() for weight in weights]
    sizes = [weight.shape[-1] for weight in weights]
    out = [x.new_empty(x.shape if size == 3 else 0) for size in sizes]
    channels = x.shape[-1]
    second = torch.empty(1 + channels, channels, dtype=torch.float64) if into is not None and 1 in sizes else None
    statistics = [None, None] if into is None else [_table(into.means), _table(into.variances)]
    where = (_table(weights), _table(out), *statistics, _at(second))
    _call("dense", x.dtype, *x.shape, _at(x), pixel_stride(x), len(weights), _numbers(sizes), *where)
    return out, second


def dense_backward(
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
    """See `Kernels.dense_backward`."""
    count, weights = len(weights), [weight.contiguous() for weight in weights]
    sizes = _numbers([weight.shape[-1] for weight in weights])
    grads = [torch.empty_like(weight) for weight in weights] if of_weights is not None else None
    members = (count, sizes, _table(weights), _table(values), *_pointers(gradients))
    sums = (_table([part for each in coefficients for part in each]), _at(second), _table(products))
    around = [
        part for past in bypass[:2] for part in (len(past.images), *_pointers(past.images), _table(past.coefficients))
    ]
    where = (_at(gx), pixel_stride(gx), int(bypass.accumulate), None if grads is None else _table(grads))
    _call("dense_backward", x.dtype, *x.shape, _at(x), pixel_stride(x), *members, *sums, *around, *where)
    return list(grads) if grads is not None else [None] * count


def _shape(x: Tensor, form: DepthwiseShape) -> "ctypes.Array[ctypes.c_long]":
    return _numbers([*x.shape, *form])


def factorized(x: Tensor, kernels: Pairs, into: Moments | None) -> list[Tensor]:
    """See `Kernels.factorized`."""
    return torch_reductions.factorized(_family(), x, kernels, into)


def factorized_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    kernels: Pairs,
    gx: Tensor,
    *,
    of_weights: WeightGradients | None,
) -> list[Tensor | None]:
    """See `Kernels.factorized_backward`."""
    back = (gradients, values, coefficients)
    return torch_reductions.factorized_backward(_family(), *back, x, kernels, gx, of_weights)


def separable(stages: Sequence[SeparableStage], into: Moments | None) -> list[Tensor]:
    """See `Kernels.separable`."""
    values = []
    for place, (x, scale, shift, depthwise, pointwise, form) in enumerate(stages):
        images, height, width, channels = x.shape
        depthwise, pointwise = depthwise.contiguous(), pointwise.contiguous()
        out = x.new_empty(images, -(-height // form.stride), -(-width // form.stride), channels)
        inputs = (_at(x), pixel_stride(x), _at(scale), _at(shift), _at(depthwise), _at(pointwise))
        row = None if into is None else into.rows[place]
        where = (None, None) if into is None else (_at(into.mean[row]), _at(into.variance[row]))
        _call("separable", x.dtype, _shape(x, form), *inputs, _at(out), channels, *where)
        values.append(out)
    return values


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    stages: Sequence[SeparableStage],
    gx: Sequence[Tensor],
    *,
    bypass: Sequence[Bypass] | None,
    of_weights: WeightGradients | None,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """See `Kernels.separable_backward`."""
    added = bypass is not None
    if bypass is not None:
        torch_reductions.begin(_family(), gx, bypass)
    sums = None if added else torch.empty(2 * len(stages), stages[0].x.shape[-1], dtype=torch.float64)
    found: list[Tensor | None] = []
    for place, (g, y, by, stage) in enumerate(zip(gradients, values, coefficients, stages, strict=True)):
        x, scale, shift, *kernels, form = stage
        depthwise, pointwise = (kernel.contiguous() for kernel in kernels)
        grads = (torch.empty_like(depthwise), torch.empty_like(pointwise)) if of_weights is not None else (None, None)
        into = gx[place]
        outer = (_at(g), pixel_stride(g), _at(y), pixel_stride(y), *map(_at, by))
        inner = (_at(x), pixel_stride(x), _at(scale), _at(shift), _at(depthwise), _at(pointwise))
        sums_at = None if sums is None else _at(sums[2 * place :])
        where = (_at(into), pixel_stride(into), int(added), sums_at, *map(_at, grads))
        _call("separable_backward", x.dtype, _shape(x, form), *outer, *inner, *where)
        found += grads
    return sums, found
