"""What a fast cell has to compute: the reference cell's modules, read once for a set of live operations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import BatchNorm, DroppedSkip, FactorizedReduce, Noise
from spaces.engine.op_groups import Convolutions, Group, Module, Pooling, Reductions
from spaces.engine.separable import Halves, Separable

Wiring = Mapping[int, Sequence[tuple[int, int]]]
"""Target node -> its incoming edges, as (number, source)."""

Operations = Sequence[Sequence[tuple[int, nn.Module]]]
"""For each edge its live operations: the place of its weight in the cell's flat table (-1: none), and the module."""


class Term(NamedTuple):
    """What one operation of one edge adds to a node."""

    source: int
    place: int  # of its weight in the flat table; -1: the auxiliary weight
    module: nn.Module | None  # what passes the source's state on or draws; None: a group computes it
    group: int = -1
    member: int = -1


class Placed(NamedTuple):
    """What a plan says in numbers, on one device."""

    places: Tensor  # of the terms' weights in the flat table, int64 `[terms]`
    takers: Tensor  # for each weight of the flat table its term, or their number where it has none: int64 `[weights]`
    columns: Tensor  # ε of each row's batch norm, and 1 where there is one: float64 `[2, rows, 1]`
    normed: Tensor  # the rows of statistics that a batch norm wants, int64
    plain: tuple[Tensor, Tensor]  # scales and shifts of terms that learn none: 1 and 0, float64 `[terms, 1]`


@dataclass
class Plan:
    """Terms, the groups that compute them, and the norms of the statistics' rows.

    The first rows are the terms', node by node; then those of batch norms within an operation and behind a node.
    """

    terms: list[Term] = field(default_factory=list)
    nodes: list[slice] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    norms: list[BatchNorm | None] = field(default_factory=list)
    node_rows: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the parameters, within the cell
    _placed: dict[torch.device, Placed] = field(default_factory=dict)

    @cached_property
    def node_of(self) -> list[int]:
        """For each term the number of its node."""
        return [place for place, rows in enumerate(self.nodes) for _ in range(rows.start, rows.stop)]

    @cached_property
    def passed(self) -> dict[int, list[int]]:
        """For each source the terms that pass its state on."""
        found: dict[int, list[int]] = {}
        for row, term in enumerate(self.terms):
            if term.group < 0 and not isinstance(term.module, Noise):
                found.setdefault(term.source, []).append(row)
        return found

    @cached_property
    def groups_of(self) -> dict[int, list[int]]:
        """For each source its groups: first that of its convolutions, if it has any."""
        found: dict[int, list[int]] = {}
        for number in sorted(range(len(self.groups)), key=lambda n: not isinstance(self.groups[n], Convolutions)):
            found.setdefault(self.groups[number].source, []).append(number)
        return found

    @cached_property
    def sizes(self) -> list[int]:
        """How many parameters each part of `parameters` has."""
        return [len(part) for part in self.parameters()]

    @cached_property
    def normed(self) -> list[int]:
        """The rows of statistics that a batch norm wants."""
        return [row for row, norm in enumerate(self.norms) if norm is not None]

    def on(self, device: torch.device, weights: int) -> Placed:
        """For a flat table of so many `weights`. Moved to a device once: a copy of each call would wait for it."""
        if device not in self._placed:
            takers = [len(self.terms)] * weights
            for row, term in enumerate(self.terms):
                if term.place >= 0:
                    takers[term.place] = row
            eps = [0.0 if norm is None else norm.eps for norm in self.norms]
            there = [float(norm is not None) for norm in self.norms]
            self._placed[device] = Placed(
                torch.tensor([term.place % (weights + 1) for term in self.terms], dtype=torch.int64, device=device),
                torch.tensor(takers, dtype=torch.int64, device=device),
                torch.tensor([eps, there], dtype=torch.float64, device=device)[..., None],
                torch.tensor(self.normed, dtype=torch.int64, device=device),
                (
                    torch.ones(len(self.terms), 1, dtype=torch.float64, device=device),
                    torch.zeros(len(self.terms), 1, dtype=torch.float64, device=device),
                ),
            )
        return self._placed[device]

    @cached_property
    def affine(self) -> list[int]:
        """The terms whose batch norm learns scale and shift."""
        rows = range(len(self.terms))
        return [row for row in rows if (norm := self.norms[row]) is not None and norm.affine]

    def parameters(self) -> list[list[Tensor]]:
        """Each group's, then the terms' scales, then their shifts: read now, since they may be replaced for a call."""
        norms = [norm for row in self.affine if (norm := self.norms[row]) is not None]
        return [
            *(group.parameters() for group in self.groups),
            [norm.weight for norm in norms],
            [norm.bias for norm in norms],
        ]


def read(wiring: Wiring, operations: Operations, node_norms: Iterable[BatchNorm]) -> Plan:
    """The plan for these operations on these edges."""
    plan = Plan()
    shared: dict[tuple[object, ...], int] = {}

    def join(key: tuple[object, ...], group: Group) -> tuple[int, int]:
        """The number of the group under `key`, or of a new one, and the new member's place in it."""
        if key not in shared:
            shared[key] = len(plan.groups)
            plan.groups.append(group)
        number = shared[key]
        plan.groups[number].rows.append(len(plan.terms))
        return number, len(plan.groups[number].rows) - 1

    def separated(source: int, halves: Halves, norm: BatchNorm) -> tuple[int, int]:
        """As `join`; with those before it unless another group came between, so that gradients add up in order."""
        others = sum(group.source == source and not isinstance(group, Separable) for group in plan.groups)
        at = join(("separable", source, others, norm.affine), Separable(source))
        group = plan.groups[at[0]]
        assert isinstance(group, Separable)
        group.members.append(halves)
        return at

    for incoming in wiring.values():
        first = len(plan.terms)
        for number, source in incoming:
            for place, module in operations[number]:
                norm: BatchNorm | None = None
                at: tuple[int, int] | None = None
                match parts(module):
                    case [nn.Identity() | DroppedSkip() | Noise()]:
                        pass
                    case [FactorizedReduce() as halving]:
                        at = join(("halving", source), Reductions(source))
                        group = plan.groups[at[0]]
                        assert isinstance(group, Reductions)
                        group.modules.append(halving)
                        norm = halving.norm  # type: ignore[assignment]
                    case [nn.MaxPool2d() | nn.AvgPool2d() as pool, *rest] if standard(pool, rest):
                        norm = rest[0] if rest else None  # type: ignore[assignment]
                        largest, stride = isinstance(pool, nn.MaxPool2d), int(pool.stride)  # type: ignore[arg-type]
                        key = ("pool", source, largest, stride, norm is None)
                        at = join(key, Pooling(source, largest=largest, stride=stride, normed=norm is not None))
                    case [nn.ReLU(), nn.Conv2d() as convolution, BatchNorm() as norm] if plain(convolution):
                        at = join(("convolution", source), Convolutions(source))
                        group = plan.groups[at[0]]
                        assert isinstance(group, Convolutions)
                        group.convolutions.append(convolution)
                    case [nn.ReLU(), nn.Conv2d() as d, nn.Conv2d() as p, BatchNorm() as norm] if separable(d, p):
                        at = separated(source, Halves(((d, p),)), norm)
                    case [
                        nn.ReLU(), nn.Conv2d() as d, nn.Conv2d() as p, BatchNorm() as inner,
                        nn.ReLU(), nn.Conv2d() as e, nn.Conv2d() as q, BatchNorm() as norm,
                    ] if separable(d, p) and separable(e, q):  # fmt: skip
                        at = separated(source, Halves(((d, p), (e, q)), inner), inner)
                    case _:
                        norm = None  # a pattern above may have bound it before its guard said no
                        at = join((module,), Module(source, module=module))
                plan.norms.append(norm)
                plan.terms.append(Term(source, place, module) if at is None else Term(source, place, None, *at))
        plan.nodes.append(slice(first, len(plan.terms)))
    for group in plan.groups:
        if isinstance(group, Separable):
            group.first_between = len(plan.norms)
            plan.norms += [halves.between for halves in group.members if halves.between is not None]
    for norm in node_norms:
        plan.node_rows.append(len(plan.norms))
        plan.norms.append(norm)
    return plan


def parts(module: nn.Module) -> list[nn.Module]:
    """The modules of a sequence, or the module alone."""
    return list(module) if isinstance(module, nn.Sequential) else [module]


def plain(convolution: nn.Conv2d) -> bool:
    """Whether a convolution is a dense one that keeps size and channels, of kernel 1 or 3, without bias."""
    one = convolution.kernel_size[0] in (1, 3) and convolution.stride == convolution.dilation == (1, 1)
    return one and convolution.groups == 1 and keeping(convolution)


def separable(depthwise: nn.Conv2d, pointwise: nn.Conv2d) -> bool:
    """Whether two convolutions are a depthwise one of kernel 3 or 5 and a pointwise one."""
    each = depthwise.kernel_size[0] in (3, 5) and depthwise.groups == depthwise.in_channels
    return each and keeping(depthwise) and pointwise.kernel_size == (1, 1) and plain(pointwise)


def keeping(c: nn.Conv2d) -> bool:
    """Whether a square convolution without bias keeps the channels and, at stride 1, the size, by zeros around it."""
    (size, _), (dilation, _), (stride, _) = c.kernel_size, c.dilation, c.stride
    pad = dilation * (size // 2)
    form = (c.out_channels, c.kernel_size, c.dilation, c.stride, c.padding, c.padding_mode, c.bias)
    return form == (c.in_channels, (size,) * 2, (dilation,) * 2, (stride,) * 2, (pad,) * 2, "zeros", None)


def standard(pool: nn.MaxPool2d | nn.AvgPool2d, rest: Sequence[nn.Module]) -> bool:
    """Whether a pooling is the one that the kernels know: 3 x 3, its padding of 1 not counted, at most a norm after."""
    if [type(module) for module in rest] not in ([], [BatchNorm]):
        return False
    if isinstance(pool, nn.AvgPool2d):
        same = not pool.count_include_pad and pool.divisor_override is None
    else:
        same = pool.dilation == 1 and not pool.return_indices
    return same and isinstance(pool.stride, int) and (pool.kernel_size, pool.padding, pool.ceil_mode) == (3, 1, False)
