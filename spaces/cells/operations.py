"""The candidate operations and the fixed blocks of the networks, as modules. Images are `[N, C, H, W]` throughout.

An operation of stride 2 maps height and width n to ceil(n / 2), so any size of image passes through every space.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.common.streams import NoiseStream

Norm = Callable[[int], nn.Module]
"""Makes the batch norm for a number of channels."""


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose running statistics can be frozen, or that has none.

    With `running`, statistics are kept and used by `eval()`; without, the batch's own are always used (NAS-Bench-201's
    `track_running_stats=False`). While `frozen`, a pass in training mode normalises by the batch as usual, but does
    not update the running statistics and their counter.
    """

    def __init__(self, channels: int, *, affine: bool, running: bool) -> None:
        super().__init__(channels, affine=affine, track_running_stats=running)
        self.frozen = False

    def forward(self, x: Tensor) -> Tensor:
        """`x` normalised, same shape and layout."""
        # On a CPU, if channels are last, torch accumulates a channel in one sum and loses half a digit.
        layout = torch.contiguous_format
        if x.device.type == "cpu" and not x.is_contiguous():
            layout, x = torch.channels_last, x.contiguous()
        if self.frozen and self.training:
            y = F.batch_norm(x, None, None, self.weight, self.bias, training=True, eps=self.eps)
        else:
            y = super().forward(x)
        return y.contiguous(memory_format=layout)


_NORMS: WeakKeyDictionary[nn.Module, list[BatchNorm]] = WeakKeyDictionary()


def _norms(net: nn.Module) -> list[BatchNorm]:
    """The batch norms of `net`, cached because a supernet has thousands of modules."""
    if net not in _NORMS:
        _NORMS[net] = [module for module in net.modules() if isinstance(module, BatchNorm)]
    return _NORMS[net]


@contextmanager
def frozen_statistics(net: nn.Module) -> Iterator[None]:
    """Passes of `net` in this block do not change its running statistics, in training mode either."""
    norms = _norms(net)
    before = [norm.frozen for norm in norms]
    for norm in norms:
        norm.frozen = True
    try:
        yield
    finally:
        for norm, frozen in zip(norms, before, strict=True):
            norm.frozen = frozen


@contextmanager
def restored_statistics(net: nn.Module) -> Iterator[None]:
    """Passes of `net` in this block change its running statistics, which are restored afterwards."""
    before = clones(net.buffers())
    try:
        yield
    finally:
        for buffer, value in zip(net.buffers(), before, strict=True):
            buffer.data.copy_(value)  # `data`, so that autograd does not count its saved buffers as modified


def clones(tensors: Iterable[Tensor]) -> list[Tensor]:
    """A copy of each tensor."""
    return [tensor.clone() for tensor in tensors]


def is_frozen(net: nn.Module) -> bool:
    """Whether `frozen_statistics` holds for `net`."""
    return any(norm.frozen for norm in _norms(net)[:1])


@contextmanager
def in_mode(net: nn.Module, training: bool) -> Iterator[None]:
    """In this block `net` is in training mode or in that of `eval()`; its mode is restored afterwards."""
    before = net.training
    net.train(training)
    try:
        yield
    finally:
        net.train(before)


def convolution(
    channels_in: int, channels_out: int, kernel: int, stride: int = 1, *, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias, padded so that stride 1 keeps the size (kernel 1, 3 or 5)."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(channels_in, channels_out, kernel, stride, padding, dilation=dilation, groups=groups, bias=False)


def relu_conv_bn(channels_in: int, channels_out: int, kernel: int, stride: int, norm: Norm) -> nn.Sequential:
    """ReLU, convolution, batch norm."""
    return nn.Sequential(nn.ReLU(), convolution(channels_in, channels_out, kernel, stride), norm(channels_out))


def dil_conv(channels: int, kernel: int, stride: int, norm: Norm, dilation: int = 2) -> nn.Sequential:
    """ReLU, depthwise (dilated) convolution, pointwise convolution, batch norm."""
    return nn.Sequential(
        nn.ReLU(),
        convolution(channels, channels, kernel, stride, dilation=dilation, groups=channels),
        convolution(channels, channels, 1),
        norm(channels),
    )


def sep_conv(channels: int, kernel: int, stride: int, norm: Norm) -> nn.Sequential:
    """Two depthwise separable convolutions; the first has the stride."""
    return nn.Sequential(
        *dil_conv(channels, kernel, stride, norm, dilation=1), *dil_conv(channels, kernel, 1, norm, dilation=1)
    )


POOLS_IN_ANY_LAYOUT = frozenset({"cpu"})
"""Device types on which torch's pooling has the right gradient however its input lies in memory."""


def pool_input(x: Tensor) -> Tensor:
    """`x` [N, C, H, W] in a layout in which torch's pooling has the right gradient.

    On CUDA, average pooling with padding has a wrong one if channels are last: pytorch/pytorch#188344, in torch
    2.11 and until July 2026. On a CPU every layout is right, and `x` is returned as it is.
    """
    return x if x.device.type in POOLS_IN_ANY_LAYOUT else standard_layout(x)


def standard_layout(x: Tensor) -> Tensor:
    """`x` [N, C, H, W] with channels first in memory, copied unless it is.

    `Tensor.contiguous` does not ensure that. An image of one channel, or of one pixel, is contiguous whatever the
    stride of its channels says, and torch chooses a pooling's kernel by the strides.
    """
    return x if x.is_contiguous() and x.stride(1) > 1 else x.clone(memory_format=torch.contiguous_format)


class MaxPool(nn.MaxPool2d):
    """Max pooling whose gradient does not depend on the layout of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H', W']."""
        return super().forward(pool_input(x))


class AvgPool(nn.AvgPool2d):
    """Average pooling whose gradient does not depend on the layout of its input."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C, H', W']."""
        return super().forward(pool_input(x))


class FactorizedReduce(nn.Module):
    """Halves height and width: two 1x1 convolutions of stride 2, the second one pixel off the first, concatenated."""

    def __init__(self, channels_in: int, channels_out: int, norm: Norm) -> None:
        super().__init__()
        self.even = convolution(channels_in, channels_out // 2, 1, stride=2)
        self.odd = convolution(channels_in, channels_out - channels_out // 2, 1, stride=2)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to [N, C', ceil(H / 2), ceil(W / 2)]."""
        x = F.relu(x)
        height, width = x.shape[-2:]
        # An odd size has one odd row fewer than even rows, so a row of zeros is added.
        shifted = F.pad(x, (0, width % 2, 0, height % 2))[:, :, 1:, 1:]
        return self.norm(torch.cat([self.even(x), self.odd(shifted)], dim=1))


class Noise(nn.Module):
    """Standard normal noise in the shape of the input, independent of the input (S4 of Zela et al., ICLR 2020)."""

    def __init__(self, stride: int, random: NoiseStream) -> None:
        super().__init__()
        self.stride = stride
        self.random = random

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to noise of [N, C, ceil(H / stride), ceil(W / stride)]."""
        shape = strided(x, self.stride).shape
        return torch.randn(shape, generator=self.random.on(x.device), device=x.device, dtype=x.dtype)


class DroppedSkip(nn.Module):
    """A skip-connection whose output is dropped, element by element, while training (Chen et al., ICCV 2019, 3.2.2).

    At `rate` 0 it is the identity and draws nothing.
    """

    def __init__(self, random: NoiseStream) -> None:
        super().__init__()
        self.random = random
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """`x`; in training each element is zero with probability `rate`, the others scaled to keep the mean."""
        if not self.training or self.rate == 0.0:
            return x
        keep = torch.rand(x.shape, generator=self.random.on(x.device), device=x.device) >= self.rate
        return x * keep.to(x.dtype) / (1.0 - self.rate)


def strided(x: Tensor, stride: int) -> Tensor:
    """Every `stride`-th row and column of `x`."""
    return x[:, :, ::stride, ::stride]


def drop_path(x: Tensor, probability: float, random: NoiseStream) -> Tensor:
    """Zero each image of `x` with `probability`, independently, and scale the others to keep the mean."""
    keep = torch.rand((x.shape[0], 1, 1, 1), generator=random.on(x.device), device=x.device) >= probability
    return x * keep.to(x.dtype) / (1.0 - probability)


def build(name: str, channels: int, stride: int, norm: Norm, random: NoiseStream) -> nn.Module:
    """The operation called `name`, with `channels` input and output channels. `none` has no module.

    The DARTS operations are those of Liu et al. (ICLR 2019), `nor_conv` those of NAS-Bench-201, `noise` S4's, which
    draws from `random`. Raises `ValueError` for another name.
    """
    match name:
        case "skip_connect":
            return nn.Identity() if stride == 1 else FactorizedReduce(channels, channels, norm)
        case "max_pool_3x3":
            return MaxPool(3, stride, padding=1)
        case "avg_pool_3x3":
            return AvgPool(3, stride, padding=1, count_include_pad=False)
        case "sep_conv_3x3" | "sep_conv_5x5":
            return sep_conv(channels, int(name[-1]), stride, norm)
        case "dil_conv_3x3" | "dil_conv_5x5":
            return dil_conv(channels, int(name[-1]), stride, norm)
        case "nor_conv_1x1" | "nor_conv_3x3":
            return relu_conv_bn(channels, channels, int(name[-1]), stride, norm)
        case "noise":
            return Noise(stride, random)
        case _:
            raise ValueError(f"no operation is called {name!r}")
