"""Small networks of every registered space, with the numbers that they are given."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from itertools import chain, count
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spaces.cells.mixed_cell import Engine
from spaces.cells.operations import BatchNorm, Noise, frozen_statistics, in_mode, strided
from spaces.cells.precision import Precision
from spaces.cells.supernet import Supernet
from spaces.common.errors import InputError
from spaces.common.streams import generator, seeded
from spaces.engine.self_test.margins import CLEAR, Margin
from spaces.engine.self_test.precision import in_precision
from spaces.engine.ways import REFERENCE, using

if TYPE_CHECKING:
    from spaces import Space

CPU = torch.device("cpu")
CHANNELS, CLASSES, IMAGES = 16, 5, (3, 3, 9, 7)
TRIES = 20  # draws of numbers, until one keeps clear of ties


class HostNoise(Noise):
    """Noise from the host's generator: a device's own gives other numbers."""

    def forward(self, x: Tensor) -> Tensor:
        """See `Noise.forward`."""
        shape = strided(x, self.stride).shape
        drawn = torch.randn(shape, generator=generator(0, "noise", *shape), dtype=torch.float64, device="cpu")
        return drawn.float().to(x.device, x.dtype)


@dataclass(frozen=True, eq=False)
class Example:
    """A network in float64 on the CPU, whose numbers are exact in float32; `tables` is empty if it is a derived one."""

    name: str
    net: nn.Module
    images: Tensor
    tables: Mapping[str, Tensor]

    @cache  # noqa: B019 - examples live as long as the process
    def exact(self, training: bool) -> list[Tensor]:
        """The results of the reference in float64 on the CPU."""
        with using(REFERENCE):
            return self.results(CPU, torch.float64, training=training)

    @cache  # noqa: B019
    def in_float32(self, training: bool) -> list[Tensor]:
        """The results of the reference in float32 on the CPU."""
        with using(REFERENCE):
            return self.results(CPU, torch.float32, training=training)

    def results(
        self,
        device: torch.device,
        dtype: torch.dtype,
        *,
        training: bool,
        engine: Engine = "reference",
        precision: Precision = "fp32",
    ) -> list[Tensor]:
        """Logits, the gradients of a cross-entropy at images, tables and parameters, and the running statistics."""
        net = deepcopy(self.net).to(dtype).train(training)
        tables = {kind: table.to(dtype).to(device).requires_grad_() for kind, table in self.tables.items()}
        images = self.images.to(dtype).to(device).requires_grad_()
        labels = (torch.arange(IMAGES[0], device="cpu") % CLASSES).to(device)
        if isinstance(net, Supernet):
            net.engine, net.precision = engine, "bf16" if precision == "bf16" else "fp32"
            net.on(device)  # as a search has it
        else:
            net.to(device)
        with in_precision(precision):
            logits = net(images, tables) if self.tables else net(images)
            ends = [images, *tables.values(), *net.parameters()]
            loss = F.cross_entropy(logits, labels)
            found = torch.autograd.grad(loss, ends, allow_unused=True, materialize_grads=True)
        return [logits.detach(), *found, *(buffer for buffer in net.buffers() if buffer.is_floating_point())]

    def is_clear_of_ties(self) -> bool:
        """Whether all values keep clear of ties, in both modes; see `Margin`."""
        for training in (True, False):
            with (
                using(REFERENCE),
                Margin() as seen,
                torch.no_grad(),
                in_mode(self.net, training),
                frozen_statistics(self.net),
            ):
                self.net(self.images, self.tables) if self.tables else self.net(self.images)
            if seen.least < CLEAR:
                return False
        return True


def examples() -> Iterator[Example]:
    """Those of every registered space of images."""
    from spaces import IMAGE_SPACES  # not above: the spaces import the engine

    return chain.from_iterable(examples_of(name) for name in IMAGE_SPACES)


@cache
def examples_of(name: str) -> tuple[Example, Example]:
    """A supernet of the space called `name`, and a derived network."""
    from spaces import get_space  # as above

    space = get_space(name)
    return _example(name, space, _supernet), _example(f"network of {name}", space, _derived)


def _example(name: str, space: "Space", make: "Callable[[Space], nn.Module]") -> Example:
    """The network that `make` makes, with the first images and tables that keep clear of ties."""
    random = generator(0, "self-test", name)
    with seeded(0, "self-test", name):
        net = make(space)
    for module in (module for module in net.modules() if isinstance(module, BatchNorm)):
        _away_from_start(module, random)
    _noise_from_host(net)
    net = net.double()
    for _ in range(TRIES):
        images = torch.randn(IMAGES, generator=random, device="cpu").double()
        tables = {
            kind: torch.rand(mask.shape, generator=random, device="cpu").double() + 0.1
            for kind, mask in (space.mask.items() if isinstance(net, Supernet) else ())
        }
        example = Example(name, net, images, tables)
        if example.is_clear_of_ties():
            break
    return example


def _supernet(space: "Space") -> nn.Module:
    return space.supernet(CHANNELS, fewest_cells(space), CLASSES, affine=True)


def _derived(space: "Space") -> nn.Module:
    genotype = space.random(generator(0, "self-test", "genotype"))
    return space.network(genotype, CHANNELS, fewest_cells(space), CLASSES)


def fewest_cells(space: "Space") -> int:
    """The smallest size that has cells of every kind."""
    for cells in count(1):
        with suppress(InputError):
            if all(space.cells_of(kind, cells) for kind in space.kinds):
                return cells
    raise AssertionError


def _away_from_start(norm: BatchNorm, random: torch.Generator) -> None:
    """Scales, shifts and running statistics that are not 1 and 0."""
    with torch.no_grad():
        for tensor, centre in ((norm.weight, 1), (norm.bias, 0), (norm.running_mean, 0)):
            if tensor is not None:
                tensor.copy_(centre + 0.3 * torch.randn(tensor.shape, generator=random, device="cpu"))
        if norm.running_var is not None:
            norm.running_var.copy_(0.5 + torch.rand(norm.running_var.shape, generator=random, device="cpu"))


def _noise_from_host(net: nn.Module) -> None:
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Noise):
                setattr(parent, name, HostNoise(child.stride, child.random))


def operations() -> frozenset[str]:
    """The operations of all registered spaces of images."""
    from spaces import IMAGE_SPACES, get_space  # as above

    return frozenset(chain.from_iterable(get_space(name).operations for name in IMAGE_SPACES))
