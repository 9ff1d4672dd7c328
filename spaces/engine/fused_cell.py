"""A searched cell as one differentiable function: what the reference cell computes, in far fewer passes over memory.

Operations on one node are computed together (`groups.py`), and what reaches a node is summed in one pass that batch
norm is folded into (`statistics.py`). Parameters are those of the reference cell's modules.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spaces.cells.operations import BatchNorm, DroppedSkip, Noise
from spaces.engine import torch_kernels
from spaces.engine.batch_statistics import Statistics, move_running
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.op_groups import Back, Convolutions, Kernels, Pooling
from spaces.engine.plan import Plan
from spaces.engine.torch_kernels import Value, Weighed, pixels, planes
from spaces.engine.torch_statistics import Slope
from spaces.engine.triton_kernels import triton_kernels


def kernels_for(x: Tensor) -> Kernels:
    """The fastest kernels that there are for images like `x` [N, H, W, C]."""
    return next((family for family in (cpp_kernels, triton_kernels) if family.covers(x)), torch_kernels)


@dataclass(frozen=True)
class Job:
    """One call of a cell: what is computed, and what serves it where a gradient is differentiated once more.

    `joined`: the output is all intermediate nodes side by side; else the last one. `reference` computes the same from
    the same tensors, with the same draws.
    """

    plan: Plan
    inputs: int
    stride: int
    joined: bool
    auxiliary_weight: Tensor | float | None
    reference: Callable[[Sequence[Tensor]], Tensor]


@dataclass
class Pass:
    """What a pass leaves for the way back: tensors by where they belong."""

    states: list[Tensor]
    values: list[list[Tensor]]
    kept: list[list[Tensor]]
    drawn: dict[int, Tensor]  # term -> noise, or the share of each element that a dropped skip-connection passes on
    sums: list[Tensor]  # of the nodes, before their batch norm, where they have one
    statistics: Statistics


class Cell:
    """The arithmetic of one call of a cell."""

    def __init__(self, job: Job, tensors: Sequence[Tensor]) -> None:
        self.job, self.plan = job, job.plan
        self.inputs = [pixels(x) for x in tensors[: job.inputs]]
        self.table = tensors[job.inputs]
        self.placed = self.plan.on(self.table.device, self.table.numel())
        self.kernels = kernels_for(self.inputs[0])
        self.dtype = self.inputs[0].dtype
        parts = _split(tensors[job.inputs + 1 :], self.plan.sizes)
        *groups, self.scales, self.shifts = (list(part) for part in parts)
        self.parameters = groups
        images, height, width, self.channels = self.inputs[0].shape
        self.shape = (images, -(-height // job.stride), -(-width // job.stride), self.channels)
        self.count = images * self.shape[1] * self.shape[2]

    def weights(self) -> Tensor:
        """Of each term, float64 `[terms, 1]`."""
        flat = self.table.flatten().double()
        if (last := self.job.auxiliary_weight) is not None:  # at the place after the last
            flat = torch.cat([flat, last.reshape(1) if isinstance(last, Tensor) else flat.new_full((1,), last)])
        return flat[self.placed.places][:, None]

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """γ and β of each term, float64 `[terms, C]`, or `[terms, 1]` where none learns any."""
        if not self.scales:
            return self.placed.plain
        zero = self.scales[0].new_zeros(self.channels)
        scale, shift = [zero + 1] * len(self.plan.terms), [zero] * len(self.plan.terms)
        for place, row in enumerate(self.plan.affine):
            scale[row], shift[row] = self.scales[place], self.shifts[place]
        return torch.stack(scale).double(), torch.stack(shift).double()

    def forward(self) -> tuple[Tensor, Pass]:
        """The output `[N, H, W, C or nodes · C]`, and what the way back needs."""
        plan, kernels, job = self.plan, self.kernels, self.job
        norms = [norm for row in plan.normed if (norm := plan.norms[row]) is not None]
        of_batch = any(norm.training or not norm.track_running_stats for norm in norms[:1])
        if of_batch and self.count < 2:
            raise ValueError(f"batch norm in training mode needs more than one value a channel: here are {self.count}")
        statistics = Statistics.of(plan.norms, self.placed.columns, self.channels, of_batch=of_batch)
        images, height, width, channels = self.shape
        blank = self.inputs[0].new_empty
        if job.joined:
            output = blank(images, height, width, len(plan.nodes) * channels)
            nodes = list(output.chunk(len(plan.nodes), -1))
        else:
            nodes = [blank(self.shape) for _ in plan.nodes]
            output = nodes[-1]
        done = Pass([*self.inputs], [[]] * len(plan.groups), [[]] * len(plan.groups), {}, [], statistics)
        computed: set[int] = set()
        weights, (scale, shift) = self.weights(), self.scale_and_shift()
        for place, rows in enumerate(plan.nodes):
            terms = []
            for row in range(rows.start, rows.stop):
                term = plan.terms[row]
                if term.group >= 0 and term.group not in computed:
                    group, x = plan.groups[term.group], done.states[term.source]
                    done.values[term.group], done.kept[term.group] = group.forward(
                        kernels, x, self.parameters[term.group], statistics
                    )
                    computed.add(term.group)
                terms.append(self.value(row, done, draw=True))
            weighed = kernels.coefficients(statistics.norms(rows), weights[rows], scale[rows], shift[rows], self.dtype)
            total = nodes[place] if not plan.node_rows else blank(self.shape)
            kernels.combine(terms, *weighed, total)
            if plan.node_rows:
                row = plan.node_rows[place]
                statistics.measure(kernels, [row], total)
                factor, offset = kernels.normalising(statistics.norms(slice(row, row + 1)), None, None, self.dtype)
                kernels.combine([total], factor, offset[0], nodes[place])
                done.sums.append(total)
            done.states.append(nodes[place])
        if norms and moves(norms[0]):
            normed = self.placed.normed
            move_running(norms, statistics.mean[normed], statistics.variance[normed], self.count)
        return output, done

    def value(self, row: int, done: Pass, *, draw: bool = False) -> Value:
        """What a term weighs: `[N, H, W, C]`."""
        term = self.plan.terms[row]
        state = done.states[term.source]
        if term.group >= 0:
            group, stored = self.plan.groups[term.group], done.values[term.group][term.member]
            return group.value(term.member, state, self.parameters[term.group], stored)
        module = term.module
        if draw and isinstance(module, Noise):
            done.drawn[row] = pixels(module(planes(state)))
        elif draw and isinstance(module, DroppedSkip) and module.training and module.rate:
            done.drawn[row] = pixels(module(planes(torch.ones_like(state))))
        if row not in done.drawn:
            return state
        return done.drawn[row] if isinstance(module, Noise) else state * done.drawn[row]

    def backward(
        self, done: Pass, grad_output: Tensor, *, inputs: Sequence[bool], weights: bool
    ) -> tuple[list[Tensor | None], Tensor, list[list[Tensor | None]]]:
        """Gradients of the inputs, of the table, and of the parameters as the plan has them."""
        plan, job = self.plan, self.job
        blank = grad_output.new_empty
        self.done = done
        if job.joined:
            gradients = list(grad_output.clone().chunk(len(plan.nodes), -1))
            self.filled = [True] * len(plan.nodes)
        else:
            gradients = [*(blank(self.shape) for _ in plan.nodes[1:]), grad_output]
            self.filled = [False] * (len(plan.nodes) - 1) + [True]
        self.gradients = gradients
        self.slopes: list[Slope | None] = [None] * len(plan.terms)
        self.products: list[Tensor | None] = [None] * len(plan.terms)
        self.of_parameters: list[list[Tensor | None]] = [[None] * len(part) for part in self.parameters]
        term_weights, (scale, shift) = self.weights(), self.scale_and_shift()
        of_weights, of_scale, of_shift = [], [], []
        for place in reversed(range(len(plan.nodes))):
            rows = plan.nodes[place]
            self.leave(job.inputs + place, gradients[place], filled=self.filled[place], weights=weights)
            if plan.node_rows:
                gradients[place] = self.through_node_norm(place, gradients[place])
            sums, self.products[rows] = self.kernels.reduce(
                gradients[place], [self.value(row, done) for row in range(rows.start, rows.stop)]
            )
            through = self.kernels.slopes(
                done.statistics.norms(rows), sums, term_weights[rows], scale[rows], shift[rows], self.count, self.dtype,
                learnt=bool(self.scales),
            )  # fmt: skip
            self.slopes[rows] = through.slopes
            of_weights.append(through.of_weights)
            of_scale.append(through.of_scale)
            of_shift.append(through.of_shift)
        of_inputs: list[Tensor | None] = []
        for place, wanted in enumerate(inputs):
            gx = blank(self.inputs[place].shape) if wanted or weights else None
            if gx is not None:
                self.leave(place, gx, filled=False, weights=weights)
            of_inputs.append(planes(gx) if gx is not None and wanted else None)
        of_terms = torch.cat([*of_weights[::-1], of_weights[0].new_zeros(1)])
        norms: list[list[Tensor | None]] = [[], []]
        if self.scales:
            norms = [
                [rows[row] for rows in [torch.cat(part[::-1]).unbind()] for row in plan.affine]
                if weights
                else [None] * len(self.scales)
                for part in (of_scale, of_shift)
            ]
        of_table = of_terms[self.placed.takers].view_as(self.table).to(self.table.dtype)
        return of_inputs, of_table, [*self.of_parameters, *norms]

    def leave(self, state: int, gx: Tensor, *, filled: bool, weights: bool) -> None:
        """Add to gx, or write, the gradient at a state from all terms that read it; all nodes behind it are done."""
        plan, kernels = self.plan, self.kernels
        passed, groups = plan.passed.get(state, []), plan.groups_of.get(state, [])
        whole = self.weighed([row for row in passed if row not in self.done.drawn])
        implied = [n for n in groups if isinstance(plan.groups[n], Pooling) and not self.done.values[n][0].numel()]
        means = self.weighed([row for n in implied for row in plan.groups[n].rows])
        x = self.done.states[state]
        if not groups or not isinstance(plan.groups[groups[0]], Convolutions):  # which would take these along
            if means.images:
                back = Back([], [], self.done.statistics, [], weights, whole, means, filled)
                Convolutions(state).backward(kernels, x, [], [], [], back, gx)
            elif whole.images or not filled:
                kernels.combine(*whole, None, gx, accumulate=filled)
        for n in groups:
            group = plan.groups[n]
            back = Back(
                [self.gradients[plan.node_of[row]] for row in group.rows],
                [self.grad_output(row) for row in group.rows],
                self.done.statistics,
                [self.products[row] for row in group.rows],
                weights,
            )
            if isinstance(group, Convolutions):
                back.whole, back.means, back.filled = whole, means, filled
            values, kept = self.done.values[n], self.done.kept[n]
            self.of_parameters[n] = group.backward(kernels, x, values, kept, self.parameters[n], back, gx)
        for row in passed:
            if row in self.done.drawn:
                gx.addcmul_(self.gradients[plan.node_of[row]] * self.grad_output(row).of_gradient, self.done.drawn[row])

    def weighed(self, rows: Sequence[int]) -> Weighed:
        """The gradients of the nodes of some terms, each with the coefficient that it comes back with."""
        gradients = [self.gradients[self.plan.node_of[row]] for row in rows]
        return Weighed(gradients, [self.grad_output(row).of_gradient for row in rows])

    def grad_output(self, row: int) -> Slope:
        """Of a term whose node is done."""
        found = self.slopes[row]
        assert found is not None
        return found

    def through_node_norm(self, place: int, gradient: Tensor) -> Tensor:
        """The gradient before the batch norm behind a node's sum."""
        total, row = self.done.sums[place], self.plan.node_rows[place]
        sums, _ = self.kernels.reduce(gradient, [total])
        norms = self.done.statistics.norms(slice(row, row + 1))
        (grad_output,), *_ = self.kernels.slopes(norms, sums, None, None, None, self.count, self.dtype, learnt=False)
        before = torch.empty_like(total)
        self.kernels.combine([gradient, total], grad_output[:2], grad_output.constant, before)
        return before


def moves(norm: BatchNorm) -> bool:
    """Whether a pass moves the norm's running statistics."""
    return norm.training and norm.track_running_stats and not norm.frozen


def _split(tensors: Sequence[Tensor], sizes: Sequence[int]) -> Iterator[Sequence[Tensor]]:
    first = 0
    for size in sizes:
        yield tensors[first : first + size]
        first += size


class Fused(torch.autograd.Function):
    """`Cell` for autograd: (job, inputs, table, parameters) to the output, images as `[N, C, H, W]`."""

    @staticmethod
    def forward(ctx: Any, job: Job, *tensors: Tensor) -> Tensor:
        """Computes the cell."""
        output, done = Cell(job, tensors).forward()
        flat = [*done.states[job.inputs :], *(v for part in (*done.values, *done.kept) for v in part)]
        flat += [*done.drawn.values(), *done.sums]
        ctx.job, ctx.statistics, ctx.drawn = job, done.statistics, list(done.drawn)
        ctx.sizes = [len(part) for part in (*done.values, *done.kept)]
        ctx.given = len(tensors)
        result = planes(output)
        if not job.joined:  # the output itself, which nothing on the way back reads
            flat[len(job.plan.nodes) - 1] = result.new_empty(0)
        ctx.save_for_backward(*tensors, *flat)
        return result

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """First derivatives here; where they are to be differentiated or come in batches, by the reference cell."""
        saved = ctx.saved_tensors
        tensors, rest = saved[: ctx.given], list(saved[ctx.given :])
        job: Job = ctx.job
        if torch.is_grad_enabled() or not torch._C._has_storage(grad_output):
            return None, *_differentiable(job, tensors, grad_output)
        cell = Cell(job, tensors)
        take = iter(rest)
        states = [*cell.inputs, *(next(take) for _ in job.plan.nodes)]
        parts = [[next(take) for _ in range(size)] for size in ctx.sizes]
        values, kept = parts[: len(job.plan.groups)], parts[len(job.plan.groups) :]
        drawn = {row: next(take) for row in ctx.drawn}
        done = Pass(states, values, kept, drawn, list(take), ctx.statistics)
        after = ctx.next_functions  # of tensors alone
        inputs = [executes(each) for each in after[: job.inputs]]
        weights = any(map(executes, after[job.inputs + 1 :]))
        of_inputs, of_table, of_parameters = cell.backward(done, pixels(grad_output), inputs=inputs, weights=weights)
        return None, *of_inputs, of_table, *(g for part in of_parameters for g in part)


def executes(after: tuple[Any, int]) -> bool:
    """Whether a backward pass goes on to one of a node's `next_functions`, where torch tells; else whether it could."""
    node, _ = after
    if node is None:
        return False
    try:
        return torch._C._will_engine_execute_node(node)
    except RuntimeError:  # raised for a leaf that autograd.grad was asked for
        return True


def _differentiable(job: Job, tensors: Sequence[Tensor], grad_output: Tensor) -> list[Tensor | None]:
    """The gradients as a graph of the reference cell's."""
    with torch.enable_grad():
        # Views, so that the derivative ends at this cell's own inputs and does not run on to where they come from.
        own = [t.view_as(t) for t in tensors]
        wanted = [t for t in own if t.requires_grad]
        output = job.reference(own)
        found = iter(torch.autograd.grad(output, wanted, grad_output, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in own]
