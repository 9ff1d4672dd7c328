"""The DARTS space (Liu et al., "DARTS: differentiable architecture search", ICLR 2019)."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.network import Stem
from spaces.cells.supernet import SupernetConfig
from spaces.common.errors import InputError
from spaces.darts.genotype import DartsGenotype
from spaces.darts.network import DartsNetwork
from spaces.darts.supernet import DartsSupernet, reductions


class Darts(Space):
    """Normal and reduction cells of four intermediate nodes; each node keeps its two strongest inputs, never `none`."""

    name = "darts"
    cells_per = "network"
    notation = DartsGenotype
    operations: ClassVar[tuple[str, ...]] = (
        "none",
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "dil_conv_5x5",
    )
    unselectable = frozenset({"none"})

    def cells_of(self, kind: str, cells: int) -> int:
        """Of `cells` cells in all, those at 1/3 and 2/3 of the depth are reduction cells."""
        if cells < 3:
            raise InputError(f"cells: a network of {self.name} has at least 3, not {cells}")
        reducing = len(reductions(cells))
        return {"normal": cells - reducing, "reduce": reducing}[kind]

    def build_supernet(self, config: SupernetConfig) -> DartsSupernet:
        """See `Space.supernet`."""
        return DartsSupernet(self, config)

    def network(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int = 3,
        *,
        stem: Stem = "cifar",
        auxiliary: bool = False,
    ) -> DartsNetwork:
        """The derived network of `cells` cells in all; see `Space.network`."""
        self.check(genotype)
        assert isinstance(genotype, DartsGenotype)
        self.cells_of("normal", cells)
        return DartsNetwork(genotype, channels, cells, classes, in_channels, stem=stem, auxiliary=auxiliary)

    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """For each node, the two incoming edges with the largest weight of any operation, each with that operation."""
        strength, operation = weights.max(-1)
        chosen = []
        for incoming in self._incoming(kind):
            # The sort is stable: of equally strong edges the first ones are kept.
            strongest = sorted(incoming, key=lambda edge: -strength[edge].item())[:2]
            chosen += [(edge, int(operation[edge])) for edge in sorted(strongest)]
        return chosen

    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> DartsGenotype:
        """The genotype of the chosen (edge, operation) numbers."""
        pairs = {
            kind: tuple((self.operations[operation], self.edges[kind][edge][0]) for edge, operation in numbers)
            for kind, numbers in chosen.items()
        }
        return DartsGenotype(**pairs)

    def choices(self, kind: str) -> list[list[tuple[int, ...]]]:
        """For each node, every pair of its incoming edges."""
        return [list(combinations(incoming, 2)) for incoming in self._incoming(kind)]

    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """For each node two of its incoming edges, each with one of the operations that can be selected."""
        selectable = self.selectable[kind]
        chosen = []
        for incoming in self._incoming(kind):
            for place in sorted(torch.randperm(len(incoming), generator=random, device="cpu")[:2].tolist()):
                options = selectable[incoming[place]].nonzero().flatten()
                pick = torch.randint(len(options), (), generator=random, device="cpu")
                chosen.append((incoming[place], int(options[pick])))
        return chosen

    def _incoming(self, kind: str) -> list[list[int]]:
        """For each intermediate node the numbers of its incoming edges."""
        return [
            [number for number, (_, target) in enumerate(self.edges[kind]) if target == node]
            for node in self.notation.outputs
        ]
