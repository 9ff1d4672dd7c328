"""The modules that the reference is made of, on a device against the same in float64 on the CPU."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from spaces.cells.operations import BatchNorm, build, convolution, relu_conv_bn
from spaces.cells.precision import Precision
from spaces.common.streams import NoiseStream, generator, seeded
from spaces.engine.self_test.findings import Finding, finding, worst
from spaces.engine.self_test.precision import in_precision
from spaces.engine.self_test.tolerances import PIECE, error

CHANNELS = 8
SIZES = ((3, 9, 7), (2, 8, 8))  # images, height, width
NORM = partial(BatchNorm, affine=True, running=True)
RANDOM = frozenset({"noise"})  # gives no function of its input to compare
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "channels first": lambda x: x.contiguous(),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "slice of wider images": lambda x: torch.cat([x, x], 1).contiguous(memory_format=torch.channels_last)[:, CHANNELS:],
}


class Head(nn.Linear):
    """A linear layer behind the mean over all pixels, as all networks have it."""

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, classes]`."""
        return super().forward(x.mean((2, 3)))


def modules(operations: Iterable[str]) -> Iterator[tuple[str, nn.Module]]:
    """The searched operations at strides 1 and 2 (`/2`), and the blocks that all networks have, by name."""
    for name in sorted(set(operations) - RANDOM - {"none"}):
        yield name, build(name, CHANNELS, 1, NORM, NoiseStream())
        yield f"{name} /2", build(name, CHANNELS, 2, NORM, NoiseStream())
    yield "batch norm", NORM(CHANNELS)
    yield "3x3 conv /2", convolution(CHANNELS, 2 * CHANNELS, 3, 2)
    yield "1x1 conv", relu_conv_bn(CHANNELS, 2 * CHANNELS, 1, 1, NORM)
    yield "mean of 2x2", nn.AvgPool2d(2, 2, ceil_mode=True)
    yield "linear head", Head(CHANNELS, 5)


def module_findings(operations: Iterable[str], device: torch.device, precision: Precision) -> Iterator[Finding]:
    """A finding for each module: the worst over sizes, layouts of the input, and both modes."""
    with seeded(0, "self-test of modules"):
        made = [(name, module.double()) for name, module in modules(operations)]
    for name, module in made:
        yield finding(name, PIECE[precision], partial(_error, name, module, device, precision))


def _error(name: str, module: nn.Module, device: torch.device, precision: Precision) -> float:
    errors = []
    for shape in SIZES:
        count, *size = shape
        random = generator(0, name, *shape)
        # Exact in bfloat16, so that a ReLU or a maximum of the input itself chooses as in float64.
        x = torch.randn(count, CHANNELS, *size, generator=random, device="cpu").bfloat16().double()
        for training in (True, False):
            exact = _results(module, x, torch.float64, training, "fp32")
            for lay in LAYOUTS.values():
                found = _results(module, lay(x.float()).to(device), torch.float32, training, precision)
                errors.append(error(found, exact, precision))
    return worst(errors)


def _results(module: nn.Module, x: Tensor, dtype: torch.dtype, training: bool, precision: Precision) -> list[Tensor]:
    """Output, gradients and running statistics of a copy of `module`."""
    module = deepcopy(module).to(dtype).to(x.device).train(training)
    x = x.detach().requires_grad_()
    autocast = torch.autocast(x.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
    with in_precision(precision):
        with autocast:
            y = module(x)
        slope = torch.randn(y.shape, generator=generator(0, "slope", *y.shape), dtype=torch.float64, device="cpu")
        ends = [x, *module.parameters()]
        found = torch.autograd.grad(y.to(dtype), ends, slope.bfloat16().to(y.device, dtype))
    statistics = [value for value in module.buffers() if value.is_floating_point()]
    return [y.detach(), *found, *statistics]
