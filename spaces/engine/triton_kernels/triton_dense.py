"""Dense convolutions in Triton, for NVIDIA GPUs: those of one image in one launch each way. A part of `Kernels`."""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from spaces.engine.kernel_values import BackwardCoefficients, Bypass, Moments, pixel_stride
from spaces.engine.kernels import WeightGradients
from spaces.engine.triton_kernels.tile_sizes import IMAGE_TILES
from spaces.engine.triton_kernels.triton_launch import (
    IMAGES,
    MEMBERS,
    Share,
    aligned,
    blocks,
    chunks,
    image_product,
    launch,
    padded,
    pixel_count,
    sizes,
    table,
    width,
)
from spaces.engine.triton_kernels.triton_statistics import put_moments
from spaces.engine.triton_kernels.weight_gradients import CollectedGradients, Dense, channels_innermost


class Convolution(NamedTuple):
    """A convolution of an image: its kernel `[outputs, channels, size, size]`, and where its results belong.

    Its value is `outputs` channels from `first` on of the `place`-th value and batch norm.
    """

    weight: Tensor
    pad: int
    place: int
    first: int = 0

    def of(self, x: Tensor) -> Tensor:
        """Its channels of a value `[N, H, W, C]`."""
        return x[..., self.first : self.first + len(self.weight)]


class Back(NamedTuple):
    """The gradients of values as A g + B y + K."""

    gradients: Sequence[Tensor]
    values: Sequence[Tensor]
    coefficients: Sequence[BackwardCoefficients]


def convolutions_of(weights: Sequence[Tensor]) -> list[Convolution]:
    """Convolutions of stride 1 that keep the size, each with a value of its own."""
    return [Convolution(weight, weight.shape[-1] // 2, place) for place, weight in enumerate(weights)]


def dense(x: Tensor, weights: Sequence[Tensor], into: Moments | None) -> tuple[list[Tensor], Tensor | None]:
    """See `Kernels.dense`. All values are stored."""
    return convolved(x, convolutions_of(weights), len(weights), 1, into), None


def convolved(
    x: Tensor, convolutions: Sequence[Convolution], count: int, stride: int, into: Moments | None
) -> list[Tensor]:
    """The `count` values of convolutions of relu(x)."""
    form = sizes(x, stride)
    out = list(x.new_empty(count, len(x), form["down"], form["across"], x.shape[-1]).unbind())
    pixels, wide = pixel_count(out[0]), width(x.shape[-1])
    share = Share.of(pixels, IMAGE_TILES[wide].pixels)
    parts = x.new_empty(share.programs, 2 * count, x.shape[-1], dtype=torch.float64) if into else None
    for each in chunks(len(convolutions), MEMBERS):
        members = convolutions[each]
        outs = [member.of(out[member.place]) for member in members]
        rows = [
            (member.weight.shape[-1], member.pad, len(member.weight), member.first, pixel_stride(y), member.place)
            for member, y in zip(members, outs, strict=True)
        ]
        kernels = channels_innermost([member.weight for member in members])
        launch(
            "dense", (share.programs, len(members), blocks(x.shape[-1], wide)), x, x, pixel_stride(x),
            padded(kernels, MEMBERS), padded(outs, MEMBERS), table(rows, x.device), parts, 2 * count, share.each,
            pixels, **form, MOMENTS=into is not None, ALIGNED=aligned([x, *outs]),
            **image_product(wide, short=stride > 1),
        )  # fmt: skip
    if into:
        assert parts is not None
        sums = [parts[:, 2 * place : 2 * place + 2] for place in range(count)]
        put_moments(into, sums, share.each * IMAGE_TILES[wide].pixels, pixels)
    return out


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
    back, members = Back(gradients, values, coefficients), convolutions_of(weights)
    convolved_backward(back, members, x, gx, 1, bypass)
    return gradients_of_kernels(back, members, x, 1, of_weights)


def convolved_backward(
    back: Back,
    convolutions: Sequence[Convolution],
    x: Tensor,
    gx: Tensor,
    stride: int,
    bypass: Bypass,
) -> None:
    """Write the gradient of `convolved` at x to gx, or add it, with the gradients that bypass it."""
    whole, means, accumulate = bypass
    form, images = sizes(x, stride), [*whole.images, *means.images]
    coefficients = [*whole.coefficients, *means.coefficients]
    wide = width(x.shape[-1])
    grid = (blocks(pixel_count(x), IMAGE_TILES[wide].pixels), blocks(x.shape[-1], wide))
    launches = max(-(-len(convolutions) // MEMBERS), -(-len(images) // IMAGES), not accumulate)
    for number in range(launches):
        members = convolutions[number * MEMBERS : (number + 1) * MEMBERS]
        each = slice(number * IMAGES, (number + 1) * IMAGES)
        added, of_added = images[each] or [x], coefficients[each] or [x]
        count, direct = len(images[each]), min(max(len(whole.images) - each.start, 0), IMAGES)
        gs, ys, by, kernels, rows = backward_members(back, members, x)
        launch(
            "dense_backward", grid, x, gs, ys, by, padded(kernels, MEMBERS), table(rows, x.device), len(members), x,
            pixel_stride(x), padded(added, IMAGES), padded(of_added, IMAGES),
            table([pixel_stride(image) for image in added], x.device), direct, count - direct, gx, pixel_stride(gx),
            pixel_count(x), **form, ADDED=accumulate or number > 0,
            ALIGNED=aligned([x, gx, *gs, *ys, *added]), **image_product(wide, short=stride > 1),
        )  # fmt: skip


def backward_members(back: Back, members: Sequence[Convolution], x: Tensor) -> tuple[Any, ...]:
    """Of each member g, y, the first coefficient (B and K follow in memory) the kernel, and the forms."""
    if not members:
        return (x,) * MEMBERS, (x,) * MEMBERS, (x,) * MEMBERS, [x], [(0,) * 6]
    gs = [member.of(back.gradients[member.place]) for member in members]
    ys = [member.of(back.values[member.place]) for member in members]
    by = [back.coefficients[member.place].of_gradient[member.first :] for member in members]
    kernels = channels_innermost([member.weight for member in members])
    rows = [
        (member.weight.shape[-1], member.pad, len(member.weight), member.first, pixel_stride(g), pixel_stride(y))
        for member, g, y in zip(members, gs, ys, strict=True)
    ]
    return padded(gs, MEMBERS), padded(ys, MEMBERS), padded(by, MEMBERS), kernels, rows


def gradients_of_kernels(
    back: Back, convolutions: Sequence[Convolution], x: Tensor, stride: int, of_weights: WeightGradients | None
) -> list[Tensor | None]:
    """The gradients of the kernels, which are computed later; None for each if they are not requested."""
    if of_weights is None:
        return [None] * len(convolutions)
    collected, found = cast(CollectedGradients, of_weights), list[Tensor | None]()
    for member in convolutions:
        g, y = (member.of(of[member.place]) for of in (back.gradients, back.values))
        by = back.coefficients[member.place].of_gradient[member.first :]
        found.append(collected.dense(Dense(g, y, by, x, member.weight, member.pad, stride)))
    return found


def factorized(x: Tensor, kernels: Sequence[tuple[Tensor, Tensor]], into: Moments | None) -> list[Tensor]:
    """See `Kernels.factorized`."""
    return convolved(x, _halves(kernels), len(kernels), 2, into)


def factorized_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    kernels: Sequence[tuple[Tensor, Tensor]],
    gx: Tensor,
    *,
    of_weights: WeightGradients | None,
) -> list[Tensor | None]:
    """See `Kernels.factorized_backward`."""
    back, halves = Back(gradients, values, coefficients), _halves(kernels)
    convolved_backward(back, halves, x, gx, 2, Bypass())
    return gradients_of_kernels(back, halves, x, 2, of_weights)


def _halves(kernels: Sequence[tuple[Tensor, Tensor]]) -> list[Convolution]:
    """The convolutions of even pixels, and of those one off, of each reduction."""
    return [
        half
        for place, (even, odd) in enumerate(kernels)
        for half in (Convolution(even, 0, place), Convolution(odd, -1, place, len(even)))
    ]
