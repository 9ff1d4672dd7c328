"""One pass through a supernet, captured: its forward pass, and a backward pass for each set of gradients."""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from spaces.cells.mixed_cell import MixedCell
from spaces.cells.operations import clones, frozen_statistics, in_mode, is_frozen, restored_statistics
from spaces.cells.supernet import ActiveColumns, Supernet
from spaces.engine.cuda_graphs.capture import Capture, captured, verify
from spaces.engine.cuda_graphs.outputs import Outputs
from spaces.engine.fused_cell import executes

T = TypeVar("T")


class Requested(NamedTuple):
    """The gradients that a backward pass computes: for each table whether it is one of them, and for the parameters."""

    tables: tuple[bool, ...]
    parameters: bool


class Inputs(NamedTuple):
    """The inputs of one pass: images, tables and parameters, and the weight of auxiliary skip-connections."""

    images: Tensor
    tensors: Sequence[Tensor]
    auxiliary: float | None


class Graph:
    """A captured pass. Backward passes are captured when they have been requested once."""

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
        """Captures the forward pass. `own`: the parameters are the supernet's, read in place. Raises `NotCaptured`."""
        self.net, self.active, self.training, self.frozen = net, active, net.training, is_frozen(net)
        self.names = [f"net.{name}" for name, _ in net.named_parameters()]
        # Leaves that nothing else refers to, so that all of autograd's graph is made on the stream that is captured.
        # `data`: writing to them does not count as a change of what autograd has saved of them.
        self.images = images.detach().clone()
        self.tables = [table.detach().clone().requires_grad_(table.requires_grad) for table in tables]
        self.parameters = [(p if own else p.clone()).data.requires_grad_() for p in parameters]
        self.auxiliary = None if net.active_auxiliary_weight is None else images.new_empty((), dtype=torch.float64)
        self.copied = [x.data for x in (self.images, *self.tables, *(() if own else self.parameters))]
        self.replays = 0
        self.verified = False
        self.retired = False  # passes like this one run eagerly from now on
        self.capture = capture
        self.requested: set[Requested] = set()
        self.backward_graphs: dict[Requested, BackwardGraph] = {}
        self.logits = images  # until it is captured
        self.replay = captured(capture, self._compute)
        # Every replay reads the plans' constants, and a cell keeps only its latest plans.
        self.plans = [plan for cell in net.modules() if isinstance(cell, MixedCell) for plan in cell.plans]

    def _compute(self) -> None:
        self.logits = self.compute(self.images, self.tables, self.parameters, self.auxiliary)

    def compute(
        self,
        images: Tensor,
        tables: Sequence[Tensor],
        parameters: Sequence[Tensor],
        auxiliary: Tensor | float | None,
    ) -> Tensor:
        """The logits `[N, classes]` of an eager pass."""
        named = dict(zip(self.names, parameters, strict=True))
        weights = dict(zip(self.active, tables, strict=True))
        return functional_call(_Computed(self.net), named, (images, weights, self.active, auxiliary))

    def ready(self) -> Self:
        """The graph itself, the backward passes captured that were requested before. Raises `NotCaptured`."""
        for requested in self.requested - self.backward_graphs.keys():
            leaves = self.leaves(requested, [*self.tables, *self.parameters])
            self.backward_graphs[requested] = BackwardGraph(self.capture, self.logits, leaves)
        return self

    def __call__(self, images: Tensor, tables: Sequence[Tensor], parameters: Sequence[Tensor]) -> Tensor:
        """The logits `[N, classes]` of a replay, with the captured backward passes as their derivative."""
        logits: Tensor = Replayed.apply(self, images, *tables, *parameters)
        return logits

    def forward(self, images: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        """The logits `[N, classes]` for these tables and parameters. The first replay is verified."""
        tables, parameters = self.split(tensors)
        if not self.verified:
            with restored_statistics(self.net):
                expected = [
                    self.compute(images, tables, parameters, self.net.active_auxiliary_weight),
                    *clones(self.net.buffers()),
                ]
        torch._foreach_copy_(self.copied, [images, *tensors][: len(self.copied)])
        if self.auxiliary is not None:
            self.auxiliary.data.fill_(self.net.auxiliary_weight)
        self.replay()
        self.replays += 1
        logits = self.logits.detach().clone()
        if not self.verified:
            verify([logits, *self.net.buffers()], expected, "forward")
            self.verified = True
        return logits

    def backward(self, requested: Requested, inputs: Inputs, grad_output: Tensor) -> Sequence[Tensor | None]:
        """The requested gradients of tables and parameters: by a replay if one is captured. The first is verified."""
        self.requested.add(requested)
        replay = self.backward_graphs.get(requested)
        if replay is None:
            return self.eager_backward(requested, inputs, grad_output)
        found = self.scatter(requested, replay(grad_output))
        if not replay.verified:
            verify(found, self.eager_backward(requested, inputs, grad_output), "backward")
            replay.verified = True
        return found

    def eager_backward(self, requested: Requested, inputs: Inputs, grad_output: Tensor) -> Sequence[Tensor | None]:
        """The requested gradients by an eager pass, differentiable where autograd wants to differentiate them."""
        again = torch.is_grad_enabled()
        statistics = frozen_statistics if self.frozen else restored_statistics  # bf16 rounds differently in the two
        with torch.enable_grad(), in_mode(self.net, self.training), statistics(self.net):
            # Views, so that the derivative ends here and does not go on to where the tensors come from.
            own = [t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in inputs.tensors]
            logits = self.compute(inputs.images, *self.split(own), inputs.auxiliary)
            leaves = self.leaves(requested, own)
            found = torch.autograd.grad(logits, leaves, grad_output, create_graph=again, allow_unused=True)
        return self.scatter(requested, found)

    def split(self, values: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
        """The values of the tables, and those of the parameters."""
        return values[: len(self.tables)], values[len(self.tables) :]

    def leaves(self, requested: Requested, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tables and parameters whose gradients are requested."""
        tables, parameters = self.split(tensors)
        return [*compress(tables, requested.tables), *(parameters if requested.parameters else ())]

    def scatter(self, requested: Requested, found: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The gradients of `leaves` in their places among all tables and parameters; None in the other places."""
        following = iter(found)
        tables = [next(following) if wanted else None for wanted in requested.tables]
        return [*tables, *(following if requested.parameters else [None] * len(self.parameters))]


class BackwardGraph:
    """The gradients of `leaves` for the latest pass that gave `logits`, captured. Raises `NotCaptured`."""

    def __init__(self, capture: Capture, logits: Tensor, leaves: Sequence[Tensor]) -> None:
        self.grad_output = torch.empty_like(logits)
        self.verified = False
        found: list[Tensor | None] = []

        def differentiate() -> None:
            found[:] = torch.autograd.grad(logits, leaves, self.grad_output, retain_graph=True, allow_unused=True)

        self.replay = captured(capture, differentiate)
        self.outputs = Outputs(found)

    def __call__(self, grad_output: Tensor) -> list[Tensor | None]:
        """One gradient a leaf; None for a leaf that the logits do not depend on."""
        self.grad_output.copy_(grad_output)
        self.replay()
        return self.outputs.copies()


class Replayed(torch.autograd.Function):
    """`Graph` as an autograd function: (graph, images, tables, parameters) to logits."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, images: Tensor, *tensors: Tensor) -> Tensor:
        """A replay."""
        logits = graph.forward(images, tensors)
        ctx.graph, ctx.replay, ctx.auxiliary = graph, graph.replays, graph.net.active_auxiliary_weight
        ctx.save_for_backward(images, *tensors)
        return logits

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """A replay. Another pass has overwritten its values, or its gradient is differentiated: an eager pass."""
        graph: Graph = ctx.graph
        images, *tensors = ctx.saved_tensors
        inputs = Inputs(images, tensors, ctx.auxiliary)
        tables, parameters = graph.split(ctx.next_functions[1:])
        requested = Requested(tuple(map(executes, tables)), any(map(executes, parameters)))
        if ctx.replay != graph.replays or is_differentiated(grad_output):
            graph.retired = True
            return None, None, *graph.eager_backward(requested, inputs, grad_output)
        return None, None, *graph.backward(requested, inputs, grad_output)


class _Computed(nn.Module):
    """A supernet's `compute` as a module's `forward`, for `functional_call`."""

    def __init__(self, net: Supernet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Tensor, tables: Mapping[str, Tensor], active: ActiveColumns, auxiliary: Tensor | float | None
    ) -> Tensor:
        return self.net.compute(images, self.net.weighed(tables, active, auxiliary))


def is_differentiated(grad_output: Tensor) -> bool:
    """Whether a backward pass that gets `grad_output` is differentiated itself, or runs over a batch of gradients."""
    return torch.is_grad_enabled() or not torch._C._has_storage(grad_output)
