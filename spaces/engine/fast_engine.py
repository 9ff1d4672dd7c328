"""The fast engine of one mixed cell: chooses the plan for the operations in use, and computes the cell by it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from torch import Tensor
from torch.func import functional_call

from spaces.cells.mixed_cell import AUXILIARY, ByReference, CellWeights, MixedCell, MixedEdge
from spaces.cells.operations import frozen_statistics, in_mode, pool_input
from spaces.engine.cell_passes import CellCall
from spaces.engine.cell_plan import CellPlan, plan_cell
from spaces.engine.fused_cell import FusedCell
from spaces.engine.kernel_choice import kernels_in_words, require_reference, way_for
from spaces.engine.op_groups.groups import Module

KEPT_PLANS = 16
"""Plans cached for a cell. A method that samples operations has a plan for each sample."""


class FastEngine:
    """Computes a mixed cell as one differentiable function; implements `spaces.cells.mixed_cell.CellEngine`."""

    def __init__(self) -> None:
        self._plans: dict[tuple[object, ...], CellPlan] = {}

    @property
    def plans(self) -> list[CellPlan]:
        """The cached plans."""
        return list(self._plans.values())

    def compute(self, cell: MixedCell, inputs: Sequence[Tensor], weights: CellWeights) -> Tensor:
        """The output of `cell`, `[N, C or nodes · C, H, W]`; by the reference where no kernels can be trusted."""
        kernels = way_for(inputs[0].device, inputs[0].dtype, cell.channels).kernels
        if kernels is None:
            return cell.join(cell.nodes([pool_input(x) for x in inputs], weights.choices))
        plan = self._plan(cell, weights, join_inputs=kernels.JOINS_INPUTS and len({x.shape for x in inputs}) == 1)
        draws, training = cell.random.state(), cell.training

        def reference(tensors: Sequence[Tensor]) -> Tensor:
            """The same function with the same random draws by the reference engine, for higher derivatives."""
            states, (table, *parameters) = tensors[: len(inputs)], tensors[len(inputs) :]
            states = [pool_input(x) for x in states]  # for operations that pool and are not of `build`
            held = replace(weights, table=table)
            replaced = {f"cell.{name}": p for name, p in zip(plan.names, parameters, strict=True)}
            with cell.random.again(draws), in_mode(cell, training), frozen_statistics(cell):
                return functional_call(ByReference(cell), replaced, (states, held))

        call = CellCall(plan, kernels, len(inputs), cell.stride, cell.joined, weights.auxiliary, reference)
        parameters = chain.from_iterable(plan.parameters())
        output: Tensor = FusedCell.apply(call, *inputs, weights.table, *parameters)
        return output

    def admit(self, like: Tensor) -> None:
        """See `CellEngine.admit`."""
        require_reference(like.device)

    def kernels(self, cell: MixedCell, like: Tensor) -> str:
        """In words, the kernels that compute `cell` for inputs of the device and data type of `like`."""
        return kernels_in_words(like.device.type, like.dtype, cell.channels)

    def unknown(self, cell: MixedCell) -> list[str]:
        """The names of the operations of `cell` that no kernel computes: their own modules do, as in the reference."""
        names: list[str] = []
        operations = []
        for edge in cell.edges:
            assert isinstance(edge, MixedEdge)
            operations.append(list(enumerate(edge.values(), len(names))))
            names += edge
        plan = plan_cell(cell.incoming, operations, ())
        left = (term for term in plan.terms if term.group >= 0 and isinstance(plan.groups[term.group], Module))
        return sorted({names[term.place] for term in left})

    def _plan(self, cell: MixedCell, weights: CellWeights, *, join_inputs: bool) -> CellPlan:
        beside = weights.auxiliary is not None
        key = (weights.active, beside, join_inputs)
        if key not in self._plans:
            if len(self._plans) >= KEPT_PLANS:
                self._plans.clear()
            width = len(weights.operations)
            operations = []
            for edge, (module, columns) in enumerate(zip(cell.edges, weights.active, strict=True)):
                assert isinstance(module, MixedEdge)
                found = [(edge * width + column, module[weights.operations[column]]) for column in columns]
                operations.append([*found, (-1, module[AUXILIARY])] if beside else found)
            norms: Any = cell.node_norms or ()
            self._plans[key] = plan = plan_cell(cell.incoming, operations, norms, join_inputs=join_inputs)
            names = {id(parameter): name for name, parameter in cell.named_parameters()}
            plan.names = [names[id(parameter)] for parameter in chain.from_iterable(plan.parameters())]
        return self._plans[key]
