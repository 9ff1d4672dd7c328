"""Genotypes: discrete architectures in the field's two notations, as values that can be compared and counted."""

import ast
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

from spaces.common.errors import InputError

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
        """Read the field's notation. Raises `InputError` for anything that is not a well-formed genotype."""

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
        """Skip-connections as a share of the cell's edges, `none` among them where the notation writes it."""
        return self.count(kind, "skip_connect") / len(self.edges(kind))

    def parametric(self, kind: str) -> int:
        """How many edges of the cell hold an operation that learns (a convolution)."""
        return sum(name in PARAMETRIC for _, _, name in self.edges(kind))

    def depth(self, kind: str) -> int:
        """The number of edges on the longest path from an input of the cell to its output, `none` breaking a path.

        That is the depth of Shu et al., "Understanding architectures learnt by cell-based NAS" (ICLR 2020). Where the
        output concatenates all intermediate nodes, the path may end at any of them. 0 if no path leads through.
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


@dataclass(frozen=True, eq=False, repr=False)
class DartsGenotype(Genotype):
    """A genotype of the DARTS space and its relatives (Liu et al., "DARTS", ICLR 2019).

    `normal` and `reduce` hold two (operation, input node) pairs for each of the four intermediate nodes, in the
    order in which they were written; the cell's output concatenates all four.

    Raises `InputError` where a cell has another number of pairs, a node two equal inputs or one not before it.
    """

    kinds: ClassVar[tuple[str, ...]] = ("normal", "reduce")
    inputs: ClassVar[int] = 2
    nodes: ClassVar[int] = 4
    outputs: ClassVar[tuple[int, ...]] = (2, 3, 4, 5)

    normal: tuple[tuple[str, int], ...]
    reduce: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        for kind in self.kinds:
            self._check(kind, getattr(self, kind))

    def _check(self, kind: str, pairs: tuple[tuple[str, int], ...]) -> None:
        if len(pairs) != 2 * self.nodes:
            raise InputError(
                f"the {kind} cell lists {len(pairs)} operations: a DARTS genotype has 8, two for each of four nodes"
            )
        for node in range(self.nodes):
            target = node + self.inputs
            first, second = (source for _, source in pairs[2 * node : 2 * node + 2])
            for source in (first, second):
                if not 0 <= source < target:
                    raise InputError(
                        f"the {kind} cell has an impossible edge {source} -> {target}: "
                        f"inputs of node {target} are 0 to {target - 1}"
                    )
            if first == second:
                raise InputError(f"node {target} of the {kind} cell takes input {first} twice: its two inputs differ")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=[2, 3, 4, 5], reduce=[...], ...)`.

        Lists may be tuples, a concatenation `range(2, 6)`, and the whole as it stands in a module of genotypes or in
        a log: `DARTS_V1 = Genotype(...)`, `genotypes.Genotype(...)`. Nothing of the text is ever evaluated.
        """
        fields = _keywords(text)
        for kind in cls.kinds:
            if _numbers(fields[f"{kind}_concat"], f"{kind}_concat") != cls.outputs:
                raise InputError(f"{kind}_concat of a DARTS genotype is [2, 3, 4, 5]: all four intermediate nodes")
        return cls(**{kind: _pairs(fields[kind], kind) for kind in cls.kinds})

    def edges(self, kind: str) -> tuple[Edge, ...]:
        """The cell's eight edges with their operations, ordered by target and source."""
        pairs: tuple[tuple[str, int], ...] = {"normal": self.normal, "reduce": self.reduce}[kind]
        edges = ((source, index // 2 + self.inputs, operation) for index, (operation, source) in enumerate(pairs))
        return tuple(sorted(edges, key=lambda edge: (edge[1], edge[0])))

    def __str__(self) -> str:
        concat = list(self.outputs)
        return (
            f"Genotype(normal={list(self.normal)}, normal_concat={concat}, "
            f"reduce={list(self.reduce)}, reduce_concat={concat})"
        )

    __repr__ = __str__


@dataclass(frozen=True, eq=False, repr=False)
class NatsGenotype(Genotype):
    """A genotype of the NATS-Bench topology space, which is NAS-Bench-201's (Dong & Yang, ICLR 2020).

    `cell` holds the operations of the six edges 0->1, 0->2, 1->2, 0->3, 1->3, 2->3; a node sums its inputs and node 3
    is the output.

    Raises `InputError` where there are not six.
    """

    kinds: ClassVar[tuple[str, ...]] = ("cell",)
    inputs: ClassVar[int] = 1
    nodes: ClassVar[int] = 3
    outputs: ClassVar[tuple[int, ...]] = (3,)

    cell: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.cell) != len(self.possible_edges()):
            raise InputError(f"the cell lists {len(self.cell)} operations: a genotype of nats-tss has six, one an edge")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        nodes = text.strip().split("+")
        if len(nodes) != cls.nodes:
            raise InputError(
                f"{_shorten(text)} describes {len(nodes)} nodes: a genotype of nats-tss has three, '+' between"
            )
        operations: list[str] = []
        for target, node in enumerate(nodes, start=1):
            if len(node) < 2 or not (node.startswith("|") and node.endswith("|")):
                raise InputError(f"{_shorten(node)} is not a node of a nats-tss genotype: write it as |op~0|op~1|")
            terms = node[1:-1].split("|")
            if len(terms) != target:
                raise InputError(f"node {target} of the nats-tss genotype has {len(terms)} inputs: it has {target}")
            for source, term in enumerate(terms):
                operation, tilde, index = term.partition("~")
                if not tilde or index != str(source):
                    raise InputError(
                        f"{_shorten(term)} of node {target} is an impossible edge: its inputs are written in order, "
                        f"this one op~{source}"
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


def _shorten(text: str) -> str:
    """`text` quoted on one line, its middle left out when it is long."""
    quoted = repr(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:40]}...{quoted[-15:]}"


def _keywords(text: str) -> dict[str, ast.expr]:
    """The four arguments of a written `Genotype(...)`, unevaluated."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in what may be no genotype at all
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        statements = []
    match statements:
        case [ast.Expr(value=written) | ast.Assign(targets=[ast.Name()], value=written)]:
            call = written
        case _:
            raise InputError(f"{_shorten(text)} is not a DARTS genotype: it does not read as Genotype(normal=...)")
    match call:
        case ast.Call(func=ast.Name(id="Genotype") | ast.Attribute(value=ast.Name(), attr="Genotype")):
            pass
        case _:
            raise InputError(f"{_shorten(text)} is not a DARTS genotype: write Genotype(normal=[...], ...)")
    fields = {keyword.arg: keyword.value for keyword in call.keywords}
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    if call.args or len(call.keywords) != len(names) or set(fields) != set(names):
        raise InputError(f"a DARTS genotype has exactly the arguments {', '.join(names)}, each by its name")
    return {name: fields[name] for name in names}


def _literal(node: ast.expr, name: str) -> tuple[object, ...]:
    """The list or tuple that is written in `node`."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} of a DARTS genotype is a list")
    return tuple(value)


def _numbers(node: ast.expr, name: str) -> tuple[int, ...]:
    """The node numbers written in `node`, as a list, a tuple or a range."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        bounds = [bound.value for bound in node.args if isinstance(bound, ast.Constant) and type(bound.value) is int]
        if len(bounds) != 2 or len(node.args) != 2:
            raise InputError(f"{name} of a DARTS genotype is a list or range(2, 6)")
        # Compared, not built: a range can be written that no memory holds.
        return tuple(range(*bounds)) if bounds == [2, 6] else ()
    numbers = _literal(node, name)
    return tuple(number for number in numbers if type(number) is int) if _all_ints(numbers) else ()


def _all_ints(values: Iterable[object]) -> bool:
    return all(type(value) is int for value in values)


def _pairs(node: ast.expr, kind: str) -> tuple[tuple[str, int], ...]:
    """The (operation, input) pairs written in `node`."""
    pairs: list[tuple[str, int]] = []
    for pair in _literal(node, kind):
        match pair:
            case [str(operation), int(source)] if type(source) is int:
                pairs.append((operation, source))
            case _:
                raise InputError(f"{_shorten(str(pair))} in the {kind} cell is not a pair (operation, input node)")
    return tuple(pairs)
