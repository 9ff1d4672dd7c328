"""The gradients of a cell's convolution kernels in Triton: collected as a backward pass goes, computed at its end.

So those of all source nodes are few launches. Each launch computes parts of the gradients from parts of the pixels; one
more adds them up in double, and writes each gradient as its kernel lies in memory.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spaces.engine.kernel_values import DepthwiseShape, pixel_stride
from spaces.engine.triton_kernels.tile_sizes import NARROW, NARROW_TILE, PIXELS, SQUARE_TILES
from spaces.engine.triton_kernels.triton_launch import (
    MEMBERS,
    SPLITS,
    TERMS,
    Share,
    aligned,
    blocks,
    chunks,
    launch,
    normalizations,
    padded,
    product,
    sizes,
    table,
    width,
)

ELEMENTS = 256  # of gradients that a program adds up


class Dense(NamedTuple):
    """A dense convolution of relu(x), and the gradient of its value y as A g + B y + K; `by` is A, before B and K."""

    g: Tensor
    y: Tensor
    by: Tensor
    x: Tensor
    weight: Tensor
    pad: int
    stride: int

    def key(self) -> tuple[Any, ...]:
        """Those of one key are computed in one launch."""
        return self.x.shape, self.stride


class Stage(NamedTuple):
    """A stage of a separable convolution: the first fields as in `SeparableStage`, the last as in `Dense`."""

    x: Tensor
    scale: Tensor | None
    shift: Tensor | None
    kernel: Tensor
    form: DepthwiseShape
    g: Tensor
    y: Tensor | None = None  # None, as `by`: g is the gradient behind the depthwise kernel
    by: Tensor | None = None

    def key(self) -> tuple[Any, ...]:
        """Those of one key are computed in one launch."""
        return self.x.shape, self.form.stride


class Gradient(NamedTuple):
    """A gradient to be written, and the dimensions in which its parts are computed, with their strides in it."""

    out: Tensor
    shape: tuple[int, int, int]
    strides: tuple[int, int, int]


class Parts(NamedTuple):
    """Parts of several gradients: `[splits, elements]`, and where the elements of each begin."""

    memory: Tensor
    gradients: Sequence[Gradient]
    offsets: Sequence[int]


class CollectedGradients:
    """See the module. Implements `spaces.engine.kernels.WeightGradients`."""

    def __init__(self) -> None:
        self._dense: list[tuple[Dense, Gradient]] = []
        self._depthwise: list[tuple[Stage, Gradient]] = []
        self._pointwise: list[tuple[Stage, Gradient]] = []

    def dense(self, member: Dense) -> Tensor:
        """The gradient of a dense kernel `[outputs, channels, size, size]`, as it will be."""
        outputs, channels, size, _ = member.weight.shape
        out = torch.empty_like(member.weight)
        of_outputs, of_channels, _, of_taps = out.stride()
        self._dense.append(
            (member, Gradient(out, (size * size, channels, outputs), (of_taps, of_channels, of_outputs)))
        )
        return out

    def depthwise(self, member: Stage) -> Tensor:
        """The gradient of a depthwise kernel `[channels, 1, size, size]`, as it will be."""
        channels, _, size, _ = member.kernel.shape
        out = torch.empty_like(member.kernel)
        self._depthwise.append((member, Gradient(out, (size * size, 1, channels), (1, 0, size * size))))
        return out

    def pointwise(self, member: Stage, weight: Tensor) -> Tensor:
        """The gradient of a pointwise kernel `[channels, channels, 1, 1]`, as it will be."""
        out = torch.empty_like(weight)
        self._pointwise.append((member, Gradient(out, (1, *weight.shape[1::-1]), (0, 1, weight.shape[1]))))
        return out

    def finish(self) -> None:
        """Compute all of them."""
        parts = [_dense(*each) for each in _launches(self._dense)]
        parts += [_depthwise(*each) for each in _launches(self._depthwise)]
        parts += [_pointwise(*each) for each in _launches(self._pointwise)]
        _add_up(parts)


def channels_innermost(weights: Sequence[Tensor]) -> list[Tensor]:
    """Kernels `[O, I, k, k]` with their input channels last in memory; copied unless they are (`Supernet.on`)."""
    return [weight.contiguous(memory_format=torch.channels_last) for weight in weights]


def _launches(jobs: Sequence[tuple[Any, Gradient]]) -> Iterator[tuple[list[Any], list[Gradient]]]:
    """The members of each launch, and their gradients."""
    for key in dict.fromkeys(member.key() for member, _ in jobs):
        alike = [job for job in jobs if job[0].key() == key]
        for each in chunks(len(alike), MEMBERS):
            members, gradients = zip(*alike[each], strict=True)
            yield list(members), list(gradients)


def _parts(x: Tensor, stride: int, gradients: Sequence[Gradient], pixels: int) -> tuple[Parts, Share, dict[str, int]]:
    """Memory for the parts of gradients; the division of an image into tiles of so many pixels; the images' sizes."""
    of_x = sizes(x, stride)
    count = len(x) * of_x["down"] * of_x["across"]
    share = Share.of(count, pixels, SPLITS)
    *offsets, elements = accumulate((prod(each.shape) for each in gradients), initial=0)
    parts = Parts(x.new_empty(share.programs, elements), gradients, offsets)
    return parts, share, {**of_x, "pixels": count, "elements": elements}


def _dense(members: Sequence[Dense], gradients: Sequence[Gradient]) -> Parts:
    x = members[0].x
    wide = width(x.shape[-1])
    tile, square = SQUARE_TILES[wide], blocks(x.shape[-1], wide)
    parts, share, form = _parts(x, members[0].stride, gradients, tile.pixels)
    gs, ys, by, xs = ([getattr(each, name) for each in members] for name in ("g", "y", "by", "x"))
    rows = [
        (one.weight.shape[-1], one.pad, len(one.weight), 0, *map(pixel_stride, (one.g, one.y, one.x)), offset)
        for one, offset in zip(members, parts.offsets, strict=True)
    ]
    launch(
        "dense_weights", (share.programs, 9 * len(members), square**2), x,
        *(padded(each, MEMBERS) for each in (gs, ys, by, xs)), table(rows, x.device), parts.memory, each=share.each,
        **form, blocks=square, ALIGNED=aligned([*gs, *ys, *xs]),
        **product(tile, wide, short=members[0].stride > 1),
    )  # fmt: skip
    return parts


def _depthwise(stages: Sequence[Stage], gradients: Sequence[Gradient]) -> Parts:
    x = stages[0].x
    parts, share, form = _parts(x, stages[0].form.stride, gradients, PIXELS)
    gs, xs = [each.g for each in stages], [each.x for each in stages]
    launch(
        "depthwise_weights", (share.programs, blocks(x.shape[-1], NARROW), len(stages)), x, padded(gs, MEMBERS),
        padded(xs, MEMBERS), *_norms(stages), _forms(stages, parts), parts.memory, each=share.each, **form,
        ALIGNED=aligned([*xs, *gs]), **NARROW_TILE,
    )  # fmt: skip
    return parts


def _pointwise(stages: Sequence[Stage], gradients: Sequence[Gradient]) -> Parts:
    x = stages[0].x
    wide = width(x.shape[-1])
    tile, square = SQUARE_TILES[wide], blocks(x.shape[-1], wide)
    parts, share, form = _parts(x, stages[0].form.stride, gradients, tile.pixels)
    gs, ys, by, xs = ([getattr(each, name) for each in stages] for name in ("g", "y", "by", "x"))
    kernels = padded([each.kernel.contiguous() for each in stages], MEMBERS)
    launch(
        "pointwise_weights", (share.programs, len(stages), square**2), x,
        *(padded(each, MEMBERS) for each in (gs, ys, by, xs)), *_norms(stages), kernels, _forms(stages, parts),
        parts.memory, each=share.each, **form, blocks=square,
        ALIGNED=aligned([*xs, *gs, *ys]), **product(tile, wide),
    )  # fmt: skip
    return parts


def _norms(stages: Sequence[Stage]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    return normalizations([(each.scale, each.shift) for each in stages], stages[0].x)


def _forms(stages: Sequence[Stage], parts: Parts) -> Tensor:
    rows = [
        (*one.form[:2], *(0 if image is None else pixel_stride(image) for image in (one.x, one.g, one.y)), offset)
        for one, offset in zip(stages, parts.offsets, strict=True)
    ]
    return table(rows, stages[0].x.device)


def _add_up(parts: Sequence[Parts]) -> None:
    """Write the gradients from their parts."""
    every = [
        (each.memory, one, offset) for each in parts for one, offset in zip(each.gradients, each.offsets, strict=True)
    ]
    for each in chunks(len(every), TERMS):
        memories, gradients, offsets = zip(*every[each], strict=True)
        sizes = [prod(one.shape) for one in gradients]
        rows = [
            (offset, size, *one.shape[1:], *one.strides, *memory.shape)
            for memory, one, offset, size in zip(memories, gradients, offsets, sizes, strict=True)
        ]
        launch(
            "sum_of_weights", (blocks(max(sizes), ELEMENTS), len(rows)), memories[0], padded(memories, TERMS),
            padded([one.out for one in gradients], TERMS), table(rows, memories[0].device), SPLITS=16, E=ELEMENTS,
        )  # fmt: skip
