"""The kernels in C++: compiled once a machine where there is a compiler, called through ctypes.

It implements `Kernels`.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path
from torch import Tensor

from spaces.engine.kernels import (
    BackwardCoefficients,
    DepthwiseShape,
    Mean,
    Pointwise,
    SeparableStage,
    Value,
    WeightedImages,
)
from spaces.engine.torch_kernels import pixel_stride
from spaces.engine.torch_statistics import backward_coefficients as backward_coefficients  # the rest of the family
from spaces.engine.torch_statistics import forward_coefficients as forward_coefficients
from spaces.engine.torch_statistics import normalization as normalization
from spaces.engine.torch_statistics import summed_coefficients as summed_coefficients

SOURCES = Path(__file__).with_name("source")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fPIC", "-shared")
NAME = "C++"
LANES = 4  # the channels of an image must be a multiple of so many
AT_ONCE = 1
STORED, MEAN, POINTWISE = range(3)  # the kinds of terms in `node.hpp`


def _processor() -> str:
    """What `-march=native` looks at: a library that another processor compiled is not ours."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        return platform.processor()


def _compile(compiler: str, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a second process must never load stage a library.
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        subprocess.run(
            [compiler, *FLAGS, str(SOURCES / "kernels.cpp"), "-o", str(made)],
            check=True,
            capture_output=True,
            timeout=300,
        )
        os.replace(made, out)


@cache
def library() -> ctypes.CDLL | str:
    """The compiled kernels, or in words why there are none. Compiles them where that was not yet done (seconds)."""
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        return "no C++ compiler"
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    text = "\n".join([*sources, compiler, *FLAGS, _processor()])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    out = user_cache_path("dartboard") / "kernels" / f"{digest}.so"
    try:
        if not out.exists():
            _compile(compiler, out)
        kernels = ctypes.CDLL(str(out))
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
        return f"{compiler} failed: {said[0] if said else f'exit status {error.returncode}'}"
    except subprocess.TimeoutExpired as error:
        return f"{compiler} took more than {error.timeout:.0f} s"
    except OSError as error:
        return f"no compiled kernels at {out}: {error.strerror or error}"
    keep_memory()
    return kernels


def keep_memory() -> None:
    """Let this process keep the memory it frees: the C library would hand every large block back to the system.

    A pass allocates hundreds of tensors of some megabytes. Handed back and asked for anew, each of their pages is first
    touched again, which costs more than what is computed on it. Where the C library is not glibc nothing happens.
    """
    with suppress(AttributeError, OSError):
        allocator = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)):
            allocator(ctypes.c_int(parameter), ctypes.c_int(value))


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


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
    """Call a kernel with numbers, addresses (None: there is nothing) and arrays, whose addresses it is given."""
    words = [a if type(a) is int else 0 if a is None else ctypes.addressof(a) for a in arguments]  # type: ignore[arg-type]
    _kernel(name, dtype, len(words) + 1)(*words, torch.get_num_threads())


def _pixels(x: Tensor) -> int:
    return x.shape[0] * x.shape[1] * x.shape[2]


def moments(y: Tensor, means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """See `Kernels.moments`."""
    images, height, width, channels = y.shape
    where = (_at(means[0]), _at(variances[0]))
    _call("moments", y.dtype, _at(y), pixel_stride(y), images, height * width, channels, *where)
    for mean, variance in zip(means[1:], variances[1:], strict=True):
        mean.copy_(means[0])
        variance.copy_(variances[0])


def _terms(terms: Sequence[Value]) -> tuple[int | ctypes.Array[Any], ...]:
    """How many, of which kind, where they lie, and the matrices of those that have one."""
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


def rectify(x: Tensor) -> Tensor:
    """See `Kernels.rectify`."""
    out = x.new_empty(x.shape)
    _call("rectify", x.dtype, _at(x), pixel_stride(x), _pixels(x), x.shape[-1], _at(out))
    return out


def rectify_backward(grad_output: Tensor, x: Tensor, gx: Tensor) -> None:
    """See `Kernels.rectify_backward`."""
    _call(
        "rectify_backward",
        x.dtype,
        _at(grad_output),
        _at(x),
        pixel_stride(x),
        _pixels(x),
        x.shape[-1],
        _at(gx),
        pixel_stride(gx),
    )


def pool(x: Tensor, stride: int, *, largest: bool) -> Tensor:
    """See `Kernels.pool`."""
    images, height, width, channels = x.shape
    out = x.new_empty(images, -(-height // stride), -(-width // stride), channels)
    _call("pool", x.dtype, _at(x), pixel_stride(x), *x.shape, stride, int(largest), _at(out))
    return out


def pool_backward(grad_output: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool) -> None:
    """See `Kernels.pool_backward`."""
    where = (_at(grad_output), _at(x), pixel_stride(x), _at(pooled))
    _call("pool_backward", x.dtype, *where, *x.shape, stride, int(largest), _at(gx), pixel_stride(gx))


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return x.new_empty(0)


def dense(
    x: Tensor, weights: Sequence[Tensor], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> tuple[list[Tensor], Tensor | None]:
    """See `Kernels.dense`."""
    weights = [weight.contiguous() for weight in weights]
    sizes = [weight.shape[-1] for weight in weights]
    out = [x.new_empty(x.shape if size == 3 else 0) for size in sizes]
    channels = x.shape[-1]
    second = torch.empty(1 + channels, channels, dtype=torch.float64) if means is not None and 1 in sizes else None
    statistics = [None if tables is None else _table(tables) for tables in (means, variances)]
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
    whole: WeightedImages,
    means: WeightedImages,
    accumulate: bool,
    of_weights: bool,
) -> list[Tensor | None]:
    """See `Kernels.dense_backward`."""
    count, weights = len(weights), [weight.contiguous() for weight in weights]
    sizes = _numbers([weight.shape[-1] for weight in weights])
    grads = [torch.empty_like(weight) for weight in weights] if of_weights else None
    members = (count, sizes, _table(weights), _table(values), *_pointers(gradients))
    sums = (_table([part for each in coefficients for part in each]), _at(second), _table(products))
    around = [
        part
        for past in (whole, means)
        for part in (len(past.images), *_pointers(past.images), _table(past.coefficients))
    ]
    where = (_at(gx), pixel_stride(gx), int(accumulate), None if grads is None else _table(grads))
    _call("dense_backward", x.dtype, *x.shape, _at(x), pixel_stride(x), *members, *sums, *around, *where)
    return list(grads) if grads is not None else [None] * count


def _shape(x: Tensor, form: DepthwiseShape) -> "ctypes.Array[ctypes.c_long]":
    return _numbers([*x.shape, *form])


def separable(
    stages: Sequence[SeparableStage], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> list[Tensor]:
    """See `Kernels.separable`."""
    values = []
    for place, (x, scale, shift, depthwise, pointwise, form) in enumerate(stages):
        images, height, width, channels = x.shape
        depthwise, pointwise = depthwise.contiguous(), pointwise.contiguous()
        out = x.new_empty(images, -(-height // form.stride), -(-width // form.stride), channels)
        inputs = (_at(x), pixel_stride(x), _at(scale), _at(shift), _at(depthwise), _at(pointwise))
        moments = [None if of is None else _at(of[place]) for of in (means, variances)]
        _call("separable", x.dtype, _shape(x, form), *inputs, _at(out), channels, *moments)
        values.append(out)
    return values


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    stages: Sequence[SeparableStage],
    gx: Tensor | Sequence[Tensor],
    *,
    weights: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """See `Kernels.separable_backward`."""
    added = isinstance(gx, Tensor)
    sums = None if added else torch.empty(2 * len(stages), stages[0].x.shape[-1], dtype=torch.float64)
    found: list[Tensor | None] = []
    for place, (g, y, by, stage) in enumerate(zip(gradients, values, coefficients, stages, strict=True)):
        x, scale, shift, *kernels, form = stage
        depthwise, pointwise = (kernel.contiguous() for kernel in kernels)
        grads = (torch.empty_like(depthwise), torch.empty_like(pointwise)) if weights else (None, None)
        into = gx if isinstance(gx, Tensor) else gx[place]
        outer = (_at(g), pixel_stride(g), _at(y), pixel_stride(y), *map(_at, by))
        inner = (_at(x), pixel_stride(x), _at(scale), _at(shift), _at(depthwise), _at(pointwise))
        sums_at = None if sums is None else _at(sums[2 * place :])
        where = (_at(into), pixel_stride(into), int(added), sums_at, *map(_at, grads))
        _call("separable_backward", x.dtype, _shape(x, form), *outer, *inner, *where)
        found += grads
    return sums, found
