"""Separable convolutions in Triton, for NVIDIA GPUs: the stages of many at once. A part of `Kernels`."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from spaces.engine.kernel_values import NOTHING, BackwardCoefficients, Bypass, Moments, SeparableStage, pixel_stride
from spaces.engine.kernels import WeightGradients
from spaces.engine.triton_kernels.tile_sizes import IMAGE_TILES, NARROW, NARROW_TILE, PIXELS
from spaces.engine.triton_kernels.triton_images import combine
from spaces.engine.triton_kernels.triton_launch import (
    IMAGES,
    MEMBERS,
    Share,
    aligned,
    blocks,
    chunks,
    image_product,
    launch,
    normalizations,
    padded,
    pixel_count,
    sizes,
    table,
    width,
)
from spaces.engine.triton_kernels.triton_statistics import put_moments
from spaces.engine.triton_kernels.weight_gradients import CollectedGradients, Stage


def separable(stages: Sequence[SeparableStage], into: Moments | None) -> list[Tensor]:
    """See `Kernels.separable`."""
    x, form = stages[0].x, sizes(stages[0].x, stages[0].form.stride)
    channels = x.shape[-1]
    out = x.new_empty(len(stages), len(x), form["down"], form["across"], channels)
    pixels, wide = pixel_count(out[0]), width(channels)
    share = Share.of(pixels, IMAGE_TILES[wide].pixels)
    for each in chunks(len(stages), MEMBERS):
        members, outs = stages[each], list(out[each].unbind())
        parts = x.new_empty(share.programs, 2 * len(members), channels, dtype=torch.float64) if into else None
        xs, norms, kernels, matrices, rows = _members(members)
        launch(
            "separable", (share.programs, len(members), blocks(channels, wide)), x, padded(xs, MEMBERS), *norms,
            kernels, matrices, padded(outs, MEMBERS), table(rows, x.device), parts, 2 * len(members), share.each,
            pixels, **form, MOMENTS=into is not None,
            ALIGNED=aligned([*xs, *outs]), **image_product(wide),
        )  # fmt: skip
        if into:
            assert parts is not None
            sums = [parts[:, 2 * place : 2 * place + 2] for place in range(len(members))]
            put_moments(into, sums, share.each * IMAGE_TILES[wide].pixels, pixels, each)
    return list(out.unbind())


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
    """See `Kernels.separable_backward`. The gradients of kernels are computed later."""
    sums: list[Tensor] = []
    found: list[Tensor | None] = []
    for each in chunks(len(stages), MEMBERS):
        back = gradients[each], values[each], [by.of_gradient for by in coefficients[each]]
        members = stages[each]
        middle = _pointwise_backward(*back, members)
        if bypass is None:
            sums.append(_depthwise_backward_each(middle, members, gx[each]))
        else:
            earlier = {id(into) for into in gx[: each.start]}
            around = [Bypass() if id(into) in earlier else of for into, of in zip(gx[each], bypass[each], strict=True)]
            _depthwise_backward(middle, members, gx[each], around)
        for m, (x, scale, shift, depthwise, pointwise, form) in enumerate(members):
            if of_weights is None:
                found += [None, None]
                continue
            collected = cast(CollectedGradients, of_weights)
            found.append(collected.depthwise(Stage(x, scale, shift, depthwise, form, middle[m])))
            g, y, by = (of[m] for of in back)
            found.append(collected.pointwise(Stage(x, scale, shift, depthwise, form, g, y, by), pointwise))
    return torch.cat(sums, 1) if len(sums) > 1 else sums[0] if sums else None, found


def _pointwise_backward(
    gs: Sequence[Tensor], ys: Sequence[Tensor], by: Sequence[Tensor], stages: Sequence[SeparableStage]
) -> Tensor:
    """The gradients between the two kernels of each stage, `[stages, N, H', W', C]`."""
    channels, wide = ys[0].shape[-1], width(ys[0].shape[-1])
    out = ys[0].new_empty(len(stages), *ys[0].shape)
    *_, matrices, rows = _members(stages, gs, ys)
    grid = (blocks(pixel_count(ys[0]), IMAGE_TILES[wide].pixels), len(stages), blocks(channels, wide))
    launch(
        "pointwise_backward", grid, out, *(padded(each, MEMBERS) for each in (gs, ys, by)), matrices,
        table(rows, out.device), out, pixel_count(ys[0]), channels, ALIGNED=aligned([*gs, *ys]),
        **image_product(wide),
    )  # fmt: skip
    return out


def _depthwise_backward(
    middle: Tensor, stages: Sequence[SeparableStage], gx: Sequence[Tensor], bypass: Sequence[Bypass]
) -> None:
    """Adds to each gx the gradients of the stages that share it, and what bypasses them."""
    x = stages[0].x
    targets: list[tuple[int, ...]] = []
    order: list[int] = []
    xs, images, coefficients = list[Tensor](), list[Tensor](), list[Tensor]()
    gxs = list({id(into): into for into in gx}.values())
    for into in gxs:
        members = [place for place, of in enumerate(gx) if of is into]
        whole, _, accumulate = bypass[members[0]]
        if len(images) + len(whole.images) > IMAGES:  # more than a launch takes
            combine(*whole, None, into, accumulate=accumulate)
            whole, accumulate = NOTHING, True
        xs.append(stages[members[0]].x)
        ends = (len(order), len(order) + len(members), len(images), len(images) + len(whole.images))
        targets.append((*ends, pixel_stride(xs[-1]), pixel_stride(into), int(accumulate)))
        order += members
        images += whole.images
        coefficients += whole.coefficients
    _, _, kernels, _, rows = _members(stages)
    images, coefficients = images or [x], coefficients or [x]
    grid = (blocks(pixel_count(x), PIXELS), blocks(x.shape[-1], NARROW), len(targets))
    launch(
        "depthwise_backward", grid, x, middle, kernels, table(rows, x.device), padded(xs, MEMBERS),
        padded(gxs, MEMBERS), table(targets, x.device), table(order, x.device), padded(images, IMAGES),
        padded(coefficients, IMAGES), table([pixel_stride(image) for image in images], x.device),
        pixel_count(middle[0]), pixel_count(x), **sizes(x, stages[0].form.stride),
        ALIGNED=aligned([*xs, *gxs, *images]), **NARROW_TILE,
    )  # fmt: skip


def _depthwise_backward_each(middle: Tensor, stages: Sequence[SeparableStage], gx: Sequence[Tensor]) -> Tensor:
    """Writes to each gx; the sums, float64 `[parts, 2 · stages, C]`."""
    x = stages[0].x
    share = Share.of(pixel_count(x), PIXELS)
    parts = x.new_empty(share.programs, 2 * len(stages), x.shape[-1], dtype=torch.float64)
    xs, norms, kernels, _, rows = _members(stages)
    grid = (share.programs, blocks(x.shape[-1], NARROW), len(stages))
    launch(
        "depthwise_backward_each", grid, x, middle, kernels, padded(xs, MEMBERS), *norms, padded(gx, MEMBERS),
        table(rows, x.device), parts, 2 * len(stages), share.each, pixel_count(middle[0]), pixel_count(x),
        **sizes(x, stages[0].form.stride), ALIGNED=aligned([*xs, *gx]), **NARROW_TILE,
    )  # fmt: skip
    return parts


Pointers = tuple[Tensor, ...]


def _members(
    stages: Sequence[SeparableStage], gs: Sequence[Tensor] | None = None, ys: Sequence[Tensor] | None = None
) -> tuple[
    list[Tensor],
    tuple[tuple[Tensor, ...], tuple[Tensor, ...]],
    tuple[Tensor, ...],
    tuple[Tensor, ...],
    list[tuple[int, ...]],
]:
    """Images, scales and shifts, depthwise and pointwise kernels, and the rows of the members' forms."""
    xs, scales, shifts, kernels, matrices, forms = zip(*stages, strict=True)
    strides = [[pixel_stride(x) for x in each] if each else [0] * len(xs) for each in (xs, gs, ys)]
    rows = [(form.kernel, form.dilation, *each, 0) for form, *each in zip(forms, *strides, strict=True)]
    norms = normalizations(list(zip(scales, shifts, strict=True)), xs[0])
    contiguous = [padded([kernel.contiguous() for kernel in each], MEMBERS) for each in (kernels, matrices)]
    return list(xs), norms, contiguous[0], contiguous[1], rows
