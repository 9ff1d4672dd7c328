"""The Triton kernels of pools: 3 x 3 windows, the padding not counted. Images and tiles: `image_kernels.py`."""

import triton.language as tl

from spaces.engine.triton_kernels.image_kernels import (
    kernel,
    load_channels,
    load_image,
    multiple,
    nth,
    pixels_of,
    put,
    store_image,
    tile_moments,
)


@kernel
def pool(
    xs, out, which, forms, parts, rows, each, pixels, channels, height, width, down, across, stride,
    MOMENTS: tl.constexpr, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Maximum or mean of the windows of each member, to `out` `[members, pixels, channels]`: `down` x `across` pixels.

    Where it is the maximum, also its place in the window, 0 … 8, to `which`: the first of several, or the last NaN if
    there is one. Its moments go to two rows of `parts`. A row of `forms` says: whether it is the maximum, the stride
    between pixels of x, and the member's place.
    """
    form, x = forms + tl.program_id(2) * 3, nth(xs, tl.program_id(2))
    largest, ld, member = tl.load(form) > 0, multiple(tl.load(form + 1), ALIGNED), tl.load(form + 2)
    c, first = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(0) * each
    offset = member.to(tl.int64) * pixels * channels
    before, mean, squares = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(first, first + each):
        if tile * P < pixels:
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            best = tl.full((P, C), float("-inf"), x.dtype.element_ty)
            place, total = tl.full((P, C), -1, tl.int32), tl.zeros((P, C), x.dtype.element_ty)
            count = tl.zeros((P,), x.dtype.element_ty)
            for k in range(9):
                y, z = row * stride + k // 3 - 1, column * stride + k % 3 - 1
                within = there & (y >= 0) & (y < height) & (z >= 0) & (z < width)
                value = load_image(x, (image * height + y) * width + z, ld, c, within, channels)
                taken = within[:, None] & ((value > best) | (value != value) | (place < 0))
                best, place = tl.where(taken, value, best), tl.where(taken, k, place)
                total += value
                count += within.to(count.dtype)
            found = tl.where(largest, best, total / tl.maximum(count, 1.0)[:, None])
            found = tl.where(there[:, None], found, 0.0)
            store_image(out + offset, p, channels, c, there, channels, found)
            if largest:
                store_image(which + offset, p, channels, c, there, channels, place.to(tl.int8))
            if MOMENTS:
                number = tl.minimum(pixels - tile * P, P)
                before, mean, squares = tile_moments(found, there, number, before, mean, squares)
    if MOMENTS:
        put(parts, 2 * member, rows, channels, c, mean)
        put(parts, 2 * member + 1, rows, channels, c, squares)


@kernel
def pool_backward(
    gs, coefficients, table, values, whiches, forms, gxs, targets, pixels, channels, height, width, down, across,
    stride, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to each target's gx the gradients of the windows, `down` x `across` in each image, that each pixel lies in.

    The gradient of a window of a pool is Σ (A g + B value + K) over its g, each with coefficients `[3, channels]`. A
    row of `targets` says: its first pool and the last, and the stride between pixels of gx. A row of `forms` says: the
    pool's first g and the last, and whether it takes the maximum.
    """
    target, c = targets + tl.program_id(2) * 3, tl.program_id(1) * C + tl.arange(0, C)
    gx, ldg = nth(gxs, tl.program_id(2)), multiple(tl.load(target + 2), ALIGNED)
    p, there, image, row, column = pixels_of(tl.program_id(0), pixels, height, width, P)
    total = load_image(gx, p, ldg, c, there, channels)
    for pool in range(tl.load(target), tl.load(target + 1)):
        value, which, form = nth(values, pool), nth(whiches, pool), forms + pool * 3
        first, end, largest = tl.load(form), tl.load(form + 1), tl.load(form + 2) > 0
        of_value, constant = tl.zeros((C,), gx.dtype.element_ty), tl.zeros((C,), gx.dtype.element_ty)
        for m in range(first, end):
            of_value += load_channels(nth(coefficients, m) + channels, c, channels)
            constant += load_channels(nth(coefficients, m) + 2 * channels, c, channels)
        for k in range(9):
            # In units of 1 / stride: at stride 2 only even places are windows.
            y, z = row + 1 - k // 3, column + 1 - k % 3
            within = there & (y >= 0) & (z >= 0) & (y & (stride - 1) == 0) & (z & (stride - 1) == 0)
            y, z = y >> (stride - 1), z >> (stride - 1)
            within = within & (y < down) & (z < across)
            window = (image * down + y) * across + z
            found = of_value[None, :] * load_image(value, window, channels, c, within, channels) + constant[None, :]
            for m in range(first, end):
                ld = multiple(tl.load(table + m), ALIGNED)
                of_gradient = load_channels(nth(coefficients, m), c, channels)
                found += of_gradient[None, :] * load_image(nth(gs, m), window, ld, c, within, channels)
            if largest:
                chosen = load_image(which, window, channels, c, within, channels)
                found = tl.where(chosen == k, found, 0.0)
            else:
                rows = tl.minimum(y * stride + 2, height) - tl.maximum(y * stride - 1, 0)
                columns = tl.minimum(z * stride + 2, width) - tl.maximum(z * stride - 1, 0)
                found = found / tl.maximum(rows * columns, 1).to(found.dtype)[:, None]
            total += tl.where(within[:, None], found, 0.0)
    store_image(gx, p, ldg, c, there, channels, total)
