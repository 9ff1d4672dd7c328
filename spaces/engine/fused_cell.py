"""A searched cell as one differentiable function of its inputs, its weights and its parameters, for autograd."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from spaces.engine.cell_passes import BackwardPass, CellCall, CellTensors, ForwardResults, forward
from spaces.engine.kernel_values import channels_first, channels_last
from spaces.engine.op_groups.groups import GroupOutputs


class FusedCell(torch.autograd.Function):
    """(call, inputs `[N, C, H, W]`, table of weights, parameters) to the cell's output `[N, C or nodes · C, H, W]`.

    It computes what the reference cell computes, in far fewer passes over memory: operations on one source are computed
    together (`op_groups`), and a node is one sum that its terms' batch norms are folded into (`batch_statistics`).
    """

    @staticmethod
    def forward(ctx: Any, call: CellCall, *tensors: Tensor) -> Tensor:
        """Computes the cell."""
        output, done = forward(_cell(call, tensors))
        groups = [part for group in done.groups for part in (group.values, group.saved)]
        flat = [*done.states[call.inputs :], *(tensor for part in groups for tensor in part)]
        flat += [*done.draws.values(), *done.sums]
        ctx.call, ctx.statistics, ctx.weights, ctx.draws = call, done.statistics, done.weights, list(done.draws)
        ctx.sizes = [len(part) for part in groups]
        ctx.given = len(tensors)
        result = channels_first(output)
        if not call.joined:  # the output itself, which the backward pass does not read
            flat[len(call.plan.nodes) - 1] = result.new_empty(0)
        ctx.save_for_backward(*tensors, *flat)
        return result

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Any:
        """The gradients. By the reference cell where they are to be differentiated again, or are batched."""
        saved = ctx.saved_tensors
        tensors, rest = saved[: ctx.given], iter(saved[ctx.given :])
        call: CellCall = ctx.call
        if torch.is_grad_enabled() or not torch._C._has_storage(grad_output):
            return None, *_differentiable(call, tensors, grad_output)
        cell = _cell(call, tensors)
        states = [*cell.inputs, *islice(rest, len(call.plan.nodes))]
        parts = [list(islice(rest, size)) for size in ctx.sizes]
        groups = [GroupOutputs(*each) for each in zip(parts[::2], parts[1::2], strict=True)]
        draws = {row: next(rest) for row in ctx.draws}
        done = ForwardResults(states, groups, draws, list(rest), ctx.statistics, ctx.weights)
        after = ctx.next_functions  # of tensors alone
        inputs = [executes(each) for each in after[: call.inputs]]
        weights = any(map(executes, after[call.inputs + 1 :]))
        back = BackwardPass(cell, done, channels_last(grad_output), weights=weights)
        of_inputs, of_table, of_parameters = back.gradients_of(inputs)
        return None, *of_inputs, of_table, *(g for part in of_parameters for g in part)


def _cell(call: CellCall, tensors: Sequence[Tensor]) -> CellTensors:
    inputs = [channels_last(x) for x in tensors[: call.inputs]]
    return CellTensors(call, inputs, tensors[call.inputs], tensors[call.inputs + 1 :])


def executes(after: tuple[Any, int]) -> bool:
    """Whether a backward pass continues to one of a node's `next_functions`. Where torch does not tell: if it could."""
    node, _ = after
    if node is None:
        return False
    try:
        return torch._C._will_engine_execute_node(node)
    except RuntimeError:  # raised for a leaf that autograd.grad was asked for
        return True


def _differentiable(call: CellCall, tensors: Sequence[Tensor], grad_output: Tensor) -> list[Tensor | None]:
    """The gradients as a graph, by the reference cell."""
    with torch.enable_grad():
        # Views, so that the derivative ends at this cell's own inputs and not at the tensors they come from.
        own = [t.view_as(t) for t in tensors]
        wanted = [t for t in own if t.requires_grad]
        output = call.reference(own)
        found = iter(torch.autograd.grad(output, wanted, grad_output, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in own]
