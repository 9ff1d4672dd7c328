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
    x, ld, out, which, parts, each, pixels, channels, height, width, down, across, stride,
    LARGEST: tl.constexpr, MOMENTS: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Maximum or mean of the windows of `pixels` pixels of `down` x `across`, to `out`; its moments to `parts`.

    With LARGEST also the place of the maximum in its window, 0 … 8, to `which`: the first of several, or the last NaN
    if there is one.
    """
    c, first = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(0) * each
    before, mean, squares = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(first, first + each):
        if tile * P < pixels:
            p, there, image, row, column = pixels_of(tile, pixels, down, across, P)
            best = tl.full((P, C), float("-inf") if LARGEST else 0.0, x.dtype.element_ty)
            place = tl.full((P, C), -1, tl.int32)
            count = tl.zeros((P,), x.dtype.element_ty)
            for k in tl.static_range(9):
                y, z = row * stride + k // 3 - 1, column * stride + k % 3 - 1
                within = there & (y >= 0) & (y < height) & (z >= 0) & (z < width)
                value = load_image(x, (image * height + y) * width + z, ld, c, within, channels)
                if LARGEST:
                    taken = within[:, None] & ((value > best) | (value != value) | (place < 0))
                    best = tl.where(taken, value, best)
                    place = tl.where(taken, k, place)
                else:
                    best += value
                    count += within.to(count.dtype)
            if LARGEST:
                store_image(which, p, channels, c, there, channels, place.to(tl.int8))
            else:
                best = best / tl.maximum(count, 1.0)[:, None]  # pixels that do not exist are not stored
            best = tl.where(there[:, None], best, 0.0)
            store_image(out, p, channels, c, there, channels, best)
            if MOMENTS:
                number = tl.minimum(pixels - tile * P, P)
                before, mean, squares = tile_moments(best, there, number, before, mean, squares)
    if MOMENTS:
        put(parts, 0, 2, channels, c, mean)
        put(parts, 1, 2, channels, c, squares)


@kernel
def pool_backward(
    gs, coefficients, table, members, value, which, gx, ldg, pixels, channels, height, width, down, across, stride,
    LARGEST: tl.constexpr, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to gx the gradients of the windows, `down` x `across` in each image, that each pixel lies in.

    The gradient of a window is Σ (A g + B value + K) over the members, each with coefficients `[3, channels]`.
    """
    c = tl.program_id(1) * C + tl.arange(0, C)
    p, there, image, row, column = pixels_of(tl.program_id(0), pixels, height, width, P)
    of_value, constant = tl.zeros((C,), gx.dtype.element_ty), tl.zeros((C,), gx.dtype.element_ty)
    for m in range(members):
        of_value += load_channels(nth(coefficients, m) + channels, c, channels)
        constant += load_channels(nth(coefficients, m) + 2 * channels, c, channels)
    total = load_image(gx, p, ldg, c, there, channels)
    for k in range(9):
        # In units of 1 / stride: at stride 2 only even places are windows.
        y, z = row + 1 - k // 3, column + 1 - k % 3
        within = there & (y >= 0) & (z >= 0) & (y & (stride - 1) == 0) & (z & (stride - 1) == 0)
        y, z = y >> (stride - 1), z >> (stride - 1)
        within = within & (y < down) & (z < across)
        window = (image * down + y) * across + z
        found = of_value[None, :] * load_image(value, window, channels, c, within, channels) + constant[None, :]
        for m in range(members):
            ld = multiple(tl.load(table + m), ALIGNED)
            of_gradient = load_channels(nth(coefficients, m), c, channels)
            found += of_gradient[None, :] * load_image(nth(gs, m), window, ld, c, within, channels)
        if LARGEST:
            chosen = load_image(which, window, channels, c, within, channels)
            found = tl.where(chosen == k, found, 0.0)
        else:
            rows = tl.minimum(y * stride + 2, height) - tl.maximum(y * stride - 1, 0)
            columns = tl.minimum(z * stride + 2, width) - tl.maximum(z * stride - 1, 0)
            found = found / tl.maximum(rows * columns, 1).to(found.dtype)[:, None]
        total += tl.where(within[:, None], found, 0.0)
    store_image(gx, p, ldg, c, there, channels, total)
