"""What the Triton kernels share, and those that pass over images pixel by pixel.

Images are pixels by channels here: `ld` elements lie between a pixel and the next (so that a tensor may be a slice of
wider ones), the channels of a pixel side by side. A stride is 1 or 2. A program computes a part of the pixels: `each`
tiles of `P` pixels and `C` channels, one after another. What it sums over them it writes to `parts`; the kernel that
needs a whole sum adds up the parts (`statistics_kernels.py`), in a fixed order: no atomics, the same bits every time.

A kernel over several images takes a tuple of as many pointers as the largest launch needs, and a `table` of whole
numbers on the device with a row for each image: so it is compiled once, whatever the number of images.
"""

from functools import partial

import triton
import triton.language as tl

COUNTS = (
    "blocks", "constants", "count", "each", "elements", "height", "width", "down", "across", "means", "members",
    "normed", "of_parts", "out_pixels", "pixels", "rows", "stride", "whole",
)  # fmt: skip
"""Numbers on whose values no machine code depends: Triton would compile a kernel anew for 1 and for multiples of 16."""

COLUMNS = ("eps", "mean", "of_scale", "of_shift", "of_weights", "scale", "shift", "through", "variance", "weights")
"""Statistics, some of them slices of a table's rows: no machine code depends on their alignment either."""

kernel = partial(triton.jit, do_not_specialize=COUNTS, do_not_specialize_on_alignment=COLUMNS)


@triton.jit
def nth(values, n):
    """`values[n]` of a tuple of pointers, for a number `n` that is known only on the device."""
    found = values[0]
    for k in tl.static_range(1, len(values)):
        found = tl.where(n == k, values[k], found)
    return found


@triton.jit
def multiple(number, ALIGNED: tl.constexpr):
    """A number of the table; with ALIGNED the compiler may rely on it to be a multiple of 4, and load 16 bytes."""
    return tl.multiple_of(number, 4) if ALIGNED else number


@triton.jit
def pixels_of(tile, pixels, height, width, P: tl.constexpr):
    """The pixels `[P]` of a tile, which of them exist, and image, row and column of each."""
    p = tile * P + tl.arange(0, P)
    return p, p < pixels, p // (height * width), p // width % height, p % width


@triton.jit
def load_image(image, pixel, ld, c, there, channels):
    """Elements `[P, C]` at these pixels and channels; 0 where a pixel is not `there`."""
    at = image + pixel.to(tl.int64)[:, None] * ld + c[None, :]
    return tl.load(at, mask=there[:, None] & (c < channels)[None, :], other=0.0)


@triton.jit
def store_image(image, pixel, ld, c, there, channels, values):
    """Write elements `[P, C]`."""
    at = image + pixel.to(tl.int64)[:, None] * ld + c[None, :]
    tl.store(at, values, mask=there[:, None] & (c < channels)[None, :])


@triton.jit
def load_channels(vector, c, channels):
    """A value for each channel `[C]`; 0 beyond the last."""
    return tl.load(vector + c, mask=c < channels, other=0.0)


@triton.jit
def before_norm(g, ldg, y, ldy, coefficients, row, pixel, c, there, channels):
    """A g + B y + K `[P, C]`, for coefficients `[3, row]`; 0 where a pixel is not `there`."""
    of_gradient = load_channels(coefficients, c, channels)
    of_value = load_channels(coefficients + row, c, channels)
    constant = load_channels(coefficients + 2 * row, c, channels)
    found = of_gradient[None, :] * load_image(g, pixel, ldg, c, there, channels) + constant[None, :]
    found += of_value[None, :] * load_image(y, pixel, ldy, c, there, channels)
    return tl.where(there[:, None], found, 0.0)


@triton.jit
def rectified(x):
    """ReLU; NaN stays NaN."""
    return tl.where(x <= 0, 0.0, x)


@triton.jit
def tile_moments(values, there, count, before, mean, squares):
    """Count, mean and sum of squares around it `[C]`, float64, of `before` earlier values and those of a tile `[P, C]`.

    The update of Chan, Golub & LeVeque (1983).
    """
    of_tile = tl.sum(values, 0) / count.to(values.dtype)
    apart = tl.where(there[:, None], values - of_tile[None, :], 0.0)
    more, after = count.to(tl.float64), before + count.to(tl.float64)
    delta = of_tile.to(tl.float64) - mean
    squares += tl.sum(apart * apart, 0).to(tl.float64) + delta * delta * before * more / after
    return after, mean + delta * more / after, squares


@triton.jit
def put(parts, row, rows, channels, c, values):
    """Write `values` `[C]` to a row of this program's part of `parts` `[parts, rows, channels]`."""
    at = parts + (tl.program_id(0).to(tl.int64) * rows + row) * channels + c
    tl.store(at, values.to(parts.dtype.element_ty), mask=c < channels)


@kernel
def combine(
    terms, coefficients, table, bias, constants, out, ldo, count, pixels, channels,
    TERMS: tl.constexpr, ADDED: tl.constexpr, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write to out, or add to it, Σ coefficient · term and the sum of `constants` rows of bias.

    It loads TERMS terms at a time.
    """
    p = tl.program_id(0) * P + tl.arange(0, P)
    c, there = tl.program_id(1) * C + tl.arange(0, C), p < pixels
    constant = tl.zeros((C,), tl.float64)
    for row in range(constants):
        constant += load_channels(bias + row * channels, c, channels).to(tl.float64)
    total = tl.zeros((P, C), out.dtype.element_ty) + constant.to(out.dtype.element_ty)[None, :]
    if ADDED:
        total += load_image(out, p, ldo, c, there, channels)
    for first in range(0, count, TERMS):
        for place in tl.static_range(TERMS):
            t = first + place
            if t < count:
                ld = multiple(tl.load(table + t), ALIGNED)
                coefficient = load_channels(nth(coefficients, t), c, channels)
                total += coefficient[None, :] * load_image(nth(terms, t), p, ld, c, there, channels)
    store_image(out, p, ldo, c, there, channels, total)


@kernel
def reduce(
    g, ldg, terms, table, parts, count, each, pixels, channels,
    TERMS: tl.constexpr, ALIGNED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Σ g to row 0, and Σ g · term of each term to the rows behind it. A program computes up to TERMS of them."""
    c, first = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(2) * TERMS
    start = tl.program_id(0) * each * P
    rows = count + 1
    for place in tl.static_range(TERMS):
        t = first + place
        if t < count:
            term, ld = nth(terms, t), multiple(tl.load(table + t), ALIGNED)
            total, product = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
            for tile in range(each):
                p = start + tile * P + tl.arange(0, P)
                there = p < pixels
                gradient = load_image(g, p, ldg, c, there, channels)
                product += tl.sum(gradient * load_image(term, p, ld, c, there, channels), 0).to(tl.float64)
                if t == 0:
                    total += tl.sum(gradient, 0).to(tl.float64)
            put(parts, 1 + t, rows, channels, c, product)
            if t == 0:
                put(parts, 0, rows, channels, c, total)


@kernel
def moments(y, ld, parts, each, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Mean and sum of squares around it of this program's pixels: rows 0 and 1."""
    c, start = tl.program_id(1) * C + tl.arange(0, C), tl.program_id(0) * each * P
    before, mean, squares = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64)
    for tile in range(each):
        p = start + tile * P + tl.arange(0, P)
        there = p < pixels
        if start + tile * P < pixels:
            values, count = load_image(y, p, ld, c, there, channels), tl.minimum(pixels - start - tile * P, P)
            before, mean, squares = tile_moments(values, there, count, before, mean, squares)
    put(parts, 0, 2, channels, c, mean)
    put(parts, 1, 2, channels, c, squares)
