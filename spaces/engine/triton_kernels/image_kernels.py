"""The Triton kernels that pass over images; `depthwise_kernels.py` has those of depthwise convolutions.

Images are pixels by channels here: `ld` elements lie between a pixel and the next (so that a tensor may be a slice of
wider ones), the channels of a pixel side by side. A program takes a tile of `P` pixels and `C` channels. Sums
over a batch are taken tile by tile; `statistics_kernels.py` adds up the tiles' sums.
"""

import triton
import triton.language as tl


@triton.jit
def tile_of(pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Pixels `[P, 1]` and channels `[1, C]` of this program, and which of them exist."""
    p = (tl.program_id(0).to(tl.int64) * P + tl.arange(0, P))[:, None]
    c = (tl.program_id(1) * C + tl.arange(0, C))[None, :]
    return p, c, (p < pixels) & (c < channels)


@triton.jit
def put(parts, row, rows, channels, values, C: tl.constexpr):
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
    p, c, inside = tile_of(pixels, channels, P, C)
    at = out + p * ldo + c
    total = tl.load(at, mask=inside, other=0.0) if ADDED else tl.zeros((P, C), out.dtype.element_ty)
    if BIASED:
        total += tl.load(bias + c, mask=c < channels, other=0.0)
    for t in tl.static_range(len(terms)):
        coefficient = tl.load(coefficients[t] + c, mask=c < channels, other=0.0)
        total += coefficient * tl.load(terms[t] + p * lds[t] + c, mask=inside, other=0.0)
    tl.store(at, total, mask=inside)


@triton.jit
def reduce(
    g, ldg, terms, lds, parts, first, rows, pixels, channels,
    WITH_G: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Each tile's Σ g · term, to the rows from `first` on; and its Σ g, to row 0."""
    p, c, inside = tile_of(pixels, channels, P, C)
    grad_output = tl.load(g + p * ldg + c, mask=inside, other=0.0)
    if WITH_G:
        put(parts, 0, rows, channels, tl.sum(grad_output, 0), C)
    for t in tl.static_range(len(terms)):
        product = grad_output * tl.load(terms[t] + p * lds[t] + c, mask=inside, other=0.0)
        put(parts, first + t, rows, channels, tl.sum(product, 0), C)


@triton.jit
def moments(ys, lds, parts, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Each tile's mean of each of `ys` and its sum of squares around that: rows 2k and 2k + 1."""
    p, c, inside = tile_of(pixels, channels, P, C)
    count = tl.minimum(pixels - tl.program_id(0) * P, P)
    for k in tl.static_range(len(ys)):
        if tl.program_id(2) == k:
            y = tl.load(ys[k] + p * lds[k] + c, mask=inside, other=0.0)
            mean = tl.sum(y, 0) / count.to(y.dtype)
            apart = tl.where(inside, y - mean[None, :], 0.0)
            put(parts, 2 * k, 2 * len(ys), channels, mean, C)
            put(parts, 2 * k + 1, 2 * len(ys), channels, tl.sum(apart * apart, 0), C)


@triton.jit
def through_norm(
    gs, ldgs, ys, ldys, of_gradients, of_values, constants, outs, ldo, pixels, channels,
    P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """A g + B y + K of each member, to its out."""
    p, c, inside = tile_of(pixels, channels, P, C)
    there = c < channels
    for k in tl.static_range(len(gs)):
        if tl.program_id(2) == k:
            of_gradient = tl.load(of_gradients[k] + c, mask=there, other=0.0)
            of_value = tl.load(of_values[k] + c, mask=there, other=0.0)
            constant = tl.load(constants[k] + c, mask=there, other=0.0)
            g = tl.load(gs[k] + p * ldgs[k] + c, mask=inside, other=0.0)
            y = tl.load(ys[k] + p * ldys[k] + c, mask=inside, other=0.0)
            tl.store(outs[k] + p * ldo + c, of_gradient * g + of_value * y + constant, mask=inside)


@triton.jit
def rectify(x, ld, out, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Write relu(x) to out, without gaps between pixels."""
    p, c, inside = tile_of(pixels, channels, P, C)
    value = tl.load(x + p * ld + c, mask=inside, other=0.0)
    tl.store(out + p * channels + c, rectified(value), mask=inside)


@triton.jit
def rectified(x):
    """ReLU; NaN stays NaN."""
    return tl.where(x <= 0, 0.0, x)


@triton.jit
def rectify_backward(grad_outputs, x, ld, gx, ldg, pixels, channels, P: tl.constexpr, C: tl.constexpr):
    """Add the gradient of the ReLU of x, for the sum of all grad_outputs, to gx."""
    p, c, inside = tile_of(pixels, channels, P, C)
    value = tl.load(x + p * ld + c, mask=inside, other=0.0)
    total = tl.load(grad_outputs[0] + p * channels + c, mask=inside, other=0.0)
    for k in tl.static_range(1, len(grad_outputs)):
        total += tl.load(grad_outputs[k] + p * channels + c, mask=inside, other=0.0)
    at = gx + p * ldg + c
    tl.store(at, tl.where(value <= 0, 0.0, total) + tl.load(at, mask=inside, other=0.0), mask=inside)


@triton.jit
def pool(
    x, ld, out, which, pixels, channels, height, width, down, across,
    STRIDE: tl.constexpr, LARGEST: tl.constexpr, PLACES: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Maximum or mean of 3 x 3 windows, of stride STRIDE, to `out` `[pixels, channels]`, pixels of `down` x `across`.

    With PLACES, write instead the place of the maximum in its window, 0 … 8, to `which`: the first of several, or the
    last NaN if there is one.
    """
    p, c, inside = tile_of(pixels, channels, P, C)
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
        # Outside the image nothing is stored, so a count of 0 does no harm there.
        tl.store(out + p * channels + c, best if LARGEST else best / tl.maximum(count, 1.0), mask=inside)


@triton.jit
def pool_backward(
    grad_output, which, gx, ldg, pixels, channels, height, width, down, across,
    STRIDE: tl.constexpr, LARGEST: tl.constexpr, P: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Add to gx the gradients of the windows, `down` x `across` in each image, that each pixel lies in."""
    p, c, inside = tile_of(pixels, channels, P, C)
    image, row, column = p // (height * width), p // width % height, p % width
    at = gx + p * ldg + c
    total = tl.load(at, mask=inside, other=0.0)
    for k in tl.static_range(9):
        # In units of 1 / stride: at stride 2 only even places are windows.
        y, z = row + 1 - k // 3, column + 1 - k % 3
        there = inside & (y >= 0) & (z >= 0) & (y % STRIDE == 0) & (z % STRIDE == 0)
        y, z = y // STRIDE, z // STRIDE
        there = there & (y < down) & (z < across)
        window = ((image * down + y) * across + z) * channels + c
        value = tl.load(grad_output + window, mask=there, other=0.0)
        if LARGEST:
            total += tl.where(tl.load(which + window, mask=there, other=-1) == k, value, 0.0)
        else:
            rows = tl.minimum(y * STRIDE + 2, height) - tl.maximum(y * STRIDE - 1, 0)
            columns = tl.minimum(z * STRIDE + 2, width) - tl.maximum(z * STRIDE - 1, 0)
            total += tl.where(there, value / tl.maximum(rows * columns, 1).to(value.dtype), 0.0)
    tl.store(at, total, mask=inside)
