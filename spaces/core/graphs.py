"""A supernet's passes as CUDA graphs: what the host would issue kernel by kernel, it issues at once.

The first times a pass is taken as ever. Then its kernels are captured, and from then on replayed: images, tables and
foreign parameters are copied to where the graph reads them, logits and gradients from where it writes them, so
nothing that a caller holds is overwritten. What the host decides is part of a graph: passes that differ in it have
graphs of their own. Taken as ever are passes that draw, that overlap (one begins before another has given its
gradient), whose gradient is differentiated once more, or that are under a functional transform.

A graph is used once it has given the very bits of the pass as it is issued, forward and back. If it does not, or a pass
cannot be captured, `NotCaptured` says so.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from spaces.core.errors import InputError
from spaces.core.fast.cell import executes
from spaces.core.mixed_cell import transformed
from spaces.core.operations import frozen_statistics, in_mode, is_frozen
from spaces.core.supernet import Live, Supernet

T = TypeVar("T")

Run = Callable[[], None]

Capture = Callable[[Run], Run]
"""Takes what a function does without doing it; what it gives back does it, with the same tensors."""

WARM_UP = 2
"""How often a pass is taken as ever before it is captured, so that kernels are loaded and constants in place."""

KEPT = 8
"""Graphs of a supernet at once, the latest used: each keeps the memory of its pass."""

ALIGNED = 512
"""Bytes from which CUDA's allocator hands out memory: sums may take another order where a tensor begins elsewhere."""


class NotCaptured(InputError):
    """A graph cannot stand for a pass: why, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"--graphs: {reason}: leave it out")


def on_cuda() -> Capture:
    """Captures a GPU's kernels; what one `Capture` captures shares the memory that it uses in passing."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            run()
        return graph.replay

    return capture


def eager(
    net: nn.Module, images: Tensor, weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The logits `[N, classes]` of `net`, at other `parameters` if given, kernel by kernel."""
    if parameters is None:
        return net(images, weights)
    return functional_call(net, dict(parameters), (images, weights))


@dataclass
class Known:
    """What is known of passes that are alike."""

    times: int = 0  # that they were taken as ever
    always: bool = False  # are they to be?
    graph: "Graph | None" = None

    def heed(self, slope: Tensor) -> None:
        """From now on as ever, where the gradient that comes back is to be differentiated or comes in a batch."""
        self.always |= differentiated(slope)


class Graphs:
    """`eager` for one supernet, from graphs where it can be. Raises `NotCaptured`."""

    def __init__(self, net: Supernet, capturing: Callable[[], Capture] = on_cuda) -> None:
        self.net = net
        self.capturing = capturing
        self.own = dict(net.named_parameters())
        self._known: OrderedDict[Hashable, Known] = OrderedDict()

    def __call__(
        self, images: Tensor, weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The logits `[N, classes]`, at other `parameters` if given."""
        if images.requires_grad or transformed():
            return eager(self.net, images, weights, parameters)
        live = self.net.live(weights)
        known = self._alike(self._key(images, weights, live, parameters))
        if known.graph and known.graph.retired:
            known.always, known.graph = True, None
        if known.always or known.times < WARM_UP:
            known.times += 1
            logits = eager(self.net, images, weights, parameters)
            known.always |= self.net.random.drawn
            if logits.requires_grad:
                logits.register_hook(known.heed)  # type: ignore[no-untyped-call]
            return logits
        tables = [weights[kind].to(images.device, non_blocking=True) for kind in live]
        given = [*({**self.own, **(parameters or {})}).values()]
        if known.graph is None:
            known.graph = Graph(self.net, self.capturing(), live, images, tables, given, own=parameters is None)
        return known.graph(images, tables, given)

    def _alike(self, key: Hashable) -> Known:
        known = self._known.setdefault(key, Known())
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known

    def _key(
        self, images: Tensor, weights: Mapping[str, Tensor], live: Live, parameters: Mapping[str, Tensor] | None
    ) -> Hashable:
        """All that the host decides a pass by."""
        net = self.net
        return (
            (images.shape, images.dtype),
            (net.training, is_frozen(net), torch.is_grad_enabled()),
            (net.skip_dropout, net.auxiliary_weight if net.auxiliary_skip else 0.0),
            tuple(live.items()),
            tuple(weights[kind].requires_grad for kind in live),
            parameters is None,
        )


class Asked(NamedTuple):
    """Which gradients are asked for: those of which tables, and those of the parameters."""

    tables: tuple[bool, ...]
    parameters: bool


class Graph:
    """One pass, captured: its way forward, and its ways back as they come to be asked for."""

    def __init__(
        self,
        net: Supernet,
        capture: Capture,
        live: Live,
        images: Tensor,
        tables: Sequence[Tensor],
        parameters: Sequence[Tensor],
        *,
        own: bool,
    ) -> None:
        self.net, self.live, self.training = net, live, net.training
        self.names = [f"net.{name}" for name, _ in net.named_parameters()]
        # Leaves that nothing outside knows, so that all of autograd's graph is made on the stream that is captured.
        # `data`: what autograd has kept of them does not count as changed when they are written to.
        self.images = images.detach().clone()
        self.tables = [table.detach().clone().requires_grad_(table.requires_grad) for table in tables]
        self.parameters = [(p if own else p.clone()).data.requires_grad_() for p in parameters]
        self.read = [x.data for x in (self.images, *self.tables, *(() if own else self.parameters))]
        self.turn = 0  # how often it was replayed
        self.proven = False
        self.retired = False  # is it of no more use?
        self.capture = capture
        self.asked: set[Asked] = set()
        self.ways: dict[Asked, WayBack] = {}
        self.logits = images  # until it is captured
        self.replay = captured(capture, self._compute)

    def _compute(self) -> None:
        self.logits = self.compute(self.images, self.tables, self.parameters)

    def compute(self, images: Tensor, tables: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
        """The pass, kernel by kernel."""
        named = dict(zip(self.names, parameters, strict=True))
        weights = dict(zip(self.live, tables, strict=True))
        return functional_call(_Computed(self.net), named, (images, weights, self.live))

    def __call__(self, images: Tensor, tables: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
        """The logits `[N, classes]`."""
        for asked in self.asked - self.ways.keys():
            self.ways[asked] = WayBack(self, asked)
        logits: Tensor = Replayed.apply(self, images, *tables, *parameters)
        return logits

    def forward(self, images: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """The logits of tables and parameters, by a replay."""
        tables, parameters = self.parted(tensors)
        if not self.proven:
            buffers = [buffer.data for buffer in self.net.buffers()]
            before = [buffer.clone() for buffer in buffers]
        torch._foreach_copy_(self.read, [images, *tensors][: len(self.read)])
        self.replay()
        self.turn += 1
        logits = self.logits.detach().clone()
        if not self.proven:
            found = [logits, *(buffer.clone() for buffer in buffers)]
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
            prove(found, [self.compute(images, tables, parameters), *buffers], "forward")
            self.proven = True
        return logits

    def backward(
        self, asked: Asked, images: Tensor, tensors: Sequence[Tensor], slope: Tensor
    ) -> Sequence[Tensor | None]:
        """The gradients of tables and parameters that are `asked` for: by a replay, once it is known to be right."""
        self.asked.add(asked)
        way = self.ways.get(asked)
        if way is None:
            return self.anew(asked, images, tensors, slope)
        found = way(slope)
        if not way.proven:
            prove(found, self.anew(asked, images, tensors, slope), "back")
            way.proven = True
        return found

    def anew(self, asked: Asked, images: Tensor, tensors: Sequence[Tensor], slope: Tensor) -> Sequence[Tensor | None]:
        """The same by a pass of its own, kernel by kernel; to be differentiated where autograd asks for that."""
        again = torch.is_grad_enabled()
        with torch.enable_grad(), in_mode(self.net, self.training), frozen_statistics(self.net):
            # Views, so that the derivative ends here and does not run on to where the tensors come from.
            own = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in tensors]
            tables, parameters = self.parted(own)
            logits = self.compute(images, tables, parameters)
            leaves = self.leaves(asked, own)
            found = torch.autograd.grad(logits, leaves, slope, create_graph=again, allow_unused=True)
        return self.placed(asked, found)

    def parted(self, of: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
        """What is of tables, and of parameters."""
        return of[: len(self.tables)], of[len(self.tables) :]

    def leaves(self, asked: Asked, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Of tables and parameters, what is asked for."""
        tables, parameters = self.parted(tensors)
        return [*compress(tables, asked.tables), *(parameters if asked.parameters else ())]

    def placed(self, asked: Asked, found: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of `leaves`, where they stand among those of all tables and parameters."""
        following = iter(found)
        tables = [next(following) if wanted else None for wanted in asked.tables]
        return [*tables, *(following if asked.parameters else [None] * len(self.parameters))]


class WayBack:
    """The gradients that are asked for at a graph's latest pass, captured."""

    def __init__(self, graph: Graph, asked: Asked) -> None:
        self.graph, self.asked = graph, asked
        self.slope = torch.empty_like(graph.logits)
        self.proven = False
        self.found: Sequence[Tensor | None] = []
        self.replay = captured(graph.capture, self._differentiate)
        self.stored = Stored(self.found)

    def _differentiate(self) -> None:
        graph = self.graph
        leaves = graph.leaves(self.asked, [*graph.tables, *graph.parameters])
        self.found = torch.autograd.grad(graph.logits, leaves, self.slope, retain_graph=True, allow_unused=True)

    def __call__(self, slope: Tensor) -> list[Tensor | None]:
        """Those of all tables and parameters; None where they are not asked for, or there is none."""
        self.slope.copy_(slope)
        self.replay()
        return self.graph.placed(self.asked, self.stored.copies())


class Stored:
    """Tensors that are overwritten in turn, and how to copy them: as they lie in memory, all at once."""

    def __init__(self, tensors: Sequence[Tensor | None]) -> None:
        self.tensors = tensors
        whole: dict[int, Tensor] = {}
        for tensor in tensors:
            if tensor is not None and (storage := tensor.untyped_storage()).data_ptr() not in whole:
                whole[storage.data_ptr()] = tensor.new_empty(0, dtype=torch.uint8).set_(storage)
        self.sources = list(whole.values())
        self.sizes: list[int] = []  # bytes of each storage, and of the gap behind it
        places = {}
        for address, source in whole.items():
            places[address] = sum(self.sizes)
            self.sizes += [len(source), -len(source) % ALIGNED]
        self.places = [0 if t is None else places[t.untyped_storage().data_ptr()] // t.itemsize for t in tensors]

    def copies(self) -> list[Tensor | None]:
        """Copies as they stand now, of the same strides, each as far from an aligned address as what it copies."""
        if not self.sources:
            return list(self.tensors)
        room = self.sources[0].new_empty(sum(self.sizes))
        torch._foreach_copy_(list(torch.split(room, self.sizes)[::2]), self.sources)
        typed = {t.dtype: room.view(t.dtype) for t in self.tensors if t is not None}
        return [
            None if t is None else typed[t.dtype].as_strided(t.shape, t.stride(), place + t.storage_offset())
            for t, place in zip(self.tensors, self.places, strict=True)
        ]


class Replayed(torch.autograd.Function):
    """`Graph` for autograd: (graph, images, tables, parameters) to logits."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, images: Tensor, *tensors: Tensor) -> Tensor:
        """A replay."""
        logits = graph.forward(images, tensors)
        ctx.graph, ctx.turn = graph, graph.turn
        ctx.save_for_backward(images, *tensors)
        return logits

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        """A replay, or, where that would not do, another pass: from then on the graph is not used any more."""
        graph: Graph = ctx.graph
        images, *tensors = ctx.saved_tensors
        tables, parameters = graph.parted(ctx.next_functions[1:])
        asked = Asked(tuple(map(executes, tables)), any(map(executes, parameters)))
        if ctx.turn != graph.turn or differentiated(slope):
            graph.retired = True
            return None, None, *graph.anew(asked, images, tensors, slope)
        return None, None, *graph.backward(asked, images, tensors, slope)


class _Computed(nn.Module):
    """A supernet's `compute` as a module's `forward`, for `functional_call`."""

    def __init__(self, net: Supernet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor, tables: Mapping[str, Tensor], live: Live) -> Tensor:
        return self.net.compute(images, self.net.weighed(tables, live))


def differentiated(slope: Tensor) -> bool:
    """Whether a backward pass that gets `slope` has to give more than numbers."""
    return torch.is_grad_enabled() or not torch._C._has_storage(slope)


def captured(capture: Capture, run: Run) -> Run:
    """What does again what `run` does. Raises `NotCaptured`."""
    try:
        return capture(run)
    except RuntimeError as error:
        raise NotCaptured(f"a pass cannot be captured ({str(error).strip().partition(chr(10))[0]})") from error


def prove(found: Sequence[Tensor | None], expected: Sequence[Tensor | None], way: str) -> None:
    """Raises `NotCaptured` where two lists of tensors are not the same, bit for bit and in memory."""
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            same = one is other
        else:
            alike = one.shape == other.shape and one.stride() == other.stride()
            same = alike and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
        if not same:
            raise NotCaptured(f"a pass {way} gives other bits from a graph than it gives without")
