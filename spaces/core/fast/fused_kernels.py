"""The kernels of `fused.py`, in Triton.

Images are pixels by channels here: `ld` elements lie between a pixel and the next (so that a tensor may be a slice of
wider ones), the channels of a pixel side by side. A program takes a tile of `P` pixels and `C` channels. What is
summed over a batch is summed tile by tile, and the tiles' sums, in double, in a fixed order and by one program: no
atomics, the same bits every time.
"""

import triton
import triton.language as tl


@triton.jit
def _tile(pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Pixels `[P, 1]` and channels `[1, C]` of this program, and which of them there are."""
    p = (tl.program_id(0).to(tl.int64) * P + tl.arange(0, P))[:, None]
    c = (tl.program_id(1) * C + tl.arange(0, C))[None, :]
    return p, c, (p < pixels) & (c < channels)


@triton.jit
def _put(parts, row, rows, channels, values, C: tl.constexpr):
    """Write a tile's `values` `[C]` to its place in `parts`, float64 `[tiles, rows, channels]`."""
    c = tl.program_id(1) * C + tl.arange(0, C)
    at = parts + (tl.program_id(0).to(tl.int64) * rows + row) * channels + c
    tl.store(at, values.to(tl.float64), mask=c < channels)


@triton.jit
def combine(
    terms, lds, coefficients, bias, out, ldo, pixels, channels,
    BIASED: tl.constexpr, ADDED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Write to out, or add, bias + Σ coefficient · term."""
    p, c, inside = _tile(pixels, channels, P, C)
    at = out + p * ldo + c
    total = tl.load(at, mask=inside, other=0.0) if ADDED else tl.zeros((P, C), out.dtype.element_ty)
    if BIASED:
        total += tl.load(bias + c, mask=c < channels, other=0.0)
    for t in tl.static_range(len(terms)):
        coefficient = tl.load(coefficients + t * channels + c, mask=c < channels, other=0.0)
        total += coefficient * tl.load(terms[t] + p * lds[t] + c, mask=inside, other=0.0)
    tl.store(at, total, mask=inside)


@triton.jit
def reduce(
    g, ldg, terms, lds, parts, first, rows, pixels, channels,
    WITH_G: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Each tile's Σ g · term, to the rows from `first` on; and its Σ g, to row 0."""
    p, c, inside = _tile(pixels, channels, P, C)
    slope = tl.load(g + p * ldg + c, mask=inside, other=0.0)
    if WITH_G:
        _put(parts, 0, rows, channels, tl.sum(slope, 0), C)
    for t in tl.static_range(len(terms)):
        product = slope * tl.load(terms[t] + p * lds[t] + c, mask=inside, other=0.0)
        _put(parts, first + t, rows, channels, tl.sum(product, 0), C)


@triton.jit
def moments(ys, lds, parts, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Each tile's mean of each of `ys` and its sum of squares around that: rows 2k and 2k + 1."""
    p, c, inside = _tile(pixels, channels, P, C)
    count = tl.minimum(pixels - tl.program_id(0) * P, P)
    for k in tl.static_range(len(ys)):
        if tl.program_id(2) == k:
            y = tl.load(ys[k] + p * lds[k] + c, mask=inside, other=0.0)
            mean = tl.sum(y, 0) / count.to(y.dtype)
            apart = tl.where(inside, y - mean[None, :], 0.0)
            _put(parts, 2 * k, 2 * len(ys), channels, mean, C)
            _put(parts, 2 * k + 1, 2 * len(ys), channels, tl.sum(apart * apart, 0), C)


@triton.jit
def merge(
    parts, means, variances, tiles, pixels, channels, P: tl.constexpr, TILES: tl.constexpr, C: tl.constexpr
):  # fmt: skip
    """Mean and variance of the whole, of what `moments` found in tiles of `P` pixels (Chan, Golub & LeVeque, 1983)."""
    c = tl.program_id(1) * C + tl.arange(0, C)
    member = tl.program_id(2)
    rows = 2 * len(means)
    total = tl.zeros((C,), tl.float64)
    for start in range(0, tiles, TILES):
        tile = start + tl.arange(0, TILES)
        inside = (tile < tiles)[:, None] & (c < channels)[None, :]
        count = tl.minimum(pixels - tile * P, P).to(tl.float64)[:, None]
        at = parts + (tile.to(tl.int64)[:, None] * rows + 2 * member) * channels + c[None, :]
        total += tl.sum(tl.where(inside, count * tl.load(at, mask=inside, other=0.0), 0.0), 0)
    mean = total / pixels
    squares = tl.zeros((C,), tl.float64)
    for start in range(0, tiles, TILES):
        tile = start + tl.arange(0, TILES)
        inside = (tile < tiles)[:, None] & (c < channels)[None, :]
        count = tl.minimum(pixels - tile * P, P).to(tl.float64)[:, None]
        at = parts + (tile.to(tl.int64)[:, None] * rows + 2 * member) * channels + c[None, :]
        apart = tl.load(at, mask=inside, other=0.0) - mean[None, :]
        within = tl.load(at + channels, mask=inside, other=0.0)
        squares += tl.sum(tl.where(inside, within + count * apart * apart, 0.0), 0)
    for k in tl.static_range(len(means)):
        if member == k:
            tl.store(means[k] + c, mean, mask=c < channels)
            tl.store(variances[k] + c, squares / pixels, mask=c < channels)


@triton.jit
def slopes(gs, ldgs, ys, ldys, coefficients, out, ldo, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """A g + B y + K of each member, side by side in out; `coefficients` are `[members, 3, channels]`."""
    p, c, inside = _tile(pixels, channels, P, C)
    for k in tl.static_range(len(gs)):
        if tl.program_id(2) == k:
            at = coefficients + 3 * k * channels + c
            of_gradient = tl.load(at, mask=c < channels, other=0.0)
            of_value = tl.load(at + channels, mask=c < channels, other=0.0)
            constant = tl.load(at + 2 * channels, mask=c < channels, other=0.0)
            g = tl.load(gs[k] + p * ldgs[k] + c, mask=inside, other=0.0)
            y = tl.load(ys[k] + p * ldys[k] + c, mask=inside, other=0.0)
            tl.store(out + p * ldo + k * channels + c, of_gradient * g + of_value * y + constant, mask=inside)


@triton.jit
def _normed(x, scale, shift, c, channels, NORMED: tl.constexpr):
    if NORMED:
        x = x * tl.load(scale + c, mask=c < channels, other=0.0) + tl.load(shift + c, mask=c < channels, other=0.0)
    return x


@triton.jit
def rectify(x, ld, scale, shift, out, pixels, channels, NORMED: tl.constexpr, P: tl.constexpr, C: tl.constexpr):
    """Write relu(scale · x + shift) to out, without gaps between pixels."""
    p, c, inside = _tile(pixels, channels, P, C)
    value = _normed(tl.load(x + p * ld + c, mask=inside, other=0.0), scale, shift, c, channels, NORMED)
    tl.store(out + p * channels + c, tl.where(value <= 0, 0.0, value), mask=inside)  # what is not a number stays


@triton.jit
def rectify_backward(
    slope, x, ld, scale, shift, gx, ldg, parts, pixels, channels,
    NORMED: tl.constexpr, ADDED: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to gx what of slope passes the ReLU of scale · x + shift; or write it, and each tile's Σ gx and Σ gx · x."""
    p, c, inside = _tile(pixels, channels, P, C)
    value = tl.load(x + p * ld + c, mask=inside, other=0.0)
    passed = tl.load(slope + p * channels + c, mask=inside, other=0.0)
    passed = tl.where(_normed(value, scale, shift, c, channels, NORMED) <= 0, 0.0, passed)
    at = gx + p * ldg + c
    if ADDED:
        tl.store(at, passed + tl.load(at, mask=inside, other=0.0), mask=inside)
    else:
        tl.store(at, passed, mask=inside)
        _put(parts, 0, 2, channels, tl.sum(passed, 0), C)
        _put(parts, 1, 2, channels, tl.sum(passed * value, 0), C)


@triton.jit
def pool(
    x, ld, out, which, pixels, channels, height, width, down, across,
    STRIDE: tl.constexpr, LARGEST: tl.constexpr, PLACES: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Maximum or mean of 3 x 3 windows, of stride STRIDE, to `out` `[pixels, channels]`, pixels of `down` x `across`.

    With PLACES instead the place of the maximum in its window, 0 … 8, to `which`: the first if there are several, and
    the last that is not a number if there is such.
    """
    p, c, inside = _tile(pixels, channels, P, C)
    image, row, column = p // (down * across), p // across % down, p % across
    best = tl.full((P, C), float("-inf") if LARGEST else 0.0, x.dtype.element_ty)
    place = tl.full((P, C), -1, tl.int32)
    count = tl.zeros((P, C), x.dtype.element_ty)
    for k in tl.static_range(9):
        y, z = row * STRIDE + k // 3 - 1, column * STRIDE + k % 3 - 1
        there = inside & (y >= 0) & (y < height) & (z >= 0) & (z < width)
        value = tl.load(x + ((image * height + y) * width + z) * ld + c, mask=there, other=0.0)
        if LARGEST:
            taken = there & ((value > best) | (value != value) | (place < 0))
            best = tl.where(taken, value, best)
            place = tl.where(taken, k, place)
        else:
            best += value
            count += there.to(count.dtype)
    if PLACES:
        tl.store(which + p * channels + c, place.to(tl.int8), mask=inside)
    else:
        # Outside the image nothing is stored, so there a count of none does no harm.
        tl.store(out + p * channels + c, best if LARGEST else best / tl.maximum(count, 1.0), mask=inside)


@triton.jit
def pool_backward(
    slope, which, gx, ldg, pixels, channels, height, width, down, across,
    STRIDE: tl.constexpr, LARGEST: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to gx what comes back from the windows, of `down` x `across` an image, that each pixel lies in."""
    p, c, inside = _tile(pixels, channels, P, C)
    image, row, column = p // (height * width), p // width % height, p % width
    at = gx + p * ldg + c
    total = tl.load(at, mask=inside, other=0.0)
    for k in tl.static_range(9):
        # Twice over where the stride is 2: only whole numbers are windows.
        y, z = row + 1 - k // 3, column + 1 - k % 3
        there = inside & (y >= 0) & (z >= 0) & (y % STRIDE == 0) & (z % STRIDE == 0)
        y, z = y // STRIDE, z // STRIDE
        there = there & (y < down) & (z < across)
        window = ((image * down + y) * across + z) * channels + c
        value = tl.load(slope + window, mask=there, other=0.0)
        if LARGEST:
            total += tl.where(tl.load(which + window, mask=there, other=-1) == k, value, 0.0)
        else:
            rows = tl.minimum(y * STRIDE + 2, height) - tl.maximum(y * STRIDE - 1, 0)
            columns = tl.minimum(z * STRIDE + 2, width) - tl.maximum(z * STRIDE - 1, 0)
            total += tl.where(there, value / tl.maximum(rows * columns, 1).to(value.dtype), 0.0)
    tl.store(at, total, mask=inside)
