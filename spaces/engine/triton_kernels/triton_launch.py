"""How the Triton kernels are launched: over the tiles of an image, or over the channels of what is known of one."""

from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

TERMS = 16  # of a sum in one pass: a kernel is compiled for each number up to this
TILE = 2048  # elements of an image that a program holds at once
WIDEST = 64  # channels of a tile at most
MERGED = 64  # tiles whose sums are added up at once


@cache
def compiled() -> SimpleNamespace | str:
    """The kernels, whatever device there is, or in words why they cannot be imported."""
    try:
        from spaces.engine.triton_kernels import depthwise_kernels, image_kernels, statistics_kernels
    except ImportError as error:
        return f"no Triton: {error}"
    return SimpleNamespace(**(vars(statistics_kernels) | vars(image_kernels) | vars(depthwise_kernels)))


def launch(name: str, grid: tuple[int, ...], over: Tensor, *arguments: object, **more: object) -> None:
    """Run a kernel, a program for each place of the grid, if it has any, where `over` is."""
    if 0 in grid:
        return
    kernel = getattr(compiled(), name)
    with torch.cuda.device(over.device) if over.is_cuda else nullcontext():
        kernel[grid](*arguments, **more)


def on_tiles(name: str, over: Tensor, *arguments: object, members: int = 1, **more: object) -> None:
    """A program for each tile of `over` [N, H, W, C] and member."""
    channels = over.shape[-1]
    high, wide = tile(channels)
    grid = (tiles(over), -(-channels // wide), members)
    launch(name, grid, over, *arguments, pixels=pixel_count(over), channels=channels, P=high, C=wide, **more)


def on_channels(name: str, over: Tensor, *arguments: object, members: int = 1, **more: object) -> None:
    """A program for each block of the channels of `over` [..., C] and member."""
    channels = over.shape[-1]
    _, wide = tile(channels)
    launch(name, (-(-channels // wide), members), over, *arguments, channels=channels, C=wide, **more)


def on_rows(name: str, over: Tensor, *arguments: object, rows: int, **more: object) -> None:
    """A program for each row of what is known of the channels of `over` [..., C]."""
    channels = over.shape[-1]
    launch(name, (rows,), over, *arguments, channels=channels, C=tile(channels)[1], **more)


def tile(channels: int) -> tuple[int, int]:
    """Pixels and channels of a tile, powers of 2."""
    wide = min(1 << (channels - 1).bit_length(), WIDEST)
    return TILE // wide, wide


def tiles(x: Tensor) -> int:
    """How many tiles the pixels of `x` [N, H, W, C] make."""
    return -(-pixel_count(x) // tile(x.shape[-1])[0])


def pixel_count(x: Tensor) -> int:
    """Of `x` [N, H, W, C]."""
    return x.shape[0] * x.shape[1] * x.shape[2]


def parts(x: Tensor, rows: int) -> Tensor:
    """Room for sums of each tile of `x` [N, H, W, C]: float64 `[tiles, rows, C]`."""
    return x.new_empty(tiles(x), rows, x.shape[-1], dtype=torch.float64)


def some(count: int) -> Iterator[slice]:
    """The places of so many members, as many at once as a launch takes."""
    return (slice(start, start + TERMS) for start in range(0, count, TERMS))
