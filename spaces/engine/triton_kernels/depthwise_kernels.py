"""The Triton kernels of depthwise convolutions. Images and tiles are as in `image_kernels.py`."""

import triton
import triton.language as tl

from spaces.engine.triton_kernels.image_kernels import put, rectified, tile_of


@triton.jit
def _scale_and_shift(scales, shifts, k: tl.constexpr, c, channels, NORMED: tl.constexpr):
    """Scale and shift of a member's x: 1 and 0 where it is not normalised."""
    if NORMED:
        scale = tl.load(scales[k] + c, mask=c < channels, other=0.0)
        shift = tl.load(shifts[k] + c, mask=c < channels, other=0.0)
    else:
        scale, shift = 1.0, 0.0
    return scale, shift


@triton.jit
def _tap(
    x, ld, scale, shift, c, inside, image, row, column, tap, height, width,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, NORMED: tl.constexpr,
):  # fmt: skip
    """The value of relu(scale · x + shift) that a tap of a depthwise kernel reads, for each pixel of its result."""
    y = row * STRIDE + (tap // SIZE - SIZE // 2) * DILATION
    z = column * STRIDE + (tap % SIZE - SIZE // 2) * DILATION
    there = inside & (y >= 0) & (y < height) & (z >= 0) & (z < width)
    value = tl.load(x + ((image * height + y) * width + z) * ld + c, mask=there, other=0.0)
    if NORMED:
        value = tl.where(there, value * scale + shift, 0.0)
    return rectified(value)


@triton.jit
def depthwise(
    xs, lds, scales, shifts, kernels, outs, pixels, channels, height, width, down, across,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, NORMED: tl.constexpr,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """relu(scale · x + shift) of each member through its depthwise kernel `[channels, SIZE, SIZE]`, to its out."""
    p, c, inside = tile_of(pixels, channels, P, C)
    image, row, column = p // (down * across), p // across % down, p % across
    for k in tl.static_range(len(xs)):
        if tl.program_id(2) == k:
            scale, shift = _scale_and_shift(scales, shifts, k, c, channels, NORMED)
            total = tl.zeros((P, C), outs[k].dtype.element_ty)
            for tap in range(SIZE * SIZE):
                value = _tap(
                    xs[k], lds[k], scale, shift, c, inside, image, row, column, tap, height, width,
                    SIZE, DILATION, STRIDE, NORMED,
                )  # fmt: skip
                total += value * tl.load(kernels[k] + c * (SIZE * SIZE) + tap, mask=c < channels, other=0.0)
            tl.store(outs[k] + p * channels + c, total, mask=inside)


@triton.jit
def depthwise_weights(
    grad_outputs, xs, lds, scales, shifts, parts, pixels, channels, height, width, down, across,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, NORMED: tl.constexpr,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Each tile's part of the gradient of each member's kernel: one row for each tap."""
    p, c, inside = tile_of(pixels, channels, P, C)
    image, row, column = p // (down * across), p // across % down, p % across
    for k in tl.static_range(len(xs)):
        if tl.program_id(2) == k:
            scale, shift = _scale_and_shift(scales, shifts, k, c, channels, NORMED)
            grad_output = tl.load(grad_outputs[k] + p * channels + c, mask=inside, other=0.0)
            for tap in range(SIZE * SIZE):
                value = _tap(
                    xs[k], lds[k], scale, shift, c, inside, image, row, column, tap, height, width,
                    SIZE, DILATION, STRIDE, NORMED,
                )  # fmt: skip
                place = k * SIZE * SIZE + tap
                put(parts, place, len(xs) * SIZE * SIZE, channels, tl.sum(grad_output * value, 0), C)


@triton.jit
def _transposed(
    grad_output, kernel, c, channels, inside, image, row, column, down, across,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """The gradient of a depthwise convolution at each pixel of its input."""
    total = tl.zeros((P, C), grad_output.dtype.element_ty)
    for tap in range(SIZE * SIZE):
        y = row - (tap // SIZE - SIZE // 2) * DILATION
        z = column - (tap % SIZE - SIZE // 2) * DILATION
        there = inside & (y >= 0) & (z >= 0) & (y % STRIDE == 0) & (z % STRIDE == 0)
        y, z = y // STRIDE, z // STRIDE
        there = there & (y < down) & (z < across)
        value = tl.load(grad_output + ((image * down + y) * across + z) * channels + c, mask=there, other=0.0)
        total += value * tl.load(kernel + c * (SIZE * SIZE) + tap, mask=c < channels, other=0.0)
    return total


@triton.jit
def depthwise_back(
    grad_outputs, kernels, x, ld, gx, ldg, pixels, channels, height, width, down, across,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to gx the gradients at x of all members, which read relu(x)."""
    p, c, inside = tile_of(pixels, channels, P, C)
    image, row, column = p // (height * width), p // width % height, p % width
    total = tl.zeros((P, C), gx.dtype.element_ty)
    for k in tl.static_range(len(grad_outputs)):
        total += _transposed(
            grad_outputs[k],
            kernels[k],
            c,
            channels,
            inside,
            image,
            row,
            column,
            down,
            across,
            SIZE,
            DILATION,
            STRIDE,
            P,
            C,
        )
    value = tl.load(x + p * ld + c, mask=inside, other=0.0)
    at = gx + p * ldg + c
    tl.store(at, tl.where(value <= 0, 0.0, total) + tl.load(at, mask=inside, other=0.0), mask=inside)


@triton.jit
def depthwise_back_each(
    grad_outputs, kernels, xs, lds, scales, shifts, gxs, parts, rows, pixels, channels, height, width, down, across,
    SIZE: tl.constexpr, DILATION: tl.constexpr, STRIDE: tl.constexpr, NORMED: tl.constexpr,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write the gradient at each member's scale · x + shift, and each tile's Σ of it and of its product with x."""
    p, c, inside = tile_of(pixels, channels, P, C)
    image, row, column = p // (height * width), p // width % height, p % width
    for k in tl.static_range(len(grad_outputs)):
        if tl.program_id(2) == k:
            total = _transposed(
                grad_outputs[k], kernels[k], c, channels, inside, image, row, column, down, across,
                SIZE, DILATION, STRIDE, P, C,
            )  # fmt: skip
            scale, shift = _scale_and_shift(scales, shifts, k, c, channels, NORMED)
            value = tl.load(xs[k] + p * lds[k] + c, mask=inside, other=0.0)
            total = tl.where(value * scale + shift <= 0, 0.0, total)
            tl.store(gxs[k] + p * channels + c, total, mask=inside)
            put(parts[k], 0, rows, channels, tl.sum(total, 0), C)
            put(parts[k], 1, rows, channels, tl.sum(total * value, 0), C)
