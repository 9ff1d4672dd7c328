"""Launches of the Triton kernels: over the tiles of an image, or over the channels of statistics."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

TERMS = 16  # of a sum in one launch, at most: a kernel is compiled for each number
TILE = 2048  # elements of an image per program
WIDEST = 64  # channels of a tile, at most
MERGED = 64  # tiles whose partial sums are added up at once


@cache
def compiled() -> SimpleNamespace | str:
    """The kernels, whatever the device; or the reason why they cannot be imported."""
    try:
        from spaces.engine.triton_kernels import depthwise_kernels, image_kernels, statistics_kernels
    except ImportError as error:
        return f"no Triton: {error}"
    return SimpleNamespace(**(vars(statistics_kernels) | vars(image_kernels) | vars(depthwise_kernels)))


def launch(name: str, grid: tuple[int, ...], over: Tensor, *arguments: object, **more: object) -> None:
    """Run a kernel on the device of `over`, with one program for each place of the grid; an empty grid runs nothing."""
    if 0 in grid:
        return
    kernel = getattr(compiled(), name)
    with torch.cuda.device(over.device) if over.is_cuda else nullcontext():
        kernel[grid](*arguments, **more)


def on_tiles(name: str, over: Tensor, *arguments: object, members: int = 1, **more: object) -> None:
    """Launch a program for each tile of `over` [N, H, W, C] and each member."""
    channels = over.shape[-1]
    high, wide = tile(channels)
    grid = (tiles(over), -(-channels // wide), members)
    launch(name, grid, over, *arguments, pixels=pixel_count(over), channels=channels, P=high, C=wide, **more)


def on_channels(name: str, over: Tensor, *arguments: object, members: int = 1, **more: object) -> None:
    """Launch a program for each block of channels of `over` [..., C] and each member."""
    channels = over.shape[-1]
    _, wide = tile(channels)
    launch(name, (-(-channels // wide), members), over, *arguments, channels=channels, C=wide, **more)


def on_rows(name: str, over: Tensor, *arguments: object, rows: int, **more: object) -> None:
    """Launch a program for each row of statistics of the channels of `over` [..., C]."""
    channels = over.shape[-1]
    launch(name, (rows,), over, *arguments, channels=channels, C=tile(channels)[1], **more)


def tile(channels: int) -> tuple[int, int]:
    """Pixels and channels of a tile, powers of 2."""
    wide = min(1 << (channels - 1).bit_length(), WIDEST)
    return TILE // wide, wide


def tiles(x: Tensor) -> int:
    """The number of tiles of the pixels of `x` [N, H, W, C]."""
    return -(-pixel_count(x) // tile(x.shape[-1])[0])


def pixel_count(x: Tensor) -> int:
    """The number of pixels of `x` [N, H, W, C]."""
    return x.shape[0] * x.shape[1] * x.shape[2]


def partial_sums(x: Tensor, rows: int) -> Tensor:
    """An empty tensor for the sums of each tile of `x` [N, H, W, C]: float64 `[tiles, rows, C]`."""
    return x.new_empty(tiles(x), rows, x.shape[-1], dtype=torch.float64)


def chunks(count: int) -> Iterator[slice]:
    """Slices over `count` members, each as large as a launch takes."""
    return (slice(start, start + TERMS) for start in range(0, count, TERMS))


_products = ["tf32x3"]


def set_fp32_products(way: str) -> None:
    """Compute float32 products as three TF32 products (`"tf32x3"`) or as plain float32 products (`"ieee"`)."""
    _products[0] = way


def fp32_products() -> str:
    """How float32 products are computed: `"tf32x3"` or `"ieee"`."""
    return _products[0]
