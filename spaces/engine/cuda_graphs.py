"""A supernet's passes as CUDA graphs: what the host would issue kernel by kernel, it issues at once.

The first times a pass is taken as ever. Then its kernels are captured, and from then on replayed: images, tables and
foreign parameters are copied to where the graph reads them, logits and gradients from where it writes them, so
nothing that a caller holds is overwritten. What the host decides is part of a graph: passes that differ in it have
graphs of their own. Parameters and buffers are read where they lie: they may be written to, not replaced.

Taken as ever are passes that draw, that overlap (one begins before another has given its gradient), whose gradient is
differentiated once more, that have a gradient in `eval()` mode, or that are under a functional transform.

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

from spaces.cells.mixed_cell import MixedCell, transformed
from spaces.cells.operations import clones, frozen_statistics, in_mode, is_frozen, restored_statistics
from spaces.cells.supernet import ActiveColumns, Supernet
from spaces.common.errors import InputError
from spaces.engine.fused_cell import executes

T = TypeVar("T")

Run = Callable[[], None]

Capture = Callable[[Run], Run]
"""Takes what a function does without doing it; what it gives back does it, with the same tensors."""

WARM_UP = 2
"""How often a pass is taken as ever before it is captured, so that kernels are loaded; constants are then in place."""

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

    def heed(self, grad_output: Tensor) -> None:
        """From now on as ever, where the gradient that comes back is to be differentiated or comes in a batch."""
        if differentiated(grad_output):
            self.never()

    def never(self) -> None:
        """From now on as ever."""
        self.always, self.graph = True, None


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
        evaluated = torch.is_grad_enabled() and not self.net.training
        if images.requires_grad or evaluated or transformed():
            return eager(self.net, images, weights, parameters)
        active = self.net.active(weights)
        known = self._alike(self._key(images, weights, active, parameters))
        if known.graph and known.graph.retired:
            known.never()
        if known.always:
            return eager(self.net, images, weights, parameters)
        tables = [weights[kind].to(images.device, non_blocking=True) for kind in active]
        given = [*({**self.own, **(parameters or {})}).values()]
        if known.graph:
            return known.graph(images, tables, given)
        logits = eager(self.net, images, weights, parameters)
        known.times += 1
        if self.net.random.drawn:
            known.never()
        elif known.times == WARM_UP:  # at once, while all that the pass has made for itself is still there
            known.graph = Graph(self.net, self.capturing(), active, images, tables, given, own=parameters is None)
        if logits.requires_grad:
            logits.register_hook(known.heed)  # type: ignore[no-untyped-call]
        return logits

    def _alike(self, key: Hashable) -> Known:
        known = self._known.setdefault(key, Known())
        self._known.move_to_end(key)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return known

    def _key(
        self,
        images: Tensor,
        weights: Mapping[str, Tensor],
        active: ActiveColumns,
        parameters: Mapping[str, Tensor] | None,
    ) -> Hashable:
        """All that the host decides a pass by."""
        net = self.net
        return (
            (images.shape, images.stride(), images.dtype),
            (net.engine, net.precision, net.training, is_frozen(net), torch.is_grad_enabled()),
            (net.skip_dropout, net.beside is None),
            tuple(active.items()),
            tuple((weights[kind].requires_grad, weights[kind].dtype) for kind in active),
            parameters is None,
        )


class Asked(NamedTuple):
    """Which gradients are asked for: those of which tables, and those of the parameters."""

    tables: tuple[bool, ...]
    parameters: bool


class Given(NamedTuple):
    """What a pass was given: images, tables and parameters, and the weight of auxiliary skip-connections."""

    images: Tensor
    tensors: Sequence[Tensor]
    beside: float | None


class Graph:
    """One pass, captured: its way forward, and its ways back as they come to be asked for."""

    def __init__(
        self,
        net: Supernet,
        capture: Capture,
        active: ActiveColumns,
        images: Tensor,
        tables: Sequence[Tensor],
        parameters: Sequence[Tensor],
        *,
        own: bool,
    ) -> None:
        self.net, self.active, self.training, self.frozen = net, active, net.training, is_frozen(net)
        self.names = [f"net.{name}" for name, _ in net.named_parameters()]
        # Leaves that nothing outside knows, so that all of autograd's graph is made on the stream that is captured.
        # `data`: what autograd has kept of them does not count as changed when they are written to.
        self.images = images.detach().clone()
        self.tables = [table.detach().clone().requires_grad_(table.requires_grad) for table in tables]
        self.parameters = [(p if own else p.clone()).data.requires_grad_() for p in parameters]
        self.beside = None if net.beside is None else images.new_empty((), dtype=torch.float64)
        self.read = [x.data for x in (self.images, *self.tables, *(() if own else self.parameters))]
        self.turn = 0  # how often it was replayed
        self.proven = False
        self.retired = False  # is it of no more use?
        self.capture = capture
        self.asked: set[Asked] = set()
        self.ways: dict[Asked, WayBack] = {}
        self.logits = images  # until it is captured
        self.replay = captured(capture, self._compute)
        # Their constants are read in every replay, and a cell keeps the latest plans alone.
        self.plans = [plan for cell in net.modules() if isinstance(cell, MixedCell) for plan in cell.plans]

    def _compute(self) -> None:
        self.logits = self.compute(self.images, self.tables, self.parameters, self.beside)

    def compute(
        self,
        images: Tensor,
        tables: Sequence[Tensor],
        parameters: Sequence[Tensor],
        beside: Tensor | float | None,
    ) -> Tensor:
        """The pass, kernel by kernel."""
        named = dict(zip(self.names, parameters, strict=True))
        weights = dict(zip(self.active, tables, strict=True))
        return functional_call(_Computed(self.net), named, (images, weights, self.active, beside))

    def __call__(self, images: Tensor, tables: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
        """The logits `[N, classes]`."""
        for asked in self.asked - self.ways.keys():
            leaves = self.leaves(asked, [*self.tables, *self.parameters])
            self.ways[asked] = WayBack(self.capture, self.logits, leaves)
        logits: Tensor = Replayed.apply(self, images, *tables, *parameters)
        return logits

    def forward(self, images: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """The logits of tables and parameters, by a replay."""
        tables, parameters = self.parted(tensors)
        if not self.proven:
            with restored_statistics(self.net):
                expected = [self.compute(images, tables, parameters, self.net.beside), *clones(self.net.buffers())]
        torch._foreach_copy_(self.read, [images, *tensors][: len(self.read)])
        if self.beside is not None:
            self.beside.data.fill_(self.net.auxiliary_weight)
        self.replay()
        self.turn += 1
        logits = self.logits.detach().clone()
        if not self.proven:
            prove([logits, *self.net.buffers()], expected, "forward")
            self.proven = True
        return logits

    def backward(self, asked: Asked, given: Given, grad_output: Tensor) -> Sequence[Tensor | None]:
        """The gradients of tables and parameters that are `asked` for: by a replay, once it is known to be right."""
        self.asked.add(asked)
        way = self.ways.get(asked)
        if way is None:
            return self.anew(asked, given, grad_output)
        found = self.placed(asked, way(grad_output))
        if not way.proven:
            prove(found, self.anew(asked, given, grad_output), "back")
            way.proven = True
        return found

    def anew(self, asked: Asked, given: Given, grad_output: Tensor) -> Sequence[Tensor | None]:
        """The same by a pass of its own, kernel by kernel; to be differentiated where autograd asks for that."""
        again = torch.is_grad_enabled()
        statistics = frozen_statistics if self.frozen else restored_statistics  # in bf16 they do not round alike
        with torch.enable_grad(), in_mode(self.net, self.training), statistics(self.net):
            # Views, so that the derivative ends here and does not run on to where the tensors come from.
            own = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in given.tensors]
            logits = self.compute(given.images, *self.parted(own), given.beside)
            leaves = self.leaves(asked, own)
            found = torch.autograd.grad(logits, leaves, grad_output, create_graph=again, allow_unused=True)
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
    """The gradients of `leaves` at the latest pass that gave `logits`, captured."""

    def __init__(self, capture: Capture, logits: Tensor, leaves: Sequence[Tensor]) -> None:
        self.grad_output = torch.empty_like(logits)
        self.proven = False
        found: list[Tensor | None] = []

        def differentiate() -> None:
            found[:] = torch.autograd.grad(logits, leaves, self.grad_output, retain_graph=True, allow_unused=True)

        self.replay = captured(capture, differentiate)
        self.stored = Stored(found)

    def __call__(self, grad_output: Tensor) -> list[Tensor | None]:
        """Those of all leaves; None for one that nothing depends on."""
        self.grad_output.copy_(grad_output)
        self.replay()
        return self.stored.copies()


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
        ctx.graph, ctx.turn, ctx.beside = graph, graph.turn, graph.net.beside
        ctx.save_for_backward(images, *tensors)
        return logits

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """A replay, or, where that would not do, another pass: from then on the graph is not used any more."""
        graph: Graph = ctx.graph
        images, *tensors = ctx.saved_tensors
        given = Given(images, tensors, ctx.beside)
        tables, parameters = graph.parted(ctx.next_functions[1:])
        asked = Asked(tuple(map(executes, tables)), any(map(executes, parameters)))
        if ctx.turn != graph.turn or differentiated(grad_output):
            graph.retired = True
            return None, None, *graph.anew(asked, given, grad_output)
        return None, None, *graph.backward(asked, given, grad_output)


class _Computed(nn.Module):
    """A supernet's `compute` as a module's `forward`, for `functional_call`."""

    def __init__(self, net: Supernet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Tensor, tables: Mapping[str, Tensor], active: ActiveColumns, beside: Tensor | float | None
    ) -> Tensor:
        return self.net.compute(images, self.net.weighed(tables, active, beside))


def differentiated(grad_output: Tensor) -> bool:
    """Whether a backward pass that gets `grad_output` has to give more than numbers."""
    return torch.is_grad_enabled() or not torch._C._has_storage(grad_output)


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
