"""How kernels are captured, and the check that a graph gives the bits of the eager pass."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from spaces.common.cost_clock import preparing
from spaces.common.errors import InputError

Run = Callable[[], None]

Capture = Callable[[Run], Run]
"""Records what a function does without doing it; the function returned does it, on the same tensors."""


class GraphError(InputError):
    """A graph cannot replace a pass. The message is one line with the `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"CUDA graphs: {reason}: run with --no-graphs")
        self.reason = reason


class NotCaptured(GraphError):
    """A pass cannot be captured. It can still run eagerly."""


class OtherBits(GraphError):
    """A replay gave other bits than the eager pass."""


def on_cuda() -> Capture:
    """Captures a GPU's kernels. The graphs of one `Capture` share the memory of their intermediate results."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        graph = torch.cuda.CUDAGraph()
        # Where a capture fails, torch (2.11) leaves its own stream the current one; the outer block restores ours.
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph, pool=pool):
            run()
        return graph.replay

    return capture


def captured(capture: Capture, run: Run) -> Run:
    """The replay of `run`. Raises `NotCaptured`."""
    try:
        with preparing():
            return capture(run)
    except RuntimeError as error:
        raise NotCaptured(f"a pass cannot be captured ({str(error).strip().partition(chr(10))[0]})") from error


def verify(found: Sequence[Tensor | None], expected: Sequence[Tensor | None], direction: str) -> None:
    """Raises `OtherBits` unless the tensors of two lists are equal in every bit and in shape and strides."""
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            same = one is other
        else:
            alike = one.shape == other.shape and one.stride() == other.stride()
            same = alike and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
        if not same:
            raise OtherBits(f"a {direction} pass gives other bits from a graph than it gives without")
