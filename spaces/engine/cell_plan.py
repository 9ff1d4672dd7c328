"""The plan of a cell: the reference cell's modules, read once for a set of active operations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import BatchNorm, DroppedSkip, FactorizedReduce, Noise
from spaces.engine.op_groups.groups import Convolutions, Group, Module, Pooling, Reductions
from spaces.engine.op_groups.separable import Separable, SeparableConvolution

Wiring = Mapping[int, Sequence[tuple[int, int]]]
"""Target node -> its incoming edges, as (number, source)."""

Operations = Sequence[Sequence[tuple[int, nn.Module]]]
"""For each edge its active operations: the place of the weight in the cell's flat table (-1: none), and the module."""


class Term(NamedTuple):
    """The contribution of one operation of one edge to a node."""

    source: int
    place: int  # of its weight in the flat table; -1: the auxiliary weight
    module: nn.Module | None  # an identity, or a module that draws random numbers; None: a group computes the term
    group: int = -1
    member: int = -1


class PlanTensors(NamedTuple):
    """The constants of a plan, on one device."""

    places: Tensor  # of the terms' weights in the flat table, int64 `[terms]`
    term_of_weight: Tensor  # for each weight of the flat table its term, or the number of terms: int64 `[weights]`
    columns: Tensor  # ε of each row's batch norm, and 1 where there is one: float64 `[2, rows, 1]`
    normed: Tensor  # the rows of statistics that have a batch norm, int64
    unit: tuple[Tensor, Tensor]  # scales and shifts of terms that learn none: 1 and 0, float64 `[terms, 1]`


@dataclass
class CellPlan:
    """Terms, the groups that compute them, and the norms of the statistics' rows.

    The first rows are the terms', node by node; then those of batch norms within an operation and behind a node.
    """

    terms: list[Term] = field(default_factory=list)
    nodes: list[slice] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    norms: list[BatchNorm | None] = field(default_factory=list)
    node_rows: list[int] = field(default_factory=list)
    joined: bool = False  # whether groups may have several of the input nodes as sources
    names: list[str] = field(default_factory=list)  # of the parameters, within the cell
    _tensors: dict[torch.device, PlanTensors] = field(default_factory=dict)

    @cached_property
    def node_of(self) -> list[int]:
        """For each term the number of its node."""
        return [place for place, rows in enumerate(self.nodes) for _ in range(rows.start, rows.stop)]

    @cached_property
    def identities(self) -> dict[int, list[int]]:
        """For each source the terms that are its own state (a skip-connection, dropped or not)."""
        found: dict[int, list[int]] = {}
        for row, term in enumerate(self.terms):
            if term.group < 0 and not isinstance(term.module, Noise):
                found.setdefault(term.source, []).append(row)
        return found

    @cached_property
    def groups_of(self) -> dict[int, list[int]]:
        """For each source its groups; that of its convolutions, if any, comes first."""
        found: dict[int, list[int]] = {}

        def rank(number: int) -> tuple[bool, bool]:
            """Those first that add what bypasses them; separable convolutions keep their place where bits are known."""
            group = self.groups[number]
            return not isinstance(group, Convolutions), self.joined and not isinstance(group, Separable)

        for number in sorted(range(len(self.groups)), key=rank):
            for source in dict.fromkeys(self.groups[number].sources):
                found.setdefault(source, []).append(number)
        return found

    @cached_property
    def sizes(self) -> list[int]:
        """How many parameters each part of `parameters` has."""
        return [len(part) for part in self.parameters()]

    @cached_property
    def normed(self) -> list[int]:
        """The rows of statistics that have a batch norm."""
        return [row for row, norm in enumerate(self.norms) if norm is not None]

    def on(self, device: torch.device, weights: int) -> PlanTensors:
        """The constants on `device`, for a flat table of so many `weights`.

        They are copied to a device once, since every copy waits for the device.
        """
        if device not in self._tensors:
            term_of_weight = [len(self.terms)] * weights
            for row, term in enumerate(self.terms):
                if term.place >= 0:
                    term_of_weight[term.place] = row
            eps = [0.0 if norm is None else norm.eps for norm in self.norms]
            normalised = [float(norm is not None) for norm in self.norms]
            self._tensors[device] = PlanTensors(
                torch.tensor([term.place % (weights + 1) for term in self.terms], dtype=torch.int64, device=device),
                torch.tensor(term_of_weight, dtype=torch.int64, device=device),
                torch.tensor([eps, normalised], dtype=torch.float64, device=device)[..., None],
                torch.tensor(self.normed, dtype=torch.int64, device=device),
                (
                    torch.ones(len(self.terms), 1, dtype=torch.float64, device=device),
                    torch.zeros(len(self.terms), 1, dtype=torch.float64, device=device),
                ),
            )
        return self._tensors[device]

    @cached_property
    def affine(self) -> list[int]:
        """The terms whose batch norm learns scale and shift."""
        rows = range(len(self.terms))
        return [row for row in rows if (norm := self.norms[row]) is not None and norm.affine]

    def parameters(self) -> list[list[Tensor]]:
        """Each group's, then the terms' scales, then their shifts; read at every call, which may have replaced them."""
        norms = [norm for row in self.affine if (norm := self.norms[row]) is not None]
        return [
            *(group.parameters() for group in self.groups),
            [norm.weight for norm in norms],
            [norm.bias for norm in norms],
        ]


def plan_cell(
    wiring: Wiring, operations: Operations, node_norms: Iterable[BatchNorm], *, join_inputs: bool = False
) -> CellPlan:
    """The plan for these operations on these edges.

    `join_inputs`: separable convolutions and pools of all input nodes are one group, which have one shape then.
    """
    plan = CellPlan(joined=join_inputs)
    shared: dict[tuple[object, ...], int] = {}
    inputs = min(wiring)

    def level(source: int) -> int:
        """What sources have in common whose operations may be one group."""
        return -1 if join_inputs and source < inputs else source

    def join(key: tuple[object, ...], source: int, group: Group) -> tuple[int, int]:
        """Add the next term to the group under `key`, or to `group` if there is none: its number, the term's place."""
        if key not in shared:
            shared[key] = len(plan.groups)
            plan.groups.append(group)
        number = shared[key]
        plan.groups[number].sources.append(source)
        plan.groups[number].rows.append(len(plan.terms))
        return number, len(plan.groups[number].rows) - 1

    def join_separable(source: int, member: SeparableConvolution, norm: BatchNorm) -> tuple[int, int]:
        """As `join`, in the latest separable group unless another group came since: gradients then add up in order."""
        others = 0
        if not join_inputs:
            others = sum(group.source == source and not isinstance(group, Separable) for group in plan.groups)
        at = join(("separable", level(source), others, norm.affine), source, Separable())
        group = plan.groups[at[0]]
        assert isinstance(group, Separable)
        group.members.append(member)
        return at

    def join_pool(source: int, largest: bool, stride: int, *, normed: bool) -> tuple[int, int]:
        """As `join`; where inputs are joined, maxima and means are, too, but plain means (`Pooling.is_mean`)."""
        joined = join_inputs and (largest or normed or stride > 1)
        key = ("pool", level(source)) if joined else ("pool", source, largest)
        at = join((*key, stride, normed), source, Pooling(stride=stride, normed=normed))
        group = plan.groups[at[0]]
        assert isinstance(group, Pooling)
        group.add(source, largest)
        return at

    for incoming in wiring.values():
        first = len(plan.terms)
        for number, source in incoming:
            for place, module in operations[number]:
                norm: BatchNorm | None = None
                at: tuple[int, int] | None = None
                match submodules(module):
                    case [nn.Identity() | DroppedSkip() | Noise()]:
                        pass
                    case [FactorizedReduce() as reduction]:
                        at = join(("reduction", source), source, Reductions())
                        group = plan.groups[at[0]]
                        assert isinstance(group, Reductions)
                        group.modules.append(reduction)
                        norm = reduction.norm  # type: ignore[assignment]
                    case [nn.MaxPool2d() | nn.AvgPool2d() as pool, *rest] if is_standard_pooling(pool, rest):
                        norm = rest[0] if rest else None  # type: ignore[assignment]
                        largest, stride = isinstance(pool, nn.MaxPool2d), int(pool.stride)  # type: ignore[arg-type]
                        at = join_pool(source, largest, stride, normed=norm is not None)
                    case [nn.ReLU(), nn.Conv2d() as convolution, BatchNorm() as norm] if is_dense(convolution):
                        at = join(("convolution", source), source, Convolutions())
                        group = plan.groups[at[0]]
                        assert isinstance(group, Convolutions)
                        group.convolutions.append(convolution)
                    case [nn.ReLU(), nn.Conv2d() as d, nn.Conv2d() as p, BatchNorm() as norm] if is_separable(d, p):
                        at = join_separable(source, SeparableConvolution(((d, p),)), norm)
                    case [
                        nn.ReLU(), nn.Conv2d() as d, nn.Conv2d() as p, BatchNorm() as inner,
                        nn.ReLU(), nn.Conv2d() as e, nn.Conv2d() as q, BatchNorm() as norm,
                    ] if is_separable(d, p) and is_separable(e, q):  # fmt: skip
                        at = join_separable(source, SeparableConvolution(((d, p), (e, q)), inner), inner)
                    case _:
                        norm = None  # a pattern above may have bound it before its guard failed
                        at = join((module,), source, Module(module=module))
                plan.norms.append(norm)
                plan.terms.append(Term(source, place, module) if at is None else Term(source, place, None, *at))
        plan.nodes.append(slice(first, len(plan.terms)))
    for group in plan.groups:
        if isinstance(group, Separable):
            group.first_between = len(plan.norms)
            plan.norms += [member.between for member in group.members if member.between is not None]
    for norm in node_norms:
        plan.node_rows.append(len(plan.norms))
        plan.norms.append(norm)
    return plan


def submodules(module: nn.Module) -> list[nn.Module]:
    """The modules of a sequence, or the module alone."""
    return list(module) if isinstance(module, nn.Sequential) else [module]


def is_dense(convolution: nn.Conv2d) -> bool:
    """Whether a convolution is a dense one of kernel 1 or 3, without bias, that keeps size and channels."""
    one = convolution.kernel_size[0] in (1, 3) and convolution.stride == convolution.dilation == (1, 1)
    return one and convolution.groups == 1 and keeps_shape(convolution)


def is_separable(depthwise: nn.Conv2d, pointwise: nn.Conv2d) -> bool:
    """Whether two convolutions are a depthwise one of kernel 3 or 5 and a pointwise one."""
    each = depthwise.kernel_size[0] in (3, 5) and depthwise.groups == depthwise.in_channels
    return each and keeps_shape(depthwise) and pointwise.kernel_size == (1, 1) and is_dense(pointwise)


def keeps_shape(c: nn.Conv2d) -> bool:
    """Whether a square convolution without bias, of stride 1 or 2, keeps the channels and, at 1, the size."""
    (size, _), (dilation, _), (stride, _) = c.kernel_size, c.dilation, c.stride
    pad = dilation * (size // 2)
    form = (c.out_channels, c.kernel_size, c.dilation, c.stride, c.padding, c.padding_mode, c.bias)
    kept = (c.in_channels, (size,) * 2, (dilation,) * 2, (stride,) * 2, (pad,) * 2, "zeros", None)
    return stride in (1, 2) and form == kept


def is_standard_pooling(pool: nn.MaxPool2d | nn.AvgPool2d, rest: Sequence[nn.Module]) -> bool:
    """Whether the kernels know a pooling: 3 x 3, its padding of 1 not counted, and at most a batch norm after it."""
    if [type(module) for module in rest] not in ([], [BatchNorm]):
        return False
    if isinstance(pool, nn.AvgPool2d):
        same = not pool.count_include_pad and pool.divisor_override is None
    else:
        same = pool.dilation == 1 and not pool.return_indices
    return same and pool.stride in (1, 2) and (pool.kernel_size, pool.padding, pool.ceil_mode) == (3, 1, False)
