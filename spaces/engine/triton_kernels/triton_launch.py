"""Launches of the Triton kernels: their grids, tiles and tables.

A kernel is compiled once for all numbers of images that it takes: a launch pads its tuples of pointers, and hands over
in a table on the device what differs between images.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from time import perf_counter
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from spaces.common import cost_clock
from spaces.engine.kernel_values import pixel_stride
from spaces.engine.triton_kernels.tile_sizes import DEPTHS, IMAGE_TILES, NARROW, Tile

T = TypeVar("T")

Products = Literal["tf32x3", "ieee"]

TERMS = 40  # of a sum in one launch: a node of the DARTS space has up to 35
MEMBERS = 32  # convolutions in one launch
IMAGES = 16  # that a launch over convolutions also adds up
PARTS = 256  # of a sum over a batch, at most; a later kernel reads them all
SPLITS = 64  # parts of the gradient of a kernel, at most

_fp32_products: Products = "tf32x3"


def set_fp32_products(products: Products) -> None:
    """How products of float32 are computed: as three of TF32 parts, or throughout in float32."""
    global _fp32_products
    _fp32_products = products


def fp32_products() -> Products:
    """See `set_fp32_products`."""
    return _fp32_products


def precision(*, short: bool = False) -> str:
    """How products are computed in this pass, as `tl.dot` calls it: "tf32" where torch's own may be.

    Of `short` sums of few products three TF32 products are less exact than float32, which then computes them.
    """
    if torch.backends.cuda.matmul.fp32_precision == "tf32":
        return "tf32"
    return "ieee" if short else _fp32_products


@cache
def compiled() -> SimpleNamespace | str:
    """The kernels, whatever the device; or the reason why they cannot be imported."""
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")  # a x + b in one step: the default until Triton 3.9
    try:
        from spaces.engine.triton_kernels import (
            dense_kernels,
            image_kernels,
            pool_kernels,
            separable_kernels,
            statistics_kernels,
        )
    except ImportError as error:
        return f"no Triton: {error}"
    modules = (image_kernels, pool_kernels, dense_kernels, separable_kernels, statistics_kernels)
    return SimpleNamespace(**{name: value for module in modules for name, value in vars(module).items()})


def launch(name: str, grid: tuple[int, ...], over: Tensor, *arguments: object, **more: object) -> None:
    """Run a kernel on the device of `over`, with one program for each place of the grid; an empty grid runs nothing."""
    if 0 in grid:
        return
    kernel = getattr(compiled(), name)
    if _ahead is not None:
        _ahead.append(partial(kernel.warmup, *arguments, grid=grid, **more))
        return
    variants, start = _variants(kernel), perf_counter()
    with torch.cuda.device(over.device) if over.is_cuda else nullcontext():
        kernel[grid](*arguments, **more)
    if _variants(kernel) > variants:  # it was compiled, or read from Triton's cache
        cost_clock.leave_out(perf_counter() - start)


def _variants(kernel: Any) -> int:
    """The variants of a kernel that this process has in memory; 0 where Triton only interprets it."""
    return sum(len(caches[0]) for caches in getattr(kernel, "device_caches", {}).values())


_ahead: list[Callable[[], object]] | None = None


@contextmanager
def compiling_ahead(device: torch.device) -> Iterator[None]:
    """In this block launches compute nothing; at its end their kernels are compiled, at once on all cores.

    What the launches would have written is undefined.
    """
    global _ahead
    waiting: list[Callable[[], object]] = []
    _ahead = waiting
    try:
        yield
    finally:
        _ahead = None
    import triton  # may be missing where nothing is launched

    with (
        torch.cuda.device(device),
        ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool,
        triton.AsyncCompileMode(pool),
    ):
        for compile_kernel in waiting:
            compile_kernel()


class Share(NamedTuple):
    """The division of pixels among programs: tiles of each, and programs."""

    each: int
    programs: int

    @classmethod
    def of(cls, pixels: int, tile: int, most: int = PARTS) -> "Share":
        """At most so many programs, all with the same number of tiles but the last."""
        tiles = -(-pixels // tile)
        each = -(-tiles // most) or 1
        return cls(each, -(-tiles // each))


def width(channels: int) -> int:
    """The channels of a tile of a product, a power of 2."""
    return min(max(1 << (channels - 1).bit_length(), NARROW), max(DEPTHS))


def product(tile: Tile, wide: int, *, short: bool = False) -> dict[str, Any]:
    """The arguments of a kernel that computes products, in tiles of `wide` channels."""
    return {"PRECISION": precision(short=short), "P": tile.pixels, "C": wide, **tile.options}


def image_product(wide: int, *, short: bool = False) -> dict[str, Any]:
    """Those of a kernel that computes an image."""
    return {**product(IMAGE_TILES[wide], wide, short=short), "K": DEPTHS[wide]}


def blocks(channels: int, wide: int) -> int:
    """Into how many blocks of so many channels they fall."""
    return -(-channels // wide)


def pixel_count(x: Tensor) -> int:
    """The number of pixels of `x` [N, H, W, C]."""
    return x.shape[0] * x.shape[1] * x.shape[2]


def sizes(x: Tensor, stride: int) -> dict[str, int]:
    """The arguments of a kernel that say how large `x` [N, H, W, C] is, and its result at this stride."""
    _, height, width, channels = x.shape
    of_x = {"channels": channels, "height": height, "width": width, "stride": stride}
    return {**of_x, "down": -(-height // stride), "across": -(-width // stride)}


def padded(values: Sequence[T], slots: int) -> tuple[T, ...]:
    """As many as the kernel has slots: the last ones are not used."""
    return (*values, *[values[0]] * (slots - len(values)))


@cache
def _table(rows: tuple[int | tuple[int, ...], ...], device: torch.device) -> Tensor:
    return torch.tensor(rows, dtype=torch.int32, device=device)


def table(rows: Sequence[int | tuple[int, ...]], device: torch.device) -> Tensor:
    """Numbers on the device, int32. They are kept: a copy waits for the device, and CUDA graphs read them later."""
    return _table(tuple(rows), device)


@cache
def identity(channels: int, like: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift `[channels]` that change nothing. They are kept, as tables are."""
    return torch.ones(channels, dtype=like, device=device), torch.zeros(channels, dtype=like, device=device)


def normalizations(
    norms: Sequence[tuple[Tensor | None, Tensor | None]], like: Tensor
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The scales and the shifts of members, padded; those that change nothing where there are none."""
    one, zero = identity(like.shape[-1], like.dtype, like.device)
    scales = [one if scale is None else scale for scale, _ in norms]
    shifts = [zero if shift is None else shift for _, shift in norms]
    return padded(scales, MEMBERS), padded(shifts, MEMBERS)


def aligned(images: Sequence[Tensor]) -> bool:
    """Whether four channels of each image can be loaded at once."""
    return not any(pixel_stride(x) % 4 or x.data_ptr() // x.element_size() % 4 for x in images)


def chunks(count: int, most: int) -> Iterator[slice]:
    """Slices over `count` members, each as large as a launch takes."""
    return (slice(start, min(start + most, count)) for start in range(0, count, most))
