"""Genotypes: discrete architectures as values that can be written, compared and counted. Families have notations."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

Edge = tuple[int, int, str]
"""(source node, target node, operation)."""

PARAMETRIC = frozenset({"sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5", "nor_conv_1x1", "nor_conv_3x3"})
"""The operations that learn. A skip-connection is not one, though its factorized reduction at stride 2 has weights."""


class Genotype(ABC):
    """A discrete architecture: for each kind of cell, the operation on each of its edges.

    A cell's nodes are numbered from 0: first its inputs, then its intermediate nodes. Two genotypes are equal when
    they are the same architecture, in whatever order their text lists a node's inputs.
    """

    kinds: ClassVar[tuple[str, ...]]
    inputs: ClassVar[int]
    """Number of input nodes of a cell."""
    nodes: ClassVar[int]
    """Number of intermediate nodes of a cell."""
    outputs: ClassVar[tuple[int, ...]]
    """The nodes that make a cell's output."""

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read the family's notation. Raises `InputError` for anything that is not a well-formed genotype."""

    @abstractmethod
    def edges(self, kind: str) -> tuple[Edge, ...]:
        """The cell's edges with their operations, ordered by target and source."""

    @classmethod
    def possible_edges(cls) -> tuple[tuple[int, int], ...]:
        """Every (source, target) that a cell can have, ordered by target and source: the rows of an alpha."""
        targets = range(cls.inputs, cls.inputs + cls.nodes)
        return tuple((source, target) for target in targets for source in range(target))

    def count(self, kind: str, operation: str) -> int:
        """How many edges of the cell hold `operation`."""
        return sum(name == operation for _, _, name in self.edges(kind))

    def skip_share(self, kind: str) -> float:
        """Skip-connections as a share of the cell's edges. Edges with `none` count, if the notation writes them."""
        return self.count(kind, "skip_connect") / len(self.edges(kind))

    def parametric(self, kind: str) -> int:
        """How many edges of the cell hold an operation that learns (a convolution)."""
        return sum(name in PARAMETRIC for _, _, name in self.edges(kind))

    def depth(self, kind: str) -> int:
        """The number of edges on the longest path without `none` from an input of the cell to its output.

        That is the depth of Shu et al., "Understanding architectures learnt by cell-based NAS" (ICLR 2020). If the
        output concatenates all intermediate nodes, the path may end at any of them. 0 if there is no path.
        """
        longest = dict.fromkeys(range(self.inputs), 0)
        for source, target, operation in self.edges(kind):
            if operation != "none" and source in longest:
                longest[target] = max(longest.get(target, 0), longest[source] + 1)
        return max(longest.get(node, 0) for node in self.outputs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genotype) or type(self) is not type(other):
            return NotImplemented
        return all(self.edges(kind) == other.edges(kind) for kind in self.kinds)

    def __hash__(self) -> int:
        return hash(tuple(self.edges(kind) for kind in self.kinds))


def shorten(text: str) -> str:
    """`text` quoted on one line; a long text without its middle. For error messages."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:40]}...{quoted[-15:]}"
