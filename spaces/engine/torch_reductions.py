"""`FactorizedReduce` and the gradients of pools in plain torch, around a family's own sums of images.

The C++ family uses them, too.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.engine.kernel_values import BackwardCoefficients, Bypass, Moments, channels_first, channels_last
from spaces.engine.kernels import Kernels, WeightGradients

Pairs = Sequence[tuple[Tensor, Tensor]]


def factorized(kernels: Kernels, x: Tensor, pairs: Pairs, into: Moments | None) -> list[Tensor]:
    """See `Kernels.factorized`: one 1x1 convolution of even and odd pixels together."""
    stacked = channels_last(F.conv2d(channels_first(_even_and_odd(x)), _stacked(pairs)))
    values = list(stacked.chunk(len(pairs), -1))
    if into:
        for row, y in zip(into.rows, values, strict=True):
            kernels.moments(y, Moments([row], into.mean, into.variance, into.partial))
    return values


def factorized_backward(
    kernels: Kernels,
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    pairs: Pairs,
    gx: Tensor,
    of_weights: WeightGradients | None,
) -> list[Tensor | None]:
    """See `Kernels.factorized_backward`: the gradients of even and odd pixels return to their places."""
    shifted, weight = channels_first(_even_and_odd(x)), _stacked(pairs)
    *shape, channels = values[0].shape
    back = values[0].new_empty(*shape, len(values) * channels)
    for y, g, by, into in zip(values, gradients, coefficients, back.chunk(len(values), -1), strict=True):
        kernels.combine([g, y], by[:2], by.constant, into)
    of_shifted, of_weight, _ = convolution_backward(
        channels_first(back), shifted, weight, 1, [0, 0], 1, 1, of_weights is not None
    )
    even, odd = channels_last(of_shifted).chunk(2, -1)
    whole = x.new_zeros(x.shape)
    whole[:, ::2, ::2] = even
    target = whole[:, 1::2, 1::2]
    target += odd[:, : target.shape[1], : target.shape[2]]
    gx.add_(whole.masked_fill(x <= 0, 0.0))
    flat = [kernel for pair in pairs for kernel in pair]
    if of_weight is None:
        return [None] * len(flat)
    of_kernels = torch.split(of_weight, [len(kernel) for kernel in flat])
    return [of_kernel.chunk(2, dim=1)[number % 2] for number, of_kernel in enumerate(of_kernels)]


def _even_and_odd(x: Tensor) -> Tensor:
    """The ReLU's even pixels and those one off, side by side: `[N, ceil(H / 2), ceil(W / 2), 2 C]`."""
    rectified = F.relu(x)
    even, odd = rectified[:, ::2, ::2], rectified[:, 1::2, 1::2]
    odd = F.pad(odd, (0, 0, 0, even.shape[2] - odd.shape[2], 0, even.shape[1] - odd.shape[1]))
    return torch.cat([even, odd], dim=-1)


def _stacked(pairs: Pairs) -> Tensor:
    """One kernel over both: a pair's first channels read the even pixels alone, its others the odd ones."""
    flat = [kernel for pair in pairs for kernel in pair]
    sizes, channels = [len(kernel) for kernel in flat], flat[0].shape[1]
    whole = flat[0].new_zeros(sum(sizes), 2 * channels, 1, 1)
    for number, (rows, kernel) in enumerate(zip(torch.split(whole, sizes), flat, strict=True)):
        rows.chunk(2, dim=1)[number % 2].copy_(kernel)
    return whole


def begin(kernels: Kernels, gx: Sequence[Tensor], bypass: Sequence[Bypass]) -> None:
    """Add to each gx what bypasses the stages that share it, once."""
    for into, each in {id(into): (into, each) for into, each in zip(gx, bypass, strict=True)}.values():
        if not each.empty:
            kernels.combine(*each.whole, None, into, accumulate=each.accumulate)


def summed_gradient(
    kernels: Kernels, gradients: Sequence[Tensor], coefficients: Sequence[BackwardCoefficients], value: Tensor
) -> Tensor:
    """The sum of A g + B value + K over several g."""
    of_value = torch.stack([each.of_value for each in coefficients]).sum(0)
    constant = torch.stack([each.constant for each in coefficients]).sum(0)
    table = torch.stack([*(each.of_gradient for each in coefficients), of_value])
    total = torch.empty_like(value)
    kernels.combine([*gradients, value], table, constant, total)
    return total


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
    """The gradients of a convolution without bias: at x, at its kernel if `weights` are requested, and None."""
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
