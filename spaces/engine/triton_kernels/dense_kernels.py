"""The Triton kernels of dense convolutions: all those of one image in one launch, without an image between.

Images and tiles are as in `image_kernels.py`. A member is a convolution of 1 x 1 or 3 x 3 and stride 1, or half of a
`FactorizedReduce` (1 x 1 of stride 2, its `pad` -1 for the half that is one pixel off). A row of its `forms` says what
it is: kernel size, pad, output channels, the first of them among those of its value and its norm, and strides between
pixels. Its kernel is `[outputs, channels, size, size]`, the input channels last in memory.

Products are tensor cores': `PRECISION` is "tf32x3" (three products of TF32 parts, nearly as exact as float32), "tf32",
or "ieee" (float32 throughout, without tensor cores). `K` channels of the summed ones are taken at a time.
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
    rectified,
    store_image,
    tile_moments,
)


@triton.jit
def load_kernel(weight, i, o, tap, taps, channels, outputs):
    """The weights `[I, 1]`, `[1, O]` → `[I, O]`, or transposed, of one tap; 0 beyond the last channel."""
    return tl.load(weight + (o * taps + tap) * channels + i, mask=(i < channels) & (o < outputs), other=0.0)


@kernel
def dense(
    x, ld, weights, outs, forms, parts, rows, each, pixels, channels, height, width, down, across, stride,
    MOMENTS: tl.constexpr, ALIGNED: tl.constexpr, PRECISION: tl.constexpr,
    P: tl.constexpr, K: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """relu(x) through each member's kernel, to its out; mean and squares of each channel to two rows of `parts`."""
    member = tl.program_id(1)
    weight, out, form = nth(weights, member), nth(outs, member), forms + member * 6
    size, pad, outputs = tl.load(form), tl.load(form + 1), tl.load(form + 2)
    o, first = tl.program_id(2) * C + tl.arange(0, C), tl.program_id(0) * each
    before, mean, squares = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(first, first + each):
        if tile * P < pixels:
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            total = tl.zeros((P, C), x.dtype.element_ty)
            for start in range(0, channels, K):
                i = start + tl.arange(0, K)
                for tap in range(size * size):
                    y, z = row * stride + tap // size - pad, column * stride + tap % size - pad
                    within = there & (y >= 0) & (y < height) & (z >= 0) & (z < width)
                    value = rectified(load_image(x, (image * height + y) * width + z, ld, i, within, channels))
                    kernel = load_kernel(weight, i[:, None], o[None, :], tap, size * size, channels, outputs)
                    total = tl.dot(value, kernel, total, input_precision=PRECISION, out_dtype=total.dtype)
            store_image(out, p, multiple(tl.load(form + 4), ALIGNED), o, there, outputs, total)
            if MOMENTS:
                count = tl.minimum(pixels - tile * P, P)
                before, mean, squares = tile_moments(total, there, count, before, mean, squares)
    if MOMENTS:
        at = parts + (tl.program_id(0).to(tl.int64) * rows + 2 * tl.load(form + 5)) * channels + tl.load(form + 3)
        tl.store(at + o, mean, mask=o < outputs)
        tl.store(at + channels + o, squares, mask=o < outputs)


@kernel
def dense_backward(
    gs, ys, coefficients, weights, forms, members, x, ld, images, image_coefficients, table, whole, means, gx, ldg,
    pixels, channels, height, width, down, across, stride,
    ADDED: tl.constexpr, ALIGNED: tl.constexpr, PRECISION: tl.constexpr,
    P: tl.constexpr, K: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write to gx, or add to it, the gradient at x of all members, each for the gradient A g + B y + K of its value.

    Includes Σ coefficient · image over the first `whole` images, and the gradient of the mean of 3 x 3 windows for
    that sum over the `means` images behind them.
    """
    i = tl.program_id(1) * C + tl.arange(0, C)
    p, there, image, row, column = pixels_of(tl.program_id(0), pixels, height, width, P)
    total = tl.zeros((P, C), x.dtype.element_ty)
    for member in range(members):
        g, y, weight = nth(gs, member), nth(ys, member), nth(weights, member)
        coefficient, form = nth(coefficients, member), forms + member * 6
        size, pad, outputs = tl.load(form), tl.load(form + 1), tl.load(form + 2)
        ldgs, ldys = multiple(tl.load(form + 4), ALIGNED), multiple(tl.load(form + 5), ALIGNED)
        for start in range(0, outputs, K):
            o = start + tl.arange(0, K)
            for tap in range(size * size):
                v, z = row + pad - tap // size, column + pad - tap % size
                within = there & (v >= 0) & (z >= 0) & (v & (stride - 1) == 0) & (z & (stride - 1) == 0)
                v, z = v >> (stride - 1), z >> (stride - 1)
                within = within & (v < down) & (z < across)
                at = (image * down + v) * across + z
                back = before_norm(g, ldgs, y, ldys, coefficient, channels, at, o, within, outputs)
                kernel = load_kernel(weight, i[None, :], o[:, None], tap, size * size, channels, outputs)
                total = tl.dot(back, kernel, total, input_precision=PRECISION, out_dtype=total.dtype)
    total = tl.where(load_image(x, p, ld, i, there, channels) <= 0, 0.0, total)
    for t in range(whole):
        given = load_image(nth(images, t), p, multiple(tl.load(table + t), ALIGNED), i, there, channels)
        total += load_channels(nth(image_coefficients, t), i, channels)[None, :] * given
    if means > 0:
        for k in range(9):
            v, z = row + 1 - k // 3, column + 1 - k % 3
            within = there & (v >= 0) & (z >= 0) & (v < height) & (z < width)
            rows = tl.minimum(v + 2, height) - tl.maximum(v - 1, 0)
            columns = tl.minimum(z + 2, width) - tl.maximum(z - 1, 0)
            of_window = tl.zeros((P, C), x.dtype.element_ty)
            for t in range(whole, whole + means):
                at, ldi = (image * height + v) * width + z, multiple(tl.load(table + t), ALIGNED)
                given = load_image(nth(images, t), at, ldi, i, within, channels)
                of_window += load_channels(nth(image_coefficients, t), i, channels)[None, :] * given
            total += of_window / tl.maximum(rows * columns, 1).to(total.dtype)[:, None]
    if ADDED:
        total += load_image(gx, p, ldg, i, there, channels)
    store_image(gx, p, ldg, i, there, channels, total)


@kernel
def dense_weights(
    gs, ys, coefficients, xs, forms, parts, elements, each, pixels, channels, height, width, down, across, stride,
    blocks, ALIGNED: tl.constexpr, PRECISION: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A part of the gradient of one tap of each member's kernel, of all `[size · size, channels, outputs]`.

    Behind what is in a row of `dense_backward`'s forms are the stride between pixels of x, and where the gradient
    begins. A program sums over `each` tiles of pixels.
    """
    member, tap = tl.program_id(1) // 9, tl.program_id(1) % 9
    form = forms + member * 8
    size, pad, outputs = tl.load(form), tl.load(form + 1), tl.load(form + 2)
    if tap < size * size:
        g, y, coefficient, x = nth(gs, member), nth(ys, member), nth(coefficients, member), nth(xs, member)
        ldgs, ldys = multiple(tl.load(form + 4), ALIGNED), multiple(tl.load(form + 5), ALIGNED)
        ld, first = multiple(tl.load(form + 6), ALIGNED), tl.program_id(0) * each
        i = tl.program_id(2) // blocks * C + tl.arange(0, C)
        o = tl.program_id(2) % blocks * C + tl.arange(0, C)
        total = tl.zeros((C, C), x.dtype.element_ty)
        for tile in range(first, first + each):
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            back = before_norm(g, ldgs, y, ldys, coefficient, channels, p, o, there, outputs)
            v, z = row * stride + tap // size - pad, column * stride + tap % size - pad
            within = there & (v >= 0) & (v < height) & (z >= 0) & (z < width)
            value = rectified(load_image(x, (image * height + v) * width + z, ld, i, within, channels))
            total = tl.dot(tl.trans(value), back, total, input_precision=PRECISION, out_dtype=total.dtype)
        at = parts + tl.program_id(0).to(tl.int64) * elements + tl.load(form + 7)
        at += (tap * channels + i)[:, None] * outputs + o[None, :]
        tl.store(at, total, mask=(i < channels)[:, None] & (o < outputs)[None, :])
