"""The Triton kernels for statistics of an image's channels: moments, and batch norm's coefficients.

`spaces/engine/batch_statistics.py` has the mathematics.
What was summed tile by tile, `parts` float64 `[tiles, rows, channels]`, is added
up by one program in a fixed order, in double: no atomics, the same bits every time.
"""

import triton
import triton.language as tl


@triton.jit
def _tile_sum(parts, row, rows, tiles, channels, c, there, TILES: tl.constexpr, C: tl.constexpr):
    """The sum of a row of `parts` over all tiles."""
    total = tl.zeros((C,), tl.float64)
    for start in range(0, tiles, TILES):
        tile = start + tl.arange(0, TILES)
        inside = (tile < tiles)[:, None] & there[None, :]
        at = parts + (tile.to(tl.int64)[:, None] * rows + row) * channels + c[None, :]
        total += tl.sum(tl.load(at, mask=inside, other=0.0), 0)
    return total


@triton.jit
def _channels(channels, C: tl.constexpr):
    """The channels `[C]` of this program, and which of them exist."""
    c = tl.program_id(0) * C + tl.arange(0, C)
    return c, c < channels


@triton.jit
def _row(table, row, width, c, there, WIDE: tl.constexpr):
    """A row of `[rows, channels]`, or of `[rows, 1]`, in double."""
    found = tl.load(table + row * width + c, mask=there, other=0.0) if WIDE else tl.load(table + row)
    return found.to(tl.float64)


@triton.jit
def _inverse_deviation(variance, eps, row, channels, c, there):
    """1 / standard deviation."""
    return 1.0 / tl.sqrt(tl.load(variance + row * channels + c, mask=there, other=1.0) + tl.load(eps + row))


@triton.jit
def merge(
    parts, means, variances, tiles, members, pixels, channels,
    SAME: tl.constexpr, P: tl.constexpr, TILES: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Mean and variance of the whole, from those of tiles of `P` pixels by `moments` (Chan, Golub & LeVeque, 1983).

    Writes those of each member to a place of its own, or those of the only member to all places (SAME).
    """
    c, there = _channels(channels, C)
    member = tl.program_id(1)
    rows = 2 * members
    total = tl.zeros((C,), tl.float64)
    for start in range(0, tiles, TILES):
        tile = start + tl.arange(0, TILES)
        inside = (tile < tiles)[:, None] & there[None, :]
        count = tl.minimum(pixels - tile * P, P).to(tl.float64)[:, None]
        at = parts + (tile.to(tl.int64)[:, None] * rows + 2 * member) * channels + c[None, :]
        total += tl.sum(tl.where(inside, count * tl.load(at, mask=inside, other=0.0), 0.0), 0)
    mean = total / pixels
    squares = tl.zeros((C,), tl.float64)
    for start in range(0, tiles, TILES):
        tile = start + tl.arange(0, TILES)
        inside = (tile < tiles)[:, None] & there[None, :]
        count = tl.minimum(pixels - tile * P, P).to(tl.float64)[:, None]
        at = parts + (tile.to(tl.int64)[:, None] * rows + 2 * member) * channels + c[None, :]
        apart = tl.load(at, mask=inside, other=0.0) - mean[None, :]
        within = tl.load(at + channels, mask=inside, other=0.0)
        squares += tl.sum(tl.where(inside, within + count * apart * apart, 0.0), 0)
    for k in tl.static_range(len(means)):
        if SAME or member == k:
            tl.store(means[k] + c, mean, mask=there)
            tl.store(variances[k] + c, squares / pixels, mask=there)


@triton.jit
def forward_coefficients(
    weights, scale, shift, width, mean, variance, eps, out, rows, channels, WIDE: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """A = w γ s of each row, then Σ (w β - A m): `[rows + 1, channels]`."""
    c, there = _channels(channels, C)
    bias = tl.zeros((C,), tl.float64)
    for row in range(rows):
        weight = tl.load(weights + row)
        scaled = weight * _row(scale, row, width, c, there, WIDE)
        coefficient = scaled * _inverse_deviation(variance, eps, row, channels, c, there)
        m = tl.load(mean + row * channels + c, mask=there, other=0.0)
        bias += weight * _row(shift, row, width, c, there, WIDE) - coefficient * m
        tl.store(out + row * channels + c, coefficient, mask=there)
    tl.store(out + rows * channels + c, bias, mask=there)


@triton.jit
def normalization(mean, variance, eps, scale, shift, out, rows, channels, AFFINE: tl.constexpr, C: tl.constexpr):
    """γ s of each row, and of each β - m γ s: `[2, rows, channels]`."""
    c, there = _channels(channels, C)
    row = tl.program_id(1)
    factor = _inverse_deviation(variance, eps, row, channels, c, there)
    offset = -tl.load(mean + row * channels + c, mask=there, other=0.0) * factor
    if AFFINE:
        gamma = _row(scale, row, channels, c, there, True)
        factor, offset = factor * gamma, offset * gamma + _row(shift, row, channels, c, there, True)
    tl.store(out + row * channels + c, factor, mask=there)
    tl.store(out + (rows + row) * channels + c, offset, mask=there)


@triton.jit
def backward_coefficients(
    parts, tiles, of_parts, weights, scale, shift, width, mean, variance, eps, through, count, out, of_weights,
    of_scale, of_shift, channels, SHARED: tl.constexpr, WEIGHED: tl.constexpr, SCALED: tl.constexpr,
    LEARNT: tl.constexpr, WIDE: tl.constexpr, TILES: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A, B and K of each row, `[rows, 3, channels]`; ∂L/∂w if WEIGHED, ∂L/∂γ and ∂L/∂β if LEARNT.

    The sums are q, then d of each row if q is SHARED; else q and d of each row in turn.
    """
    row = tl.program_id(0)
    total = tl.zeros((C,), tl.float64)
    for start in range(0, channels, C):
        c = start + tl.arange(0, C)
        there = c < channels
        q = _tile_sum(parts, 0 if SHARED else 2 * row, of_parts, tiles, channels, c, there, TILES, C)
        d = _tile_sum(parts, (row if SHARED else 2 * row) + 1, of_parts, tiles, channels, c, there, TILES, C)
        m = tl.load(mean + row * channels + c, mask=there, other=0.0)
        s = _inverse_deviation(variance, eps, row, channels, c, there)
        p = (d - m * q) * s
        of_gradient = s
        if SCALED:
            gamma = _row(scale, row, width, c, there, WIDE)
            of_gradient *= gamma
        if WEIGHED:
            weight = tl.load(weights + row)
            of_gradient *= weight
            total += tl.where(there, gamma * p + _row(shift, row, width, c, there, WIDE) * q, 0.0)
        share = tl.load(through + row) / count
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


@triton.jit
def summed_coefficients(of_gradients, of_values, constants, out, channels, C: tl.constexpr):
    """All A, then the sum of all B and that of all K: `[members + 2, channels]`."""
    c, there = _channels(channels, C)
    of_value = tl.zeros((C,), out.dtype.element_ty)
    constant = tl.zeros((C,), out.dtype.element_ty)
    for k in tl.static_range(len(of_gradients)):
        tl.store(out + k * channels + c, tl.load(of_gradients[k] + c, mask=there), mask=there)
        of_value += tl.load(of_values[k] + c, mask=there, other=0.0)
        constant += tl.load(constants[k] + c, mask=there, other=0.0)
    at = out + len(of_gradients) * channels + c
    tl.store(at, of_value, mask=there)
    tl.store(at + channels, constant, mask=there)


@triton.jit
def tap_sums(parts, out, tiles, rows, channels, TAPS: tl.constexpr, TILES: tl.constexpr, C: tl.constexpr):
    """The sums of rows `[members · TAPS]` over all tiles, to out as kernels are: `[members, channels, TAPS]`."""
    c, there = _channels(channels, C)
    row = tl.program_id(1)
    total = _tile_sum(parts, row, rows, tiles, channels, c, there, TILES, C)
    tl.store(out + (row // TAPS * channels + c) * TAPS + row % TAPS, total, mask=there)
