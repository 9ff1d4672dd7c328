"""The kernels in plain torch: they run on every device, in every precision. They implement `Kernels`."""

import sys
from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.operations import standard_layout
from spaces.engine import torch_reductions
from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    DepthwiseShape,
    Mean,
    Moments,
    Pointwise,
    PoolGradient,
    SeparableStage,
    Value,
    channels_first,
    channels_last,
)
from spaces.engine.kernels import Kernels, WeightGradients
from spaces.engine.torch_reductions import Pairs, convolution_backward
from spaces.engine.torch_statistics import backward_coefficients as backward_coefficients  # the rest of the family
from spaces.engine.torch_statistics import forward_coefficients as forward_coefficients
from spaces.engine.torch_statistics import normalization as normalization
from spaces.engine.torch_statistics import running_rows as running_rows

NAME = "plain torch"
FILLS_STATISTICS = False
JOINS_INPUTS = False
AT_ONCE = 1


def obstacle(device: str, dtype: torch.dtype, channels: int) -> str:
    """See `Kernels.obstacle`. There is none."""
    return ""


def evaluate(value: Value) -> Tensor:
    """A value as an image `[N, H, W, C]`, computed if it is not stored."""
    match value:
        case Pointwise(x, weight):
            return channels_last(F.conv2d(channels_first(rectify(x)), weight))
        case Mean(x):
            return mean(x)
    return value


class AtOnce:
    """Gradients of kernels that are computed as they are requested. Implements `WeightGradients`."""

    def finish(self) -> None:
        """Nothing is left."""


def weight_gradients() -> AtOnce:
    """See `Kernels.weight_gradients`."""
    return AtOnce()


def moments(y: Tensor, into: Moments) -> None:
    """See `Kernels.moments`."""
    found = torch.var_mean(y, (0, 1, 2), correction=0)
    for mean, variance in zip(into.means, into.variances, strict=True):
        variance.copy_(found[0])
        mean.copy_(found[1])


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `Kernels.reduce`."""
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
    """See `Kernels.combine`."""
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
    """Add the gradient of the ReLU of x to gx."""
    gx.add_(grad_output.masked_fill(x <= 0, 0.0))


def _pooled(x: Tensor, stride: int, largest: bool) -> Tensor:
    """`[N, C, H, W]` to `[N, C, H', W']`."""
    if largest:
        return F.max_pool2d(x, 3, stride, padding=1)
    return F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)


def pools(
    xs: Sequence[Tensor], largest: Sequence[bool], stride: int, into: Sequence[Moments] | None
) -> tuple[list[Tensor], list[Tensor | None]]:
    """See `Kernels.pools`. Saves nothing."""
    values = [
        channels_last(_pooled(channels_first(x), stride, of_largest)) for x, of_largest in zip(xs, largest, strict=True)
    ]
    for value, rows in zip(values, into or (), strict=False):
        moments(value, rows)
    return values, [None] * len(values)


def pools_backward(pools: Sequence[PoolGradient], stride: int) -> None:
    """See `Kernels.pools_backward`."""
    for gradients, coefficients, x, value, _, largest, gx in pools:
        total = torch_reductions.summed_gradient(_family(), gradients, coefficients, value)
        _transposed_pool(total, x, stride, gx, largest)


def _family() -> Kernels:
    return cast(Kernels, sys.modules[__name__])


def _transposed_pool(grad_output: Tensor, x: Tensor, stride: int, gx: Tensor, largest: bool) -> None:
    with torch.enable_grad():
        # With channels last, torch's own gradient is wrong on CUDA (`operations.pool_input`).
        leaf = standard_layout(channels_first(x.detach())).requires_grad_()
        (found,) = torch.autograd.grad(_pooled(leaf, stride, largest), leaf, channels_first(grad_output))
    channels_first(gx).add_(found)


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return pools([x], [False], 1, None)[0][0]


def dense(x: Tensor, weights: Sequence[Tensor], into: Moments | None) -> tuple[list[Tensor], Tensor | None]:
    """See `Kernels.dense`."""
    rectified = rectify(x)
    out: list[Tensor] = [x] * len(weights)
    for places, stacked in stacks(weights):
        value = channels_last(F.conv2d(channels_first(rectified), stacked, padding=stacked.shape[-1] // 2))
        for place, y in zip(places, value.chunk(len(places), -1), strict=True):
            out[place] = y
    if into:
        _moments_of_each(out, into)
    return out, None


def _moments_of_each(values: Sequence[Tensor], into: Moments) -> None:
    for row, y in zip(into.rows, values, strict=True):
        moments(y, Moments([row], into.mean, into.variance, into.partial))


def dense_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    weights: Sequence[Tensor],
    gx: Tensor,
    *,
    second: Tensor | None,
    products: Sequence[Tensor | None],
    bypass: Bypass,
    of_weights: WeightGradients | None,
) -> list[Tensor | None]:
    """See `Kernels.dense_backward`."""
    combine(*bypass.whole, None, gx, accumulate=bypass.accumulate)
    if bypass.means.images:
        total = torch.empty_like(x)
        combine(*bypass.means, None, total)
        _transposed_pool(total, x, 1, gx, largest=False)
    if not weights:
        return []
    rectified = rectify(x)
    found: list[Tensor | None] = [None] * len(weights)
    for places, stacked in stacks(weights):
        back = torch.cat([_before_norm(gradients[place], values[place], coefficients[place]) for place in places], -1)
        padding = [stacked.shape[-1] // 2] * 2
        of_x, of_stacked, _ = convolution_backward(
            channels_first(back), channels_first(rectified), stacked, 1, padding, 1, 1, of_weights is not None
        )
        rectify_backward(channels_last(of_x), x, gx)
        if of_stacked is not None:
            for place, of_weight in zip(places, of_stacked.chunk(len(places)), strict=True):
                found[place] = of_weight
    return found


def stacks(weights: Sequence[Tensor]) -> Iterator[tuple[list[int], Tensor]]:
    """The weights of each kernel size: their places, and all of them concatenated for one convolution."""
    for size in sorted({weight.shape[-1] for weight in weights}):
        places = [place for place, weight in enumerate(weights) if weight.shape[-1] == size]
        yield places, torch.cat([weights[place] for place in places]) if len(places) > 1 else weights[places[0]]


def _before_norm(g: Tensor, y: Tensor, by: BackwardCoefficients) -> Tensor:
    """A g + B y + K."""
    return by.of_gradient * g + by.of_value * y + by.constant


def _rectified(stage: SeparableStage) -> Tensor:
    x, scale, shift = stage[:3]
    return F.relu(x if scale is None or shift is None else x * scale + shift)


def _depthwise(x: Tensor, weight: Tensor, form: DepthwiseShape) -> Tensor:
    padding = form.dilation * (form.kernel // 2)
    return F.conv2d(channels_first(x), weight, None, form.stride, padding, form.dilation, groups=x.shape[-1])


def factorized(x: Tensor, kernels: Pairs, into: Moments | None) -> list[Tensor]:
    """See `Kernels.factorized`."""
    return torch_reductions.factorized(_family(), x, kernels, into)


def factorized_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    kernels: Pairs,
    gx: Tensor,
    *,
    of_weights: WeightGradients | None,
) -> list[Tensor | None]:
    """See `Kernels.factorized_backward`."""
    back = (gradients, values, coefficients)
    return torch_reductions.factorized_backward(_family(), *back, x, kernels, gx, of_weights)


def separable(stages: Sequence[SeparableStage], into: Moments | None) -> list[Tensor]:
    """See `Kernels.separable`."""
    out = [separated(_rectified(stage), stage.depthwise, stage.pointwise, stage.form) for stage in stages]
    if into:
        _moments_of_each(out, into)
    return out


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    stages: Sequence[SeparableStage],
    gx: Sequence[Tensor],
    *,
    bypass: Sequence[Bypass] | None,
    of_weights: WeightGradients | None,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """See `Kernels.separable_backward`."""
    if bypass is not None:
        torch_reductions.begin(_family(), gx, bypass)
    sums: list[Tensor] = []
    found: list[Tensor | None] = []
    for place, (g, y, by, stage) in enumerate(zip(gradients, values, coefficients, stages, strict=True)):
        rectified = _rectified(stage)
        back = _before_norm(g, y, by)
        of_input, *of_kernels = separated_backward(
            back, rectified, stage.depthwise, stage.pointwise, stage.form, of_weights is not None
        )
        passed = of_input.masked_fill(rectified <= 0, 0.0)
        found += of_kernels
        if bypass is not None:
            gx[place].add_(passed)
        else:
            gx[place].copy_(passed)
            sums.append(reduce(gx[place], [stage.x])[0])
    return torch.cat(sums) if sums else None, found


def separated(x: Tensor, depthwise: Tensor, pointwise: Tensor, form: DepthwiseShape) -> Tensor:
    """pointwise(depthwise(x))."""
    return channels_last(F.conv2d(_depthwise(x, depthwise, form), pointwise))


def separated_backward(
    back: Tensor, x: Tensor, depthwise: Tensor, pointwise: Tensor, form: DepthwiseShape, weights: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The gradients of `separated` at x, and at both kernels if those of the `weights` are requested."""
    padding = [form.dilation * (form.kernel // 2)] * 2
    middle = _depthwise(x, depthwise, form)
    of_middle, of_pointwise, _ = convolution_backward(channels_first(back), middle, pointwise, 1, [0, 0], 1, 1, weights)
    if form.stride == 1:
        # The transpose of a depthwise convolution is one with its kernel flipped, which libraries compute much faster.
        of_x = _depthwise(channels_last(of_middle), depthwise.flip(2, 3), form)
        _, of_depthwise, _ = convolution_backward(
            of_middle, channels_first(x), depthwise, 1, padding, form.dilation, x.shape[-1], weights, inputs=False
        )
    else:
        of_x, of_depthwise, _ = convolution_backward(
            of_middle, channels_first(x), depthwise, form.stride, padding, form.dilation, x.shape[-1], weights
        )
    return channels_last(of_x), of_depthwise, of_pointwise
