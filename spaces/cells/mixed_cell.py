"""A searched cell: its edges with their operations, the weights of these, and the engine that computes them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from spaces.cells.operations import strided
from spaces.common.streams import NoiseStream

Engine = Literal["reference", "fast"]

Choice = Mapping[str, Tensor | float]
"""The operations of one edge that are computed, each with its weight (a scalar)."""

AUXILIARY = "auxiliary_skip"
"""The name on an edge of the skip-connection that no alpha weighs."""


class MixedEdge(nn.ModuleDict):
    """The operations of one edge by name, summed with their weights. `channels` are those of every operation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor, choice: Choice) -> Tensor | None:
        """The weighted sum of the operations in `choice`, or `None` where nothing is chosen."""
        terms = [weight * self[name](x) for name, weight in choice.items()]
        return reduce(torch.add, terms) if terms else None


@dataclass(frozen=True)
class CellWeights:
    """The weights of a cell's operations: a table `[edges, operations]`, of which the active columns are computed.

    `active[edge]` are these columns. Each edge also has its auxiliary skip-connection, weighed by a scalar, unless
    `auxiliary` is None.
    """

    operations: tuple[str, ...]
    table: Tensor
    active: tuple[tuple[int, ...], ...]
    auxiliary: Tensor | float | None

    @cached_property
    def choices(self) -> list[Choice]:
        """For each edge the operations to compute, with their weights."""
        # One unbind and not an index for each weight, so that the backward pass gathers all gradients at once.
        scalars, width = self.table.flatten().unbind(), len(self.operations)
        auxiliary: Choice = {} if self.auxiliary is None else {AUXILIARY: self.auxiliary}
        return [
            {**{self.operations[column]: scalars[edge * width + column] for column in columns}, **auxiliary}
            for edge, columns in enumerate(self.active)
        ]


class CellEngine(Protocol):
    """Computes one mixed cell in place of its reference definition; a supernet gives each of its cells one."""

    @property
    def plans(self) -> Sequence[object]:
        """What is cached for the cell; it holds constants on the device."""

    def compute(self, cell: "MixedCell", inputs: Sequence[Tensor], weights: CellWeights) -> Tensor:
        """What `cell.join(cell.nodes(inputs, weights.choices))` returns, differentiable as often as that is."""

    def admit(self, like: Tensor) -> None:
        """Raise `InputError` if the device of `like` does not compute what the reference defines."""

    def kernels(self, cell: "MixedCell", like: Tensor) -> str:
        """In words, the kernels that compute the cell for inputs of the device and data type of `like`."""

    def unknown(self, cell: "MixedCell") -> list[str]:
        """The names of the cell's operations that the engine leaves to their own modules, as the reference does."""


class MixedCell(nn.Module):
    """The edges of a searched cell, from input nodes to intermediate nodes, each the sum of its incoming edges.

    If `joined`, the output is all intermediate nodes, concatenated; else it is the last one. `node_norm` makes a norm
    for each intermediate node, applied to its sum. `engine` names the engine in use, and `fast` is the fast engine.
    """

    def __init__(
        self,
        kind: str,
        wiring: Sequence[tuple[int, int]],
        edges: Sequence[MixedEdge],
        stride: int,
        random: NoiseStream,
        node_norm: Callable[[], nn.Module] | None = None,
        *,
        joined: bool,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.channels = edges[0].channels
        self.stride = stride
        self.joined = joined
        self.random = random
        self.engine: Engine = "reference"
        self.fast: CellEngine | None = None
        self.edges = nn.ModuleList(edges)
        # Target node -> its incoming edges, as (number, source).
        self.incoming: dict[int, list[tuple[int, int]]] = {}
        for number, (source, target) in enumerate(wiring):
            self.incoming.setdefault(target, []).append((number, source))
        self.node_norms = nn.ModuleList(node_norm() for _ in self.incoming) if node_norm else None

    @property
    def plans(self) -> Sequence[object]:
        """What the fast engine has cached for this cell; it holds constants on the device."""
        return self.fast.plans if self.fast else ()

    def mix(self, inputs: Sequence[Tensor], weights: CellWeights) -> Tensor:
        """The cell's output for these input nodes, `[N, C or nodes · C, H, W]`.

        Raises `InputError` if the inputs' device has failed its self-test.
        """
        if self.fast is not None:
            self.fast.admit(inputs[0])
        if self.engine == "fast" and not transformed() and not torch.is_autocast_enabled(inputs[0].device.type):
            assert self.fast is not None
            return self.fast.compute(self, inputs, weights)
        return self.join(self.nodes(inputs, weights.choices))

    def join(self, states: Sequence[Tensor]) -> Tensor:
        """The cell's output, from the states of all its nodes."""
        nodes = list(states[-len(self.incoming) :])
        return torch.cat(nodes, dim=1) if self.joined else nodes[-1]

    def nodes(self, inputs: Sequence[Tensor], choices: Sequence[Choice]) -> list[Tensor]:
        """The states of all nodes, inputs first, for one choice per edge."""
        states = list(inputs)
        for place, incoming in enumerate(self.incoming.values()):
            sums = (self.edges[number](states[source], choices[number]) for number, source in incoming)
            terms = [term for term in sums if term is not None]
            # A node without incoming operations other than `none` is zero.
            state = reduce(torch.add, terms) if terms else torch.zeros_like(strided(inputs[0], self.stride))
            states.append(self.node_norms[place](state) if self.node_norms else state)
        return states


class ByReference(nn.Module):
    """A cell computed by the reference engine, whatever its own."""

    def __init__(self, cell: MixedCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, inputs: Sequence[Tensor], weights: CellWeights) -> Tensor:
        """See `MixedCell.mix`."""
        return self.cell.join(self.cell.nodes(inputs, weights.choices))


def transformed() -> bool:
    """Whether a functional transform or forward-mode differentiation is active: the fast engine supports neither."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0
