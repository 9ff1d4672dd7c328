"""The notation of DARTS genotypes, read without evaluating anything of the text."""

import ast
import warnings
from dataclasses import dataclass
from typing import ClassVar, Self

from spaces.cells.genotype import Edge, Genotype, shorten
from spaces.common.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class DartsGenotype(Genotype):
    """A genotype of the DARTS space and its relatives (Liu et al., "DARTS", ICLR 2019).

    `normal` and `reduce` hold two (operation, input node) pairs for each of the four intermediate nodes, in the
    order in which they were written; the cell's output concatenates all four.

    Raises `InputError` if a cell has another number of pairs, or a node has equal inputs or an input after it.
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

        Lists may be tuples, a concatenation may be `range(2, 6)`, and the text may be a line of a module of genotypes
        or of a log: `DARTS_V1 = Genotype(...)`, `genotypes.Genotype(...)`. Nothing of the text is evaluated.
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


def _keywords(text: str) -> dict[str, ast.expr]:
    """The four arguments of a written `Genotype(...)`, unevaluated."""
    try:
        with warnings.catch_warnings(action="ignore"):  # invalid escapes, in a text that may be anything
            statements = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        statements = []
    match statements:
        case [ast.Expr(value=written) | ast.Assign(targets=[ast.Name()], value=written)]:
            call = written
        case _:
            raise InputError(f"{shorten(text)} is not a DARTS genotype: write Genotype(normal=[...], ...)")
    match call:
        case ast.Call(func=ast.Name(id="Genotype") | ast.Attribute(value=ast.Name(), attr="Genotype")):
            pass
        case _:
            raise InputError(f"{shorten(text)} is not a DARTS genotype: write Genotype(normal=[...], ...)")
    fields = {keyword.arg: keyword.value for keyword in call.keywords}
    names = ("normal", "normal_concat", "reduce", "reduce_concat")
    if call.args or len(call.keywords) != len(names) or set(fields) != set(names):
        raise InputError(f"a DARTS genotype has exactly the arguments {', '.join(names)}, each by name")
    return {name: fields[name] for name in names}


def _literal(node: ast.expr, name: str) -> tuple[object, ...]:
    """The list or tuple written in `node`."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        value = None
    if not isinstance(value, list | tuple):
        raise InputError(f"{name} of a DARTS genotype is a list")
    return tuple(value)


def _numbers(node: ast.expr, name: str) -> tuple[int, ...]:
    """The node numbers written in `node` as a list, a tuple or a range; none where they are not all integers."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range" and not node.keywords:
        bounds = [bound.value for bound in node.args if isinstance(bound, ast.Constant) and type(bound.value) is int]
        if len(bounds) != 2 or len(node.args) != 2:
            raise InputError(f"{name} of a DARTS genotype is a list or range(2, 6)")
        # Compared, not built: a text may have a range that does not fit in memory.
        return tuple(range(*bounds)) if bounds == [2, 6] else ()
    numbers = _literal(node, name)
    integers = tuple(number for number in numbers if type(number) is int)
    return integers if len(integers) == len(numbers) else ()


def _pairs(node: ast.expr, kind: str) -> tuple[tuple[str, int], ...]:
    """The (operation, input) pairs written in `node`."""
    pairs: list[tuple[str, int]] = []
    for pair in _literal(node, kind):
        match pair:
            case [str(operation), int(source)] if type(source) is int:
                pairs.append((operation, source))
            case _:
                raise InputError(f"{shorten(str(pair))} in the {kind} cell is not a pair (operation, input node)")
    return tuple(pairs)
