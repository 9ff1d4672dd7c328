"""The Triton kernels of separable convolutions: a depthwise kernel and a pointwise one, one stage of each member.

Images and tiles are as in `image_kernels.py`. A stage computes pointwise(depthwise(r)) of r = relu(scale · x + shift);
where x is not normalised, scale is 1 and shift 0. A row of the members' `forms` says: kernel size, dilation, the
strides between pixels of x, g and y, and where the gradient of its kernel begins. `PRECISION` and `K` are as in
`dense_kernels.py`.
"""

import triton
import triton.language as tl

from spaces.engine.triton_kernels.image_kernels import (
    before_norm,
    kernel,
    load_channels,
    load_image,
    multiple,
    nth,
    pixels_of,
    put,
    rectified,
    store_image,
    tile_moments,
)


@triton.jit
def load_tap(
    x, ld, scale, shift, c, channels, image, row, column, there, tap, size, dilation, stride, height, width,
):  # fmt: skip
    """What a tap of a depthwise kernel reads, relu(scale · x + shift), for each pixel of its result."""
    y = row * stride + (tap // size - size // 2) * dilation
    z = column * stride + (tap % size - size // 2) * dilation
    within = there & (y >= 0) & (y < height) & (z >= 0) & (z < width)
    value = load_image(x, (image * height + y) * width + z, ld, c, within, channels)
    return rectified(tl.where(within[:, None], value * scale[None, :] + shift[None, :], 0.0))


@triton.jit
def scale_and_shift(scales, shifts, member, c, channels):
    """Those of a member's x, `[C]`."""
    return load_channels(nth(scales, member), c, channels), load_channels(nth(shifts, member), c, channels)


@triton.jit
def depthwise(
    x, ld, scale, shift, kernel, c, channels, image, row, column, there, size, dilation, stride, height, width,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The depthwise convolution `[P, C]` of relu(scale · x + shift)."""
    total = tl.zeros((P, C), x.dtype.element_ty)
    for tap in range(size * size):
        value = load_tap(
            x, ld, scale, shift, c, channels, image, row, column, there, tap, size, dilation, stride, height, width,
        )  # fmt: skip
        total += value * tl.load(kernel + c * size * size + tap, mask=c < channels, other=0.0)[None, :]
    return total


@kernel
def separable(
    xs, scales, shifts, kernels, matrices, outs, forms, parts, rows, each, pixels, channels, height, width, down,
    across, stride, MOMENTS: tl.constexpr, ALIGNED: tl.constexpr, PRECISION: tl.constexpr,
    P: tl.constexpr, K: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Each member's stage, to its out; mean and squares of each channel to two rows of `parts`."""
    member = tl.program_id(1)
    x, kernel, matrix, out = nth(xs, member), nth(kernels, member), nth(matrices, member), nth(outs, member)
    form = forms + member * 6
    size, dilation, ld = tl.load(form), tl.load(form + 1), multiple(tl.load(form + 2), ALIGNED)
    o, first = tl.program_id(2) * C + tl.arange(0, C), tl.program_id(0) * each
    before, mean, squares = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(first, first + each):
        if tile * P < pixels:
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            total = tl.zeros((P, C), x.dtype.element_ty)
            for start in range(0, channels, K):
                i = start + tl.arange(0, K)
                scale, shift = scale_and_shift(scales, shifts, member, i, channels)
                middle = depthwise(
                    x, ld, scale, shift, kernel, i, channels, image, row, column, there, size, dilation, stride,
                    height, width, P, K,
                )  # fmt: skip
                at, inside = matrix + o[None, :] * channels + i[:, None], (i < channels)[:, None]
                across_channels = tl.load(at, mask=inside & (o < channels)[None, :], other=0.0)
                total = tl.dot(middle, across_channels, total, input_precision=PRECISION, out_dtype=total.dtype)
            store_image(out, p, channels, o, there, channels, total)
            if MOMENTS:
                count = tl.minimum(pixels - tile * P, P)
                before, mean, squares = tile_moments(total, there, count, before, mean, squares)
    if MOMENTS:
        put(parts, 2 * member, rows, channels, o, mean)
        put(parts, 2 * member + 1, rows, channels, o, squares)


@kernel
def pointwise_backward(
    gs, ys, coefficients, matrices, forms, out, pixels, channels,
    ALIGNED: tl.constexpr, PRECISION: tl.constexpr, P: tl.constexpr, K: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradient between each member's kernels, for A g + B y + K at its value: `[members, pixels, channels]`."""
    member = tl.program_id(1)
    g, y, matrix = nth(gs, member), nth(ys, member), nth(matrices, member)
    coefficient, form = nth(coefficients, member), forms + member * 6
    ldg, ldy = multiple(tl.load(form + 3), ALIGNED), multiple(tl.load(form + 4), ALIGNED)
    i, p = tl.program_id(2) * C + tl.arange(0, C), tl.program_id(0) * P + tl.arange(0, P)
    there = p < pixels
    total = tl.zeros((P, C), out.dtype.element_ty)
    for start in range(0, channels, K):
        o = start + tl.arange(0, K)
        back = before_norm(g, ldg, y, ldy, coefficient, channels, p, o, there, channels)
        at, inside = matrix + o[:, None] * channels + i[None, :], (o < channels)[:, None]
        across_channels = tl.load(at, mask=inside & (i < channels)[None, :], other=0.0)
        total = tl.dot(back, across_channels, total, input_precision=PRECISION, out_dtype=total.dtype)
    store_image(out + member.to(tl.int64) * pixels * channels, p, channels, i, there, channels, total)


@triton.jit
def transposed(
    grad_output, kernel, c, channels, there, image, row, column, size, dilation, stride, down, across,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradient of a depthwise convolution at each pixel of its input, `[P, C]`."""
    total = tl.zeros((P, C), grad_output.dtype.element_ty)
    for tap in range(size * size):
        y = row - (tap // size - size // 2) * dilation
        z = column - (tap % size - size // 2) * dilation
        within = there & (y >= 0) & (z >= 0) & (y & (stride - 1) == 0) & (z & (stride - 1) == 0)
        y, z = y >> (stride - 1), z >> (stride - 1)
        within = within & (y < down) & (z < across)
        value = load_image(grad_output, (image * down + y) * across + z, channels, c, within, channels)
        total += value * tl.load(kernel + c * size * size + tap, mask=c < channels, other=0.0)[None, :]
    return total


@kernel
def depthwise_backward(
    grad_outputs, kernels, forms, xs, gxs, targets, order, images, image_coefficients, table, out_pixels, pixels,
    channels, height, width, down, across, stride, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write to each target's gx, or add, the gradient at its x of its members, which read relu(x).

    That is for the gradients behind their depthwise kernels; with Σ coefficient · image over the target's images. A row
    of `targets` says: where its members begin and end in `order`, its images, strides between pixels of x and gx, and
    whether gx is added to.
    """
    target, c = tl.program_id(2), tl.program_id(1) * C + tl.arange(0, C)
    form, x, gx = targets + target * 7, nth(xs, target), nth(gxs, target)
    first, end, ld, ldg = tl.load(form), tl.load(form + 1), tl.load(form + 4), tl.load(form + 5)
    ld, ldg = multiple(ld, ALIGNED), multiple(ldg, ALIGNED)
    p, there, image, row, column = pixels_of(tl.program_id(0), pixels, height, width, P)
    total = tl.zeros((P, C), gx.dtype.element_ty)
    for place in range(first, end):
        member = tl.load(order + place)
        of_member, grad_output = forms + member * 6, grad_outputs + member.to(tl.int64) * out_pixels * channels
        total += transposed(
            grad_output, nth(kernels, member), c, channels, there, image, row, column, tl.load(of_member),
            tl.load(of_member + 1), stride, down, across, P, C,
        )  # fmt: skip
    total = tl.where(load_image(x, p, ld, c, there, channels) <= 0, 0.0, total)
    for t in range(tl.load(form + 2), tl.load(form + 3)):
        given = load_image(nth(images, t), p, multiple(tl.load(table + t), ALIGNED), c, there, channels)
        total += load_channels(nth(image_coefficients, t), c, channels)[None, :] * given
    if tl.load(form + 6) > 0:
        total += load_image(gx, p, ldg, c, there, channels)
    store_image(gx, p, ldg, c, there, channels, total)


@kernel
def depthwise_backward_each(
    grad_outputs, kernels, xs, scales, shifts, gxs, forms, parts, rows, each, out_pixels, pixels, channels, height,
    width, down, across, stride, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradient at each member's scale · x + shift to its gx; Σ of it and of its product with x to `parts`."""
    member = tl.program_id(2)
    x, gx, kernel, form = nth(xs, member), nth(gxs, member), nth(kernels, member), forms + member * 6
    grad_output = grad_outputs + member.to(tl.int64) * out_pixels * channels
    size, dilation, ld = tl.load(form), tl.load(form + 1), multiple(tl.load(form + 2), ALIGNED)
    c, first = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(0) * each
    scale, shift = scale_and_shift(scales, shifts, member, c, channels)
    total, product = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(first, first + each):
        p, there, image, row, column = pixels_of(tile, pixels, height, width, P)
        found = transposed(
            grad_output, kernel, c, channels, there, image, row, column, size, dilation, stride, down, across, P, C
        )
        value = load_image(x, p, ld, c, there, channels)
        found = tl.where(value * scale[None, :] + shift[None, :] <= 0, 0.0, found)
        store_image(gx, p, channels, c, there, channels, found)
        total += tl.sum(found, 0).to(tl.float64)
        product += tl.sum(found * value, 0).to(tl.float64)
    put(parts, 2 * member, rows, channels, c, total)
    put(parts, 2 * member + 1, rows, channels, c, product)


@kernel
def depthwise_weights(
    grad_outputs, xs, scales, shifts, forms, parts, elements, each, pixels, channels, height, width, down, across,
    stride, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A part of the gradient of each member's depthwise kernel, `[size · size, channels]` from its offset on."""
    member = tl.program_id(2)
    x, grad_output, form = nth(xs, member), nth(grad_outputs, member), forms + member * 6
    size, dilation, ld = tl.load(form), tl.load(form + 1), multiple(tl.load(form + 2), ALIGNED)
    c, first = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(0) * each
    scale, shift = scale_and_shift(scales, shifts, member, c, channels)
    at = parts + tl.program_id(0).to(tl.int64) * elements + tl.load(form + 5) + c
    for tap in range(size * size):
        total = tl.zeros((C,), x.dtype.element_ty)
        for tile in range(first, first + each):
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            value = load_tap(
                x, ld, scale, shift, c, channels, image, row, column, there, tap, size, dilation, stride, height,
                width,
            )  # fmt: skip
            total += tl.sum(value * load_image(grad_output, p, channels, c, there, channels), 0)
        tl.store(at + tap * channels, total, mask=c < channels)


@kernel
def pointwise_weights(
    gs, ys, coefficients, xs, scales, shifts, kernels, forms, parts, elements, each, pixels, channels, height, width,
    down, across, stride, blocks,
    ALIGNED: tl.constexpr, PRECISION: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A part of the gradient of each member's pointwise kernel, `[channels, outputs]` from its offset on."""
    member = tl.program_id(1)
    x, kernel, form = nth(xs, member), nth(kernels, member), forms + member * 6
    g, y, coefficient = nth(gs, member), nth(ys, member), nth(coefficients, member)
    size, dilation, ld = tl.load(form), tl.load(form + 1), multiple(tl.load(form + 2), ALIGNED)
    ldg, ldy = multiple(tl.load(form + 3), ALIGNED), multiple(tl.load(form + 4), ALIGNED)
    i, o = tl.program_id(2) // blocks * C + tl.arange(0, C), tl.program_id(2) % blocks * C + tl.arange(0, C)
    scale, shift = scale_and_shift(scales, shifts, member, i, channels)
    total, first = tl.zeros((C, C), x.dtype.element_ty), tl.program_id(0) * each
    for tile in range(first, first + each):
        p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
        middle = depthwise(
            x, ld, scale, shift, kernel, i, channels, image, row, column, there, size, dilation, stride, height, width,
            P, C,
        )  # fmt: skip
        back = before_norm(g, ldg, y, ldy, coefficient, channels, p, o, there, channels)
        total = tl.dot(tl.trans(middle), back, total, input_precision=PRECISION, out_dtype=total.dtype)
    at = parts + tl.program_id(0).to(tl.int64) * elements + tl.load(form + 5)
    inside = (i < channels)[:, None] & (o < channels)[None, :]
    tl.store(at + i[:, None] * channels + o[None, :], total, mask=inside)
