"""The notation of NAS-Bench-201 genotypes."""

from dataclasses import dataclass
from typing import ClassVar, Self

from spaces.cells.genotype import Edge, Genotype, shorten
from spaces.common.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class NatsGenotype(Genotype):
    """A genotype of the NATS-Bench topology space, which is NAS-Bench-201's (Dong & Yang, ICLR 2020).

    `cell` holds the operations of the six edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3; a node sums its inputs and node 3
    is the output.

    Raises `InputError` if there are not six.
    """

    kinds: ClassVar[tuple[str, ...]] = ("cell",)
    inputs: ClassVar[int] = 1
    nodes: ClassVar[int] = 3
    outputs: ClassVar[tuple[int, ...]] = (3,)

    cell: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.cell) != len(self.possible_edges()):
            raise InputError(
                f"the cell lists {len(self.cell)} operations: a genotype of nats-tss has six, one for each edge"
            )

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        nodes = text.strip().split("+")
        if len(nodes) != cls.nodes:
            raise InputError(
                f"{shorten(text)} describes {len(nodes)} nodes: a genotype of nats-tss has three, separated by '+'"
            )
        operations: list[str] = []
        for target, node in enumerate(nodes, start=1):
            if len(node) < 2 or not (node.startswith("|") and node.endswith("|")):
                raise InputError(f"{shorten(node)} is not a node of a nats-tss genotype: write it as |op~0|op~1|")
            terms = node[1:-1].split("|")
            if len(terms) != target:
                raise InputError(f"node {target} of the nats-tss genotype has {len(terms)} inputs: it has {target}")
            for source, term in enumerate(terms):
                operation, tilde, index = term.partition("~")
                if not tilde or index != str(source):
                    raise InputError(
                        f"{shorten(term)} of node {target} is an impossible edge: inputs are written in order, "
                        f"this one as op~{source}"
                    )
                operations.append(operation)
        return cls(tuple(operations))

    def edges(self, kind: str) -> tuple[Edge, ...]:
        """The cell's six edges with their operations, `none` among them."""
        cell = {"cell": self.cell}[kind]
        return tuple((*edge, operation) for edge, operation in zip(self.possible_edges(), cell, strict=True))

    def __str__(self) -> str:
        nodes: dict[int, str] = {}
        for source, target, operation in self.edges("cell"):
            nodes[target] = nodes.get(target, "|") + f"{operation}~{source}|"
        return "+".join(nodes.values())

    __repr__ = __str__
