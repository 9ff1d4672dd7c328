"""The Triton kernels that add up the parts of sums, and batch norm's coefficients.

`spaces/engine/batch_statistics.py` has the mathematics. What was summed part by part, `parts` `[parts, rows,
channels]`, is added up by one program in a fixed order, in double: no atomics, the same bits every time.
"""

import triton
import triton.language as tl

from spaces.engine.triton_kernels.image_kernels import kernel, load_channels, nth


@triton.jit
def _sum_of_parts(parts, row, rows, count, channels, c, PARTS: tl.constexpr, C: tl.constexpr):
    """The sum of a row of `parts` over all of them."""
    total = tl.zeros((C,), tl.float64)
    for start in range(0, count, PARTS):
        part = start + tl.arange(0, PARTS)
        at = parts + (part.to(tl.int64)[:, None] * rows + row) * channels + c[None, :]
        total += tl.sum(tl.load(at, mask=(part < count)[:, None] & (c < channels)[None, :], other=0.0), 0)
    return total


@triton.jit
def _whole_moments(parts, of_part, count, share, pixels, channels, c, PARTS: tl.constexpr, C: tl.constexpr):
    """Mean and variance of the whole from those of `count` parts of `share` pixels (Chan, Golub & LeVeque, 1983).

    A part's mean and sum of squares are two rows; `of_part` elements lie between a part and the next.
    """
    total = tl.zeros((C,), tl.float64)
    for start in range(0, count, PARTS):
        part = start + tl.arange(0, PARTS)
        inside = (part < count)[:, None] & (c < channels)[None, :]
        number = tl.minimum(pixels - part * share, share).to(tl.float64)[:, None]
        at = parts + part.to(tl.int64)[:, None] * of_part + c[None, :]
        total += tl.sum(tl.where(inside, number * tl.load(at, mask=inside, other=0.0), 0.0), 0)
    mean = total / pixels
    squares = tl.zeros((C,), tl.float64)
    for start in range(0, count, PARTS):
        part = start + tl.arange(0, PARTS)
        inside = (part < count)[:, None] & (c < channels)[None, :]
        number = tl.minimum(pixels - part * share, share).to(tl.float64)[:, None]
        at = parts + part.to(tl.int64)[:, None] * of_part + c[None, :]
        apart = tl.load(at, mask=inside, other=0.0) - mean[None, :]
        within = tl.load(at + channels, mask=inside, other=0.0)
        squares += tl.sum(tl.where(inside, within + number * apart * apart, 0.0), 0)
    return mean, squares / pixels


@triton.jit
def _moments_of_row(
    parts, table, mean, variance, row, pixels, channels, c,
    MERGED: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Mean and variance of a row of statistics: as they are or, with MERGED, from its parts; these are written, too.

    A row of `table` has the number of a row's parts (0: it has no norm), the distance of parts, and pixels in each.
    """
    at = row * channels
    if MERGED:
        count, of_part, share = tl.load(table + 3 * row), tl.load(table + 3 * row + 1), tl.load(table + 3 * row + 2)
        m, v = tl.zeros((C,), tl.float64), tl.zeros((C,), tl.float64) + 1.0
        if count > 0:
            m, v = _whole_moments(nth(parts, row), of_part, count, share, pixels, channels, c, PARTS, C)
        tl.store(mean + at + c, m, mask=c < channels)
        tl.store(variance + at + c, v, mask=c < channels)
    else:
        m = load_channels(mean + at, c, channels)
        v = tl.load(variance + at + c, mask=c < channels, other=1.0)
    return m, v


@triton.jit
def _row(table, row, width, c, channels, WIDE: tl.constexpr):
    """A row of `[rows, channels]`, or of `[rows, 1]`, in double."""
    found = load_channels(table + row * width, c, channels) if WIDE else tl.load(table + row)
    return found.to(tl.float64)


@kernel
def forward_coefficients(
    weights, scale, shift, width, parts, table, mean, variance, eps, out, constants, pixels, channels,
    MERGED: tl.constexpr, WIDE: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A = w γ s of each row, and w β - A m: `[rows, channels]` each."""
    row, c = tl.program_id(0), tl.program_id(1) * C + tl.arange(0, C)
    m, v = _moments_of_row(parts, table, mean, variance, row, pixels, channels, c, MERGED, PARTS, C)
    weight = tl.load(weights + row).to(tl.float64)
    coefficient = weight * _row(scale, row, width, c, channels, WIDE) / tl.sqrt(v + tl.load(eps + row))
    constant = weight * _row(shift, row, width, c, channels, WIDE) - coefficient * m
    tl.store(out + row * channels + c, coefficient, mask=c < channels)
    tl.store(constants + row * channels + c, constant, mask=c < channels)


@kernel
def normalization(
    parts, table, mean, variance, eps, scale, shift, out, rows, pixels, channels,
    MERGED: tl.constexpr, AFFINE: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """γ s of each row, and of each β - m γ s: `[2, rows, channels]`."""
    row, c = tl.program_id(0), tl.program_id(1) * C + tl.arange(0, C)
    m, v = _moments_of_row(parts, table, mean, variance, row, pixels, channels, c, MERGED, PARTS, C)
    factor = 1.0 / tl.sqrt(v + tl.load(eps + row))
    offset = -m * factor
    if AFFINE:
        gamma = _row(scale, row, channels, c, channels, True)
        factor, offset = factor * gamma, offset * gamma + _row(shift, row, channels, c, channels, True)
    tl.store(out + row * channels + c, factor, mask=c < channels)
    tl.store(out + (rows + row) * channels + c, offset, mask=c < channels)


@kernel
def backward_coefficients(
    parts, count, of_parts, weights, scale, shift, width, mean, variance, eps, through, pixels, out, of_weights,
    of_scale, of_shift, channels, SHARED: tl.constexpr, WEIGHED: tl.constexpr, SCALED: tl.constexpr,
    LEARNT: tl.constexpr, WIDE: tl.constexpr, PARTS: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A, B and K of each row, `[rows, 3, channels]`; ∂L/∂w if WEIGHED, ∂L/∂γ and ∂L/∂β if LEARNT.

    The sums are q, then d of each row if q is SHARED; else q and d of each row in turn.
    """
    row = tl.program_id(0)
    total = tl.zeros((C,), tl.float64)
    for start in range(0, channels, C):
        c = start + tl.arange(0, C)
        there = c < channels
        q = _sum_of_parts(parts, 0 if SHARED else 2 * row, of_parts, count, channels, c, PARTS, C)
        d = _sum_of_parts(parts, (row if SHARED else 2 * row) + 1, of_parts, count, channels, c, PARTS, C)
        m = load_channels(mean + row * channels, c, channels)
        v = tl.load(variance + row * channels + c, mask=there, other=1.0)
        s = 1.0 / tl.sqrt(v + tl.load(eps + row))
        p = (d - m * q) * s
        of_gradient = s
        if SCALED:
            gamma = _row(scale, row, width, c, channels, WIDE)
            of_gradient *= gamma
        if WEIGHED:
            weight = tl.load(weights + row).to(tl.float64)
            of_gradient *= weight
            total += tl.where(there, gamma * p + _row(shift, row, width, c, channels, WIDE) * q, 0.0)
        share = tl.load(through + row) / pixels
        of_value = -of_gradient * s * p * share
        at = out + 3 * row * channels + c
        tl.store(at, of_gradient, mask=there)
        tl.store(at + channels, of_value, mask=there)
        tl.store(at + 2 * channels, -of_gradient * q * share - of_value * m, mask=there)
        if LEARNT:
            at = row * channels + c
            tl.store(of_scale + at, weight * p if WEIGHED else p, mask=there)
            tl.store(of_shift + at, weight * q if WEIGHED else q, mask=there)
    if WEIGHED:
        tl.store(of_weights + row, tl.sum(total, 0))


@kernel
def running_rows(mean, variance, rows, out, count, normed, channels, C: tl.constexpr):
    """The means and unbiased variances of these `rows` of statistics, as running statistics have them.

    `[2, normed, channels]`.
    """
    place, c = tl.program_id(0), tl.program_id(1) * C + tl.arange(0, C)
    at = tl.load(rows + place) * channels + c
    unbiased = tl.load(variance + at, mask=c < channels, other=0.0) * count / tl.maximum(count - 1, 1)
    tl.store(out + place * channels + c, tl.load(mean + at, mask=c < channels, other=0.0), mask=c < channels)
    tl.store(out + (normed + place) * channels + c, unbiased, mask=c < channels)


@kernel
def sum_of_weights(memories, outs, table, SPLITS: tl.constexpr, E: tl.constexpr):
    """The gradients of kernels from their parts, `[splits, elements]` in the memory of each.

    A row of `table` is a kernel: where its elements begin and how many they are; the second and the third of its three
    dimensions; the strides of all three in its gradient; splits and elements.
    """
    form, parts = table + tl.program_id(1) * 9, nth(memories, tl.program_id(1))
    size, second, third = tl.load(form + 1), tl.load(form + 2), tl.load(form + 3)
    splits, elements = tl.load(form + 7), tl.load(form + 8)
    e = tl.program_id(0) * E + tl.arange(0, E)
    total = tl.zeros((E,), tl.float64)
    for start in range(0, splits, SPLITS):
        split = start + tl.arange(0, SPLITS)
        at = parts + split.to(tl.int64)[:, None] * elements + (tl.load(form) + e)[None, :]
        inside = (split < splits)[:, None] & (e < size)[None, :]
        total += tl.sum(tl.load(at, mask=inside, other=0.0).to(tl.float64), 0)
    at = e // (second * third) * tl.load(form + 4) + e // third % second * tl.load(form + 5)
    at += e % third * tl.load(form + 6)
    tl.store(nth(outs, tl.program_id(1)) + at, total, mask=e < size)
