"""The fast engine of one mixed cell: chooses the plan for the operations in use, and computes the cell by it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from torch import Tensor
from torch.func import functional_call

from spaces.cells.mixed_cell import AUXILIARY, ByReference, CellWeights, MixedCell, MixedEdge
from spaces.cells.operations import frozen_statistics, in_mode, pool_input
from spaces.engine.fused_cell import Fused, Job
from spaces.engine.plan import Plan, read

KEPT_PLANS = 16
"""Plans cached for a cell. A method that samples operations has a plan for each sample."""


class FastEngine:
    """Computes a mixed cell as one differentiable function; implements `spaces.cells.mixed_cell.CellEngine`."""

    def __init__(self) -> None:
        self._plans: dict[tuple[object, ...], Plan] = {}

    @property
    def plans(self) -> list[Plan]:
        """The cached plans."""
        return list(self._plans.values())

    def compute(self, cell: MixedCell, inputs: Sequence[Tensor], weights: CellWeights) -> Tensor:
        """The output of `cell`, `[N, C or nodes · C, H, W]`."""
        plan = self._plan(cell, weights)
        draws, training = cell.random.state(), cell.training

        def reference(tensors: Sequence[Tensor]) -> Tensor:
            """The same function with the same random draws by the reference engine, for higher derivatives."""
            states, (table, *parameters) = tensors[: len(inputs)], tensors[len(inputs) :]
            states = [pool_input(x) for x in states]  # for operations that pool and are not of `build`
            held = replace(weights, table=table)
            replaced = {f"cell.{name}": p for name, p in zip(plan.names, parameters, strict=True)}
            with cell.random.again(draws), in_mode(cell, training), frozen_statistics(cell):
                return functional_call(ByReference(cell), replaced, (states, held))

        job = Job(plan, len(inputs), cell.stride, cell.joined, weights.auxiliary, reference)
        parameters = chain.from_iterable(plan.parameters())
        output: Tensor = Fused.apply(job, *inputs, weights.table, *parameters)
        return output

    def _plan(self, cell: MixedCell, weights: CellWeights) -> Plan:
        beside = weights.auxiliary is not None
        key = (weights.active, beside)
        if key not in self._plans:
            if len(self._plans) >= KEPT_PLANS:
                self._plans.clear()
            width = len(weights.operations)
            operations = []
            for edge, (module, columns) in enumerate(zip(cell.edges, weights.active, strict=True)):
                assert isinstance(module, MixedEdge)
                found = [(edge * width + column, module[weights.operations[column]]) for column in columns]
                operations.append([*found, (-1, module[AUXILIARY])] if beside else found)
            self._plans[key] = plan = read(cell.incoming, operations, cell.node_norms or ())  # type: ignore[arg-type]
            names = {id(parameter): name for name, parameter in cell.named_parameters()}
            plan.names = [names[id(parameter)] for parameter in chain.from_iterable(plan.parameters())]
        return self._plans[key]
