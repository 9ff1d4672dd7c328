"""CUDA graphs without a GPU: a `Tape` of torch's operations replaces the capture of a GPU's kernels.

Like a graph, every replay does what was done during the recording, with the same tensors, whatever Python would decide
by then. The tape refuses what a GPU cannot capture: reading a value, drawing random numbers, copying from the host.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import _unsafe_preserve_version_counter as uncounted
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spaces import get_space
from spaces.cells.operations import frozen_statistics
from spaces.cells.supernet import Supernet
from spaces.common.streams import generator
from spaces.engine import fast_engine, torch_kernels
from spaces.engine.cuda_graphs import Graphs, eager
from spaces.engine.cuda_graphs.dispatch import WARM_UP
from spaces.engine.cuda_graphs.graph import Graph
from spaces.engine.ways import Way

Passes = Callable[[Supernet, Callable[..., Tensor]], list[Tensor]]
"""Computes some tensors of a supernet, by the function given for its passes."""

REFUSED = {"_local_scalar_dense", "nonzero", "equal", "lift_fresh", "bernoulli", "normal", "rand", "randn", "uniform_"}


class Tape(TorchDispatchMode):
    """Records operations and repeats them."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.made: dict[int, Tensor] = {}  # by address: memory allocated during the recording
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # other memory, and its values before the recording

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        try:
            with self:
                run()
        finally:  # a GPU has computed nothing yet when a capture ends, or fails
            for tensor, value in self.before.values():
                fill(tensor, value)
        for tensor in self.made.values():
            fill(tensor, torch.full_like(tensor, torch.nan if tensor.is_floating_point() else -1))
        return self.replay

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in REFUSED:
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
        kwargs = kwargs or {}
        given = {address(x): x for x in tensors((args, kwargs))}
        for place in given.keys() - self.made.keys() - self.before.keys():
            whole = given[place].new_empty(0).set_(given[place].untyped_storage())  # type: ignore[call-overload]
            self.before[place] = whole, whole.clone()
        out = func(*args, **kwargs)
        self.made |= {address(x): x for x in tensors(out) if address(x) not in given.keys() | self.made.keys()}
        self.done.append((func, args, kwargs, out))
        return out

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, out in self.done:
                with uncounted(tuple(tensors((args, kwargs)))):
                    again = func(*args, **kwargs)
                for tensor, value in zip(tensors(out), tensors(again), strict=True):
                    if address(tensor) != address(value):
                        fill(tensor, value)


def tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def fill(tensor: Tensor, value: Tensor) -> None:
    """Writes as a GPU does: autograd does not notice."""
    with torch.no_grad(), uncounted(tensor):
        tensor.copy_(value)


class Recorder:
    """Makes tapes, and counts their replays."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.replays = 0

    def __call__(self) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def capture(run: Callable[[], None]) -> Callable[[], None]:
            tape = Tape()
            self.tapes.append(tape)
            replay = tape(run)

            def counted() -> None:
                self.replays += 1
                replay()

            return counted

        return capture


class BothWays:
    """Two equal supernets: the passes of one run eagerly, those of the other from graphs."""

    def __init__(self, space: str = "nats-tss", device: str = "cpu", *, required: bool = True, **options: Any) -> None:
        self.space = get_space(space)
        self.nets = []
        for _ in range(2):
            torch.manual_seed(0)
            net = self.space.supernet(4, 1 if space == "nats-tss" else 3, classes=3, **options)
            self.nets.append(net.to(device))
        self.device = device
        self.recorder = Recorder()
        capturing = {"capturing": self.recorder} if device == "cpu" else {}
        self.graphs = Graphs(self.nets[1], **capturing, required=required)

    def each(self) -> list[tuple[Supernet, Callable[..., Tensor]]]:
        def run_eagerly(*given: Any) -> Tensor:
            return eager(self.nets[0], *given)

        return [(self.nets[0], run_eagerly), (self.nets[1], self.graphs)]

    def same(self, passes: Passes, times: int = WARM_UP + 4) -> int:
        """Computes the passes both ways: results and buffers are equal. Returns the number of replays."""
        before = self.recorder.replays
        for _ in range(times):
            expected, found = (passes(net, compute) for net, compute in self.each())
            for one, other in zip(found, expected, strict=True):
                assert one.stride() == other.stride()
                assert torch.equal(one, other)
            for one, other in zip(*(net.buffers() for net in self.nets), strict=True):
                assert torch.equal(one, other)
        return self.recorder.replays - before

    def batch(self, number: int = 0, size: int = 2) -> tuple[Tensor, Tensor]:
        """Random images `[size, 3, 8, 8]` and their labels."""
        images = torch.randn(size, 3, 8, 8, generator=generator(number, "images"))
        return images.to(self.device), (torch.arange(size) % 3).to(self.device)

    def alpha(self, number: int = 0) -> dict[str, Tensor]:
        """Random tables, which are leaves."""
        return {
            kind: torch.randn(alpha.shape, generator=generator(number, "alpha", kind)).to(self.device).requires_grad_()
            for kind, alpha in self.space.alpha(seed=0).items()
        }

    def step(self, number: int = 0) -> Passes:
        """A weight step, in place and with moving statistics, and alpha's gradient with frozen ones."""
        alpha, (images, labels) = self.alpha(number), self.batch(number)

        def passes(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
            fixed = {kind: a.detach().softmax(-1) for kind, a in alpha.items()}
            logits = compute(images, fixed)
            found = torch.autograd.grad(F.cross_entropy(logits, labels), list(net.parameters()))
            with torch.no_grad():
                torch._foreach_add_(list(net.parameters()), list(found), alpha=-0.1)
            with frozen_statistics(net):
                loss = F.cross_entropy(compute(images + 1, {k: a.softmax(-1) for k, a in alpha.items()}), labels)
            return [logits, *found, loss, *torch.autograd.grad(loss, list(alpha.values()))]

        return passes

    def kept(self) -> list[Graph]:
        """The graphs that the second supernet has, the most recently used one last."""
        return [kind.graph for kind in self.graphs._kinds.values() if kind.graph]


@pytest.fixture
def both_ways() -> type[BothWays]:
    return BothWays


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def tape() -> type[Tape]:
    return Tape


@pytest.fixture(autouse=True)
def torch_kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tape records torch's operations, not the C++ kernels' work."""
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
