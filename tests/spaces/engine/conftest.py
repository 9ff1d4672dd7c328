"""A supernet under both engines on one batch, and the tolerance within which their results agree."""

import os
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._prims_common import suggest_memory_format
from torch.utils._python_dispatch import TorchDispatchMode

from spaces import Space, get_space
from spaces.cells.operations import BatchNorm, frozen_statistics
from spaces.cells.supernet import Supernet
from spaces.common.streams import generator
from spaces.engine import fast_engine, torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.ways import Way

if not torch.cuda.is_available():
    # Triton decides as it is imported whether it compiles or interprets, and torch imports it when it likes.
    os.environ["TRITON_INTERPRET"] = "1"

aten = torch.ops.aten
Named = dict[str, Tensor]

ROUNDING = 1e-11
"""What double precision leaves of a zero, beside the largest number that went into it."""


def numbers(*shape: int, seed: int, purpose: str) -> Tensor:
    return torch.randn(shape, generator=generator(seed, purpose), dtype=torch.float64)


class Torch211(TorchDispatchMode):
    """Where channels are innermost, average pooling's gradient takes an image's pixel for one of the padded image.

    torch finds the windows of a pixel by its place in the padded image; that kernel forgot to add the padding. With
    `dtype`, only gradients of that type are wrong.
    """

    def __init__(self, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.dtype = dtype
        self.wrong = 0  # gradients that it gave

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        backward = func is aten.avg_pool2d_backward.default
        if backward and self.dtype not in (None, args[1].dtype):
            backward = False
        if not backward or suggest_memory_format(args[1]) != torch.channels_last or not any(args[4]):
            return func(*args, **(kwargs or {}))
        self.wrong += 1
        grad_output, x, kernel, stride, (down, across), _, include, divisor = args
        ones = torch.ones(x.shape, dtype=x.dtype)
        inside = aten.avg_pool2d(ones, kernel, stride, [down, across], False, True, 1)
        share = grad_output / (divisor or (kernel[0] * kernel[1] if include else inside))
        padded = F.pad(ones, (across, across, down, down))
        found = aten.avg_pool2d_backward(share, padded, kernel, stride, [0, 0], False, True, 1)
        return found[..., : x.shape[2], : x.shape[3]].contiguous(memory_format=torch.channels_last)


@pytest.fixture(scope="session")
def torch211() -> type[Torch211]:
    return Torch211


@dataclass
class Pair:
    """A supernet and its copy by the reference (statistics of their own), in double, with a batch for both."""

    space: Space
    fast: Supernet
    reference: Supernet
    images: Tensor
    labels: Tensor
    weights: Named

    @property
    def nets(self) -> tuple[Supernet, Supernet]:
        return self.fast, self.reference

    def loss(self, net: Supernet, images: Tensor | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """The cross-entropy, with the same draws every time."""
        net.random.reseed(0, "pass")
        return F.cross_entropy(net(self.images if images is None else images, weights or self.weights), self.labels)

    def leaves(self, net: Supernet, *, table: bool = True) -> Named:
        """What a gradient can be asked for, under names: fresh images and tables, and the net's parameters."""
        tables = {f"table {kind}": w.clone().requires_grad_() for kind, w in self.weights.items()} if table else {}
        return {"images": self.images.clone().requires_grad_(), **tables, **dict(net.named_parameters())}

    def loss_of(self, net: Supernet, leaves: Named) -> Tensor:
        tables = {kind: leaves.get(f"table {kind}", w) for kind, w in self.weights.items()}
        return self.loss(net, leaves["images"], tables)

    def normalises_rounding(self) -> bool:
        """Whether some batch norm is given a channel that is constant but for rounding, which it would blow up.

        Such results cannot be compared: a ReLU behind it passes whatever rounding has made positive.
        """
        found = []

        def look(norm: nn.Module, given: tuple[Tensor]) -> None:
            spread, mean = torch.std_mean(given[0].detach(), (0, 2, 3), correction=0)
            size = given[0].detach().abs().amax((0, 2, 3))
            found.append(((size > 0) & ((spread < ROUNDING * mean.abs()) | (size < ROUNDING))).any())

        hooks = [m.register_forward_pre_hook(look) for m in self.reference.modules() if isinstance(m, BatchNorm)]
        with torch.no_grad(), frozen_statistics(self.reference):
            self.loss(self.reference)
        for hook in hooks:
            hook.remove()
        return bool(torch.stack(found).any())

    def gradients(self, net: Supernet, *, table: bool = True) -> Named:
        """The loss, its gradient at each of the leaves, and the buffers as the pass has left them."""
        leaves = self.leaves(net, table=table)
        loss = self.loss_of(net, leaves)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        return {"loss": loss.detach(), **dict(zip(leaves, found, strict=True))}


@pytest.fixture(scope="session")
def pair() -> Callable[..., Pair]:
    def make(
        name: str = "nats-tss",
        *,
        channels: int = 4,
        cells: int | None = None,
        batch: int = 4,
        size: tuple[int, int] = (8, 8),
        seed: int = 0,
        zeros: float = 0.0,
        dropped: float = 0.0,
        per_cell: bool = False,
        skip_dropout: float = 0.0,
        auxiliary_weight: float | None = None,
        **options: object,
    ) -> Pair:
        """`zeros` is the share of weights that are 0, `dropped` that of operations masked away."""
        space = get_space(name)
        cells = cells or (1 if name == "nats-tss" else 3)
        if dropped:
            space = space.restricted(restriction(space, dropped, seed))
        torch.manual_seed(seed)
        auxiliary = {} if auxiliary_weight is None else {"auxiliary_skip": True}
        net = space.supernet(channels, cells, classes=5, in_channels=2, **auxiliary, **options).double()  # type: ignore[arg-type]
        for index, parameter in enumerate(net.parameters()):
            if parameter.dim() == 1:  # scales and shifts away from 1 and 0
                parameter.data += 0.3 * numbers(*parameter.shape, seed=seed, purpose=f"parameter {index}")
        net.skip_dropout = skip_dropout
        net.auxiliary_weight = 1.0 if auxiliary_weight is None else auxiliary_weight
        weights = {}
        for kind, mask in space.mask.items():
            shape = (net.cells_of[kind], *mask.shape) if per_cell else mask.shape
            table = numbers(*shape, seed=seed, purpose=kind)
            keep = torch.rand(shape, generator=generator(seed, "zeros", kind)) >= zeros
            weights[kind] = table * keep
        reference = deepcopy(net)
        reference.engine = "reference"
        images = numbers(batch, 2, *size, seed=seed, purpose="images")
        return Pair(space, net, reference, images, torch.arange(batch) % 5, weights)

    return make


def restriction(space: Space, dropped: float, seed: int) -> Named:
    """A random mask that leaves every edge something to select."""
    found = {}
    for kind, selectable in space.selectable.items():
        chance = torch.rand(selectable.shape, generator=generator(seed, "mask", kind))
        kept = (chance >= dropped) | (chance == chance.masked_fill(~selectable, -1.0).amax(1, keepdim=True))
        found[kind] = kept
    return found


@pytest.fixture(scope="session")
def agree() -> Callable[..., None]:
    def check(fast: Mapping[str, Tensor], reference: Mapping[str, Tensor], within: float = 1e-9) -> None:
        """Equal, relative to the largest element of each tensor.

        Where a tensor is smaller than a thousandth of the largest, its error is set beside that; and where it is zero
        but for rounding (a shift in front of a batch norm has no gradient), so that it has no digits to compare, beside
        the largest itself.
        """
        assert fast.keys() == reference.keys()
        top = max(float(x.detach().abs().max()) for x in reference.values())
        errors = {}
        for name, expected in reference.items():
            found, expected = fast[name].detach(), expected.detach()
            assert found.shape == expected.shape, name
            assert found.dtype == expected.dtype, name
            apart = (found.double() - expected.double()).abs().max()
            size = float(expected.abs().max())
            errors[name] = float(apart) / max(top if size < ROUNDING * top else size, 1e-3 * top, 1e-300)
        worst = max(errors, key=lambda name: errors[name] if errors[name] == errors[name] else float("inf"))
        assert errors[worst] <= within, f"{worst}: {errors[worst]:.2e}"

    return check


@pytest.fixture(scope="module", params=["C++", "plain torch"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every image by one family of kernels, as far as the family has it."""
    if request.param == "C++" and isinstance(cpp_kernels.library(), str):
        pytest.skip(str(cpp_kernels.library()))
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "plain torch":
            patch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
        yield request.param
