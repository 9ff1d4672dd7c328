"""Which passes run eagerly, and which from a graph; passes that the host decides alike share a graph."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call

from spaces.cells.mixed_cell import transformed
from spaces.cells.operations import is_frozen
from spaces.cells.precision import float32_products
from spaces.cells.supernet import ActiveColumns, Supernet
from spaces.engine.cuda_graphs.capture import Capture, NotCaptured, on_cuda
from spaces.engine.cuda_graphs.graph import Graph, is_differentiated

WARM_UP = 2
"""Eager passes of a kind before one is captured: its kernels are then loaded, and its constants in memory."""

SETTLED = WARM_UP + 2
"""Passes of a kind, each with its gradient, after which those that follow are replays alone.

The first replay asks for the gradients, whose capture is made by the second one.
"""

MAX_GRAPHS = 8
"""Graphs that a supernet keeps, the most recently used ones: each holds the memory of its pass."""


def eager(
    net: nn.Module, images: Tensor, weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None
) -> Tensor:
    """The logits `[N, classes]` of `net`, at other `parameters` if given, kernel by kernel."""
    if parameters is None:
        return net(images, weights)
    return functional_call(net, dict(parameters), (images, weights))


@dataclass
class PassKind:
    """The state of passes that the host decides alike."""

    eager_passes: int = 0
    always_eager: bool = False
    graph: Graph | None = None

    def on_gradient(self, grad_output: Tensor) -> None:
        """Stops the use of graphs if the gradient is differentiated again or comes in a batch."""
        if is_differentiated(grad_output):
            self.stay_eager()

    def stay_eager(self) -> None:
        """Stops the use of graphs."""
        self.always_eager, self.graph = True, None


class Graphs:
    """`eager` for one supernet, replayed from graphs where possible.

    A pass that cannot be captured runs eagerly. Where graphs are `required`, it raises `NotCaptured`. A graph that
    gives other bits raises `OtherBits` in either case.
    """

    def __init__(self, net: Supernet, capturing: Callable[[], Capture] = on_cuda, *, required: bool = False) -> None:
        self.net = net
        self.capturing = capturing
        self.required = required
        self.refused = ""  # why the first pass that was not captured was not
        self.own = dict(net.named_parameters())
        self._kinds: OrderedDict[Hashable, PassKind] = OrderedDict()

    def __call__(
        self, images: Tensor, weights: Mapping[str, Tensor], parameters: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The logits `[N, classes]`, at other `parameters` if given."""
        evaluated = torch.is_grad_enabled() and not self.net.training
        if images.requires_grad or evaluated or transformed():
            return eager(self.net, images, weights, parameters)
        active = self.net.active(weights)
        kind = self._kind(self._key(images, weights, active, parameters))
        if kind.graph and kind.graph.retired:
            kind.stay_eager()
        if kind.always_eager:
            return eager(self.net, images, weights, parameters)
        tables = [weights[name].to(images.device, non_blocking=True) for name in active]
        values = [*({**self.own, **(parameters or {})}).values()]
        if kind.graph:
            graph = self._attempt(kind, kind.graph.ready)
            return graph(images, tables, values) if graph else eager(self.net, images, weights, parameters)
        logits = eager(self.net, images, weights, parameters)
        kind.eager_passes += 1
        if self.net.random.drawn:
            kind.stay_eager()
        elif kind.eager_passes == WARM_UP:  # now, while the constants that the pass has made are still in memory
            own, capture = parameters is None, self.capturing()
            kind.graph = self._attempt(kind, partial(Graph, self.net, capture, active, images, tables, values, own=own))
        if logits.requires_grad:
            logits.register_hook(kind.on_gradient)  # type: ignore[no-untyped-call]
        return logits

    def in_words(self) -> str:
        """Which passes come from graphs, for a record."""
        words = "CUDA graphs where passes allow"
        return f"{words} (not captured: {self.refused})" if self.refused else words

    def _attempt(self, kind: PassKind, capture: Callable[[], Graph]) -> Graph | None:
        """The graph that `capture` makes. None if it cannot, and passes of this kind are eager from now on."""
        try:
            return capture()
        except NotCaptured as error:
            if self.required:
                raise
            kind.stay_eager()
            self.refused = self.refused or error.reason
            return None

    def _kind(self, key: Hashable) -> PassKind:
        kind = self._kinds.setdefault(key, PassKind())
        self._kinds.move_to_end(key)
        if len(self._kinds) > MAX_GRAPHS:
            self._kinds.popitem(last=False)
        return kind

    def _key(
        self,
        images: Tensor,
        weights: Mapping[str, Tensor],
        active: ActiveColumns,
        parameters: Mapping[str, Tensor] | None,
    ) -> Hashable:
        """Everything by which the host decides which kernels a pass consists of."""
        net = self.net
        return (
            (images.shape, images.stride(), images.dtype),
            (net.engine, net.precision, float32_products(), net.training, is_frozen(net), torch.is_grad_enabled()),
            (net.skip_dropout, net.active_auxiliary_weight is None),
            tuple(active.items()),
            tuple((weights[name].requires_grad, weights[name].dtype) for name in active),
            parameters is None,
        )
