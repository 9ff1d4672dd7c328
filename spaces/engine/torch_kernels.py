"""The pieces that a fast cell is made of, in plain torch: they run on every device, in every precision.

Images are `[N, H, W, C]` here, channels innermost; a tensor may be a slice of the channels of a wider one. Statistics
and sums over a batch are float64 `[C]`, or `[terms, C]`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.operations import standard_layout
from spaces.engine.torch_statistics import Slope
from spaces.engine.torch_statistics import coefficients as coefficients  # the rest of the family
from spaces.engine.torch_statistics import joined as joined
from spaces.engine.torch_statistics import normalising as normalising
from spaces.engine.torch_statistics import slopes as slopes

AT_ONCE = 1  # members of a group of separable convolutions on the way back: each has images of its own meanwhile


class Form(NamedTuple):
    """The shape of a depthwise kernel: its size, dilation and stride; padded to keep the size at stride 1."""

    kernel: int
    dilation: int
    stride: int


class Half(NamedTuple):
    """Half a separable convolution: relu(scale · x + shift), or relu(x) without a scale, through its two kernels."""

    x: Tensor
    scale: Tensor | None
    shift: Tensor | None
    depthwise: Tensor
    pointwise: Tensor
    form: Form


class Pointwise(NamedTuple):
    """A value that is not stored: relu(x) through a 1x1 convolution."""

    x: Tensor
    weight: Tensor


class Mean(NamedTuple):
    """A value that is not stored: the mean of 3 x 3 windows of x, at stride 1."""

    x: Tensor


Value = Tensor | Pointwise | Mean


class Weighed(NamedTuple):
    """Images, and for each a coefficient a channel `[C]`."""

    images: Sequence[Tensor]
    coefficients: Sequence[Tensor]


def evaluate(value: Value) -> Tensor:
    """The image `[N, H, W, C]` that a value is."""
    match value:
        case Pointwise(x, weight):
            return pixels(F.conv2d(planes(rectify(x)), weight))
        case Mean(x):
            return pool(x, 1, largest=False)
    return value


def planes(x: Tensor) -> Tensor:
    """`[N, H, W, C]` as torch's operations want it, `[N, C, H, W]`, without a copy."""
    return x.permute(0, 3, 1, 2)


def pixels(x: Tensor) -> Tensor:
    """`[N, C, H, W]` as the pieces here want it, `[N, H, W, C]`, channels innermost."""
    return x.permute(0, 2, 3, 1).contiguous()


def spacing(x: Tensor) -> int:
    """The distance between two pixels of `x` [N, H, W, C], which may be a slice of wider images."""
    if x.is_contiguous():
        return x.shape[-1]
    # The stride of a dimension of size 1 says nothing.
    return next(x.stride(dimension) for dimension in (2, 1, 0) if x.shape[dimension] > 1)


def spacings(images: Sequence[Value]) -> tuple[int, ...]:
    """Of images that are all stored."""
    return tuple(spacing(cast(Tensor, image)) for image in images)


def moments(y: Tensor, means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """Write the mean and the (biased) variance of each channel, to each place that wants them."""
    found = torch.var_mean(y, (0, 1, 2), correction=0)
    for mean, variance in zip(means, variances, strict=True):
        variance.copy_(found[0])
        mean.copy_(found[1])


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """Σ g, then Σ g · term for each term, over all pixels: float64 `[1 + terms, C]`.

    Then, for each term that is `Pointwise`, Σ g relu(x)ᵀ: float64 `[C, C]`.
    """
    sums = torch.stack([g.sum((0, 1, 2)), *((g * evaluate(term)).sum((0, 1, 2)) for term in terms)]).double()
    flat = g.flatten(0, 2).T.double()
    return sums, [
        flat @ rectify(term.x).flatten(0, 2).double() if isinstance(term, Pointwise) else None for term in terms
    ]


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """The sum bias + Σ coefficient · term written to out, for coefficients `[terms, C]`; added to `out` if so asked."""
    if not accumulate:
        out.zero_()
    if bias is not None:
        out.add_(bias)
    for term, coefficient in zip(terms, coefficients, strict=True):
        out.addcmul_(evaluate(term), coefficient)


def rectify(x: Tensor) -> Tensor:
    """ReLU."""
    return F.relu(x).contiguous()


def rectify_backward(grad_output: Tensor, x: Tensor, gx: Tensor) -> None:
    """Add to gx what of `grad_output` passes a ReLU of x."""
    gx.add_(grad_output.masked_fill(x <= 0, 0.0))


def _pooled(x: Tensor, stride: int, largest: bool) -> Tensor:
    """`[N, C, H, W]` to `[N, C, H', W']`."""
    if largest:
        return F.max_pool2d(x, 3, stride, padding=1)
    return F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)


def pool(x: Tensor, stride: int, *, largest: bool) -> Tensor:
    """Maximum or mean of 3 x 3 windows, the padding not counted."""
    return pixels(_pooled(planes(x), stride, largest))


def pool_backward(grad_output: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool) -> None:
    """Add to gx the gradient of `pool` at x."""
    with torch.enable_grad():
        # With channels innermost, torch's own gradient is wrong on CUDA (`operations.pool_input`).
        leaf = standard_layout(planes(x.detach())).requires_grad_()
        (found,) = torch.autograd.grad(_pooled(leaf, stride, largest), leaf, planes(grad_output))
    planes(gx).add_(found)


def mean(x: Tensor) -> Tensor:
    """The mean of 3 x 3 windows at stride 1; empty where these kernels want a `Mean` instead."""
    return pool(x, 1, largest=False)


def dense(
    x: Tensor, weights: Sequence[Tensor], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> tuple[list[Tensor], Tensor | None]:
    """A convolution of relu(x), of stride 1, for each of `weights`; mean and variance of each written if asked for.

    A value is empty where these kernels want a `Pointwise` instead. Last what `dense_backward` then wants to know: the
    sum of relu(x) and of its products between channels, float64 `[1 + C, C]`.
    """
    rectified = rectify(x)
    out: list[Tensor] = [x] * len(weights)
    for places, stacked in stacks(weights):
        value = pixels(F.conv2d(planes(rectified), stacked, padding=stacked.shape[-1] // 2))
        for place, y in zip(places, value.chunk(len(places), -1), strict=True):
            out[place] = y
            if means is not None and variances is not None:
                moments(y, [means[place]], [variances[place]])
    return out, None


def dense_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    slopes: Sequence[Slope],
    x: Tensor,
    weights: Sequence[Tensor],
    gx: Tensor,
    *,
    second: Tensor | None,
    products: Sequence[Tensor | None],
    whole: Weighed,
    means: Weighed,
    accumulate: bool,
    of_weights: bool,
) -> list[Tensor | None]:
    """Write to gx, or add, the gradient of `dense`, whose results were `values`, where A g + B y + K comes to each.

    And that of x itself, to which the images of `whole` come back, and of the `Mean` of x, of `means`. `second` and
    `products` are what `dense` and `reduce` found. Returns the gradients of `weights` if they are asked for.
    """
    combine(*whole, None, gx, accumulate=accumulate)
    if means.images:
        total = torch.empty_like(x)
        combine(*means, None, total)
        pool_backward(total, x, x, 1, gx, largest=False)
    if not weights:
        return []
    rectified = rectify(x)
    found: list[Tensor | None] = [None] * len(weights)
    for places, stacked in stacks(weights):
        back = torch.cat([_back(gradients[place], values[place], slopes[place]) for place in places], -1)
        padding = [stacked.shape[-1] // 2] * 2
        of_x, of_stacked, _ = convolution_backward(
            planes(back), planes(rectified), stacked, 1, padding, 1, 1, of_weights
        )
        rectify_backward(pixels(of_x), x, gx)
        if of_stacked is not None:
            for place, of_weight in zip(places, of_stacked.chunk(len(places)), strict=True):
                found[place] = of_weight
    return found


def stacks(weights: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """The kernels of each size, one convolution's worth: their places and all of them together."""
    for size in sorted({weight.shape[-1] for weight in weights}):
        places = [place for place, weight in enumerate(weights) if weight.shape[-1] == size]
        yield places, torch.cat([weights[place] for place in places]) if len(places) > 1 else weights[places[0]]


def _back(g: Tensor, y: Tensor, grad_output: Slope) -> Tensor:
    return grad_output.of_gradient * g + grad_output.of_value * y + grad_output.constant


def _rectified(half: Half) -> Tensor:
    x, scale, shift = half[:3]
    return F.relu(x if scale is None or shift is None else x * scale + shift)


def _depthwise(x: Tensor, weight: Tensor, form: Form) -> Tensor:
    padding = form.dilation * (form.kernel // 2)
    return F.conv2d(planes(x), weight, None, form.stride, padding, form.dilation, groups=x.shape[-1])


def separable(
    halves: Sequence[Half], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> list[Tensor]:
    """The values of halves whose images have one shape; mean and variance of each written if asked for."""
    out = []
    for place, half in enumerate(halves):
        y = separated(_rectified(half), half.depthwise, half.pointwise, half.form)
        if means is not None and variances is not None:
            moments(y, [means[place]], [variances[place]])
        out.append(y)
    return out


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    slopes: Sequence[Slope],
    halves: Sequence[Half],
    gx: Tensor | Sequence[Tensor],
    *,
    weights: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """The gradients of `separable`, whose results were the values, where A g + B y + K comes back to each.

    Writes dL/d(scale · x + shift) of each half to its gx and returns Σ gx and Σ gx · x of each in turn, `[2 · halves,
    C]` (see `slopes`). Or adds what comes back to one gx, if all halves are of one x without a scale. Then the
    gradients of both kernels of each half, if `weights` are asked for.
    """
    sums: list[Tensor] = []
    found: list[Tensor | None] = []
    for place, (g, y, grad_output, half) in enumerate(zip(gradients, values, slopes, halves, strict=True)):
        rectified = _rectified(half)
        back = _back(g, y, grad_output)
        of_input, *of_kernels = separated_backward(back, rectified, half.depthwise, half.pointwise, half.form, weights)
        passed = of_input.masked_fill(rectified <= 0, 0.0)
        found += of_kernels
        if isinstance(gx, Tensor):
            gx.add_(passed)
        else:
            gx[place].copy_(passed)
            sums.append(reduce(gx[place], [half.x])[0])
    return torch.cat(sums) if sums else None, found


def separated(x: Tensor, depthwise: Tensor, pointwise: Tensor, form: Form) -> Tensor:
    """pointwise(depthwise(x))."""
    return pixels(F.conv2d(_depthwise(x, depthwise, form), pointwise))


def separated_backward(
    back: Tensor, x: Tensor, depthwise: Tensor, pointwise: Tensor, form: Form, weights: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of `separated` at x, and at both kernels if `weights` are asked for."""
    padding = [form.dilation * (form.kernel // 2)] * 2
    middle = _depthwise(x, depthwise, form)
    of_middle, of_pointwise, _ = convolution_backward(planes(back), middle, pointwise, 1, [0, 0], 1, 1, weights)
    if form.stride == 1:
        # The transpose of a depthwise convolution is one with its kernel flipped, which libraries do much faster.
        of_x = _depthwise(pixels(of_middle), depthwise.flip(2, 3), form)
        _, of_depthwise, _ = convolution_backward(
            of_middle, planes(x), depthwise, 1, padding, form.dilation, x.shape[-1], weights, inputs=False
        )
    else:
        of_x, of_depthwise, _ = convolution_backward(
            of_middle, planes(x), depthwise, form.stride, padding, form.dilation, x.shape[-1], weights
        )
    return pixels(of_x), of_depthwise, of_pointwise


def convolution_backward(
    grad_output: Tensor,
    x: Tensor,
    weight: Tensor,
    stride: int,
    padding: Sequence[int],
    dilation: int,
    groups: int,
    weights: bool,
    *,
    inputs: bool = True,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of a convolution without bias at x and, if they are asked for, at its `weights`; then None."""
    if not inputs and not weights:
        return grad_output, None, None
    found: tuple[Tensor, Tensor | None, Tensor | None] = torch.ops.aten.convolution_backward(
        grad_output,
        x,
        weight,
        None,
        [stride] * 2,
        padding,
        [dilation] * 2,
        False,
        [0, 0],
        groups,
        [inputs, weights, False],
    )
    return found
