"""The forward and the backward pass of a cell under a plan, by one family of kernels."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spaces.cells.operations import BatchNorm, DroppedSkip, Noise
from spaces.engine.batch_statistics import Statistics, move_running
from spaces.engine.cell_plan import CellPlan
from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    NormGradients,
    Value,
    WeightedImages,
    channels_first,
    channels_last,
)
from spaces.engine.kernels import Kernels
from spaces.engine.op_groups.groups import (
    Convolutions,
    Group,
    GroupGradients,
    GroupInputs,
    GroupOutputs,
    Pooling,
)
from spaces.engine.op_groups.separable import Separable


@dataclass(frozen=True)
class CellCall:
    """One call of a cell, by a family of kernels.

    `inputs` is the number of input nodes. `joined`: the output is all intermediate nodes side by side; else the last
    one. `reference` computes the same function of the same tensors, with the same random draws.
    """

    plan: CellPlan
    kernels: Kernels
    inputs: int
    stride: int
    joined: bool
    auxiliary_weight: Tensor | float | None
    reference: Callable[[Sequence[Tensor]], Tensor]


class CellTensors:
    """The tensors of a call: input nodes `[N, H, W, C]`, the table of weights, the parameters; and the kernels."""

    def __init__(self, call: CellCall, inputs: Sequence[Tensor], table: Tensor, parameters: Sequence[Tensor]) -> None:
        self.call, self.plan, self.kernels = call, call.plan, call.kernels
        self.inputs, self.table = inputs, table
        self.constants = self.plan.on(table.device, table.numel())
        self.dtype = inputs[0].dtype
        parts = _split(parameters, self.plan.sizes)
        *groups, self.scales, self.shifts = (list(part) for part in parts)
        self.parameters = groups
        images, height, width, self.channels = inputs[0].shape
        self.shape = (images, -(-height // call.stride), -(-width // call.stride), self.channels)
        self.count = images * self.shape[1] * self.shape[2]

    def weights(self) -> Tensor:
        """The weight of each term, float64 `[terms, 1]`."""
        flat = self.table.flatten().double()
        if (last := self.call.auxiliary_weight) is not None:  # at the place after the last
            flat = torch.cat([flat, last.reshape(1) if isinstance(last, Tensor) else flat.new_full((1,), last)])
        return flat[self.constants.places][:, None]

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """γ and β of each term, float64 `[terms, C]`, or `[terms, 1]` if no term learns them."""
        if not self.scales:
            return self.constants.unit
        zero = self.scales[0].new_zeros(self.channels)
        scale, shift = [zero + 1] * len(self.plan.terms), [zero] * len(self.plan.terms)
        for place, row in enumerate(self.plan.affine):
            scale[row], shift[row] = self.scales[place], self.shifts[place]
        return torch.stack(scale).double(), torch.stack(shift).double()

    def group(self, number: int, states: Sequence[Tensor], statistics: Statistics) -> GroupInputs:
        """The inputs of a group, from the states of all nodes so far."""
        xs = [states[source] for source in self.plan.groups[number].sources]
        return GroupInputs(self.kernels, xs, self.parameters[number], statistics)


@dataclass
class ForwardResults:
    """The tensors of a forward pass that the backward pass needs."""

    states: list[Tensor]
    groups: list[GroupOutputs]
    draws: dict[int, Tensor]  # term -> noise, or the factor of each element that a dropped skip-connection applies
    sums: list[Tensor]  # of the nodes, before their batch norm, if they have one
    statistics: Statistics
    weights: Tensor  # of the terms


def forward(cell: CellTensors) -> tuple[Tensor, ForwardResults]:
    """The output `[N, H, W, C or nodes · C]`, and what the backward pass needs. Moves the running statistics."""
    plan, kernels = cell.plan, cell.kernels
    norms = [norm for row in plan.normed if (norm := plan.norms[row]) is not None]
    of_batch = any(norm.training or not norm.track_running_stats for norm in norms[:1])
    if of_batch and cell.count < 2:
        raise ValueError(f"batch norm in training mode needs more than one value a channel: here are {cell.count}")
    statistics = Statistics.of(plan.norms, cell.constants.columns, cell.channels, kernels, of_batch=of_batch)
    images, height, width, channels = cell.shape
    blank = cell.inputs[0].new_empty
    if cell.call.joined:
        output = blank(images, height, width, len(plan.nodes) * channels)
        nodes = list(output.chunk(len(plan.nodes), -1))
    else:
        nodes = [blank(cell.shape) for _ in plan.nodes]
        output = nodes[-1]
    weights, (scale, shift) = cell.weights(), cell.scale_and_shift()
    done = ForwardResults([*cell.inputs], [GroupOutputs([])] * len(plan.groups), {}, [], statistics, weights)
    computed: set[int] = set()
    for place, rows in enumerate(plan.nodes):
        terms = []
        for row in range(rows.start, rows.stop):
            term = plan.terms[row]
            if term.group >= 0 and term.group not in computed:
                given = cell.group(term.group, done.states, statistics)
                done.groups[term.group] = plan.groups[term.group].forward(given)
                computed.add(term.group)
            _draw(cell, row, done)
            terms.append(_value(cell, row, done))
        coefficients = kernels.forward_coefficients(
            statistics.norms(rows), weights[rows], scale[rows], shift[rows], cell.dtype
        )
        total = nodes[place] if not plan.node_rows else blank(cell.shape)
        kernels.combine(terms, *coefficients, total)
        if plan.node_rows:
            row = plan.node_rows[place]
            statistics.measure(kernels, [row], total)
            factor, offset = kernels.normalization(statistics.norms(slice(row, row + 1)), None, None, cell.dtype)
            kernels.combine([total], factor, offset[0], nodes[place])
            done.sums.append(total)
        done.states.append(nodes[place])
    if norms and moves(norms[0]):
        every, dtype = statistics.norms(slice(0, len(plan.norms))), norms[0].running_mean.dtype  # type: ignore[union-attr]
        move_running(norms, *kernels.running_rows(every, cell.constants.normed, cell.count, dtype))
    return output, done


def moves(norm: BatchNorm) -> bool:
    """Whether a pass moves the norm's running statistics."""
    return norm.training and norm.track_running_stats and not norm.frozen


def _draw(cell: CellTensors, row: int, done: ForwardResults) -> None:
    """Draw the random numbers of a term, if it has any."""
    term = cell.plan.terms[row]
    state, module = done.states[term.source], term.module
    if isinstance(module, Noise):
        done.draws[row] = channels_last(module(channels_first(state)))
    elif isinstance(module, DroppedSkip) and module.training and module.rate:
        done.draws[row] = channels_last(module(channels_first(torch.ones_like(state))))


def _value(cell: CellTensors, row: int, done: ForwardResults) -> Value:
    """The value of a term before its weight, `[N, H, W, C]`."""
    term = cell.plan.terms[row]
    state = done.states[term.source]
    if term.group >= 0:
        group, stored = cell.plan.groups[term.group], done.groups[term.group].values[term.member]
        return group.value(term.member, state, cell.parameters[term.group], stored)
    if row not in done.draws:
        return state
    return done.draws[row] if isinstance(term.module, Noise) else state * done.draws[row]


class BackwardPass:
    """The gradients of a cell, for the gradient of its output; those of the parameters if `weights` are requested."""

    def __init__(self, cell: CellTensors, done: ForwardResults, grad_output: Tensor, *, weights: bool) -> None:
        self.cell, self.plan, self.kernels = cell, cell.plan, cell.kernels
        self.done, self.of_weights = done, cell.kernels.weight_gradients() if weights else None
        nodes, self.blank = len(self.plan.nodes), grad_output.new_empty
        # The gradients of the nodes, and whether they have been written.
        if cell.call.joined:
            self.gradients = list(grad_output.clone().chunk(nodes, -1))
            self.written = [True] * nodes
        else:
            self.gradients = [*(self.blank(cell.shape) for _ in self.plan.nodes[1:]), grad_output]
            self.written = [False] * (nodes - 1) + [True]
        self.coefficients: list[BackwardCoefficients | None] = [None] * len(self.plan.terms)
        self.products: list[Tensor | None] = [None] * len(self.plan.terms)
        self.of_parameters: list[list[Tensor | None]] = [[None] * len(part) for part in cell.parameters]

    def gradients_of(self, inputs: Sequence[bool]) -> tuple[list[Tensor | None], Tensor, list[list[Tensor | None]]]:
        """The gradients of the `inputs` requested, of the table, and of the parameters in the order of the plan."""
        cell, plan = self.cell, self.plan
        weights, (scale, shift) = self.done.weights, cell.scale_and_shift()
        norms: list[NormGradients] = []
        for place in reversed(range(len(plan.nodes))):
            rows = plan.nodes[place]
            self.add_gradients({cell.call.inputs + place: self.gradients[place]}, accumulate=self.written[place])
            if plan.node_rows:
                self.gradients[place] = self.before_node_norm(place, self.gradients[place])
            sums, self.products[rows] = self.kernels.reduce(
                self.gradients[place], [_value(cell, row, self.done) for row in range(rows.start, rows.stop)]
            )
            found = self.kernels.backward_coefficients(
                self.done.statistics.norms(rows), sums, weights[rows], scale[rows], shift[rows], cell.count, cell.dtype,
                learnt=bool(cell.scales),
            )  # fmt: skip
            self.coefficients[rows] = found.coefficients
            norms.insert(0, found)
        needed = [place for place, requested in enumerate(inputs) if requested or self.of_weights]
        if plan.joined and needed:
            needed = list(range(len(inputs)))
        gxs = {place: self.blank(cell.inputs[place].shape) for place in needed}
        for each in [gxs] if plan.joined else [{place: gx} for place, gx in gxs.items()]:
            self.add_gradients(each, accumulate=False)
        of_inputs = [channels_first(gxs[place]) if requested else None for place, requested in enumerate(inputs)]
        if self.of_weights is not None:
            self.of_weights.finish()
        of_weights = _given([each.of_weights for each in norms])
        of_terms = torch.cat([*of_weights, of_weights[0].new_zeros(1)])
        of_norms: list[list[Tensor | None]] = [[None] * len(cell.scales)] * 2
        if cell.scales and self.of_weights is not None:
            learnt = ([each.of_scale for each in norms], [each.of_shift for each in norms])
            rows_of = [torch.cat(_given(part)).unbind() for part in learnt]
            of_norms = [[each[row] for row in plan.affine] for each in rows_of]
        of_table = of_terms[cell.constants.term_of_weight].view_as(cell.table).to(cell.table.dtype)
        return of_inputs, of_table, [*self.of_parameters, *of_norms]

    def add_gradients(self, gxs: Mapping[int, Tensor], *, accumulate: bool) -> None:
        """Write to each gx, or add, the gradient at its state from all terms that read it, whose nodes must be done.

        A group's sources are all among them, or none is.
        """
        plan, done = self.plan, self.done
        bypasses = {state: self.bypass(state, accumulate=accumulate) for state in gxs}
        begun: set[int] = set()  # states whose bypass has been added
        for n in dict.fromkeys(n for state in gxs for n in plan.groups_of.get(state, [])):
            group, sources = plan.groups[n], set(plan.groups[n].sources)
            if _is_mean(group):
                continue
            back = GroupGradients(
                [self.gradients[plan.node_of[row]] for row in group.rows],
                [self.coefficients_of(row) for row in group.rows],
                [self.products[row] for row in group.rows],
                self.of_weights,
            )
            first = {state: bypasses[state] for state in sources - begun}
            if isinstance(group, Convolutions) or (
                isinstance(group, Separable) and not any(each.means.images for each in first.values())
            ):
                back.bypass = first
            else:
                self.add_bypasses(gxs, first)
            begun |= sources
            self.of_parameters[n] = group.backward(
                self.cell.group(n, done.states, done.statistics), done.groups[n], back, gxs
            )
        self.add_bypasses(gxs, {state: each for state, each in bypasses.items() if state not in begun})
        for state, gx in gxs.items():
            for row in plan.identities.get(state, []):
                if row in done.draws:
                    gradient = self.gradients[plan.node_of[row]] * self.coefficients_of(row).of_gradient
                    gx.addcmul_(gradient, done.draws[row])

    def bypass(self, state: int, *, accumulate: bool) -> Bypass:
        """The gradients at a state of its skip-connections and its plain means."""
        plan, groups = self.plan, self.plan.groups_of.get(state, [])
        identities = [row for row in plan.identities.get(state, []) if row not in self.done.draws]
        means = [row for n in groups if _is_mean(plan.groups[n]) for row in plan.groups[n].rows]
        return Bypass(self.weighted(identities), self.weighted(means), accumulate)

    def add_bypasses(self, gxs: Mapping[int, Tensor], bypasses: Mapping[int, Bypass]) -> None:
        """Add to each gx what bypasses its groups, where no group does it."""
        for state, bypass in bypasses.items():
            if bypass.means.images:
                back = GroupGradients([], [], [], self.of_weights, {state: bypass})
                given = GroupInputs(self.kernels, [self.done.states[state]], [], self.done.statistics)
                Convolutions([state]).backward(given, GroupOutputs([]), back, gxs)
            elif not bypass.empty:
                self.kernels.combine(*bypass.whole, None, gxs[state], accumulate=bypass.accumulate)

    def weighted(self, rows: Sequence[int]) -> WeightedImages:
        """The gradients of the nodes of these terms, each with the term's coefficient A."""
        gradients = [self.gradients[self.plan.node_of[row]] for row in rows]
        return WeightedImages(gradients, [self.coefficients_of(row).of_gradient for row in rows])

    def coefficients_of(self, row: int) -> BackwardCoefficients:
        """Those of a term whose node is done."""
        found = self.coefficients[row]
        assert found is not None
        return found

    def before_node_norm(self, place: int, gradient: Tensor) -> Tensor:
        """The gradient before the batch norm behind a node's sum."""
        cell, total, row = self.cell, self.done.sums[place], self.plan.node_rows[place]
        sums, _ = self.kernels.reduce(gradient, [total])
        norms = self.done.statistics.norms(slice(row, row + 1))
        found = self.kernels.backward_coefficients(norms, sums, None, None, None, cell.count, cell.dtype, learnt=False)
        (by,) = found.coefficients
        before = torch.empty_like(total)
        self.kernels.combine([gradient, total], by[:2], by.constant, before)
        return before


def _is_mean(group: Group) -> bool:
    return isinstance(group, Pooling) and group.is_mean


def _given(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


def _split(tensors: Sequence[Tensor], sizes: Sequence[int]) -> Iterator[Sequence[Tensor]]:
    first = 0
    for size in sizes:
        yield tensors[first : first + size]
        first += size
