"""The supernet of the DARTS space and its reduced versions."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from spaces.cells.mixed_cell import CellWeights, MixedCell, MixedEdge
from spaces.cells.operations import FactorizedReduce, Norm, convolution, relu_conv_bn
from spaces.cells.supernet import Cells, SpaceTables, Supernet, SupernetConfig
from spaces.common.streams import NoiseStream
from spaces.darts.genotype import DartsGenotype


def reductions(cells: int) -> frozenset[int]:
    """Where the DARTS networks reduce: the cells at 1/3 and 2/3 of the depth."""
    return frozenset({cells // 3, 2 * cells // 3})


class DartsCell(MixedCell):
    """A cell with two inputs: the outputs of the two cells before it, each brought to this cell's size and channels."""

    def __init__(
        self,
        kind: str,
        edges: Sequence[MixedEdge],
        channels_in: tuple[int, int],
        channels: int,
        norm: Norm,
        random: NoiseStream,
        *,
        after_reduction: bool,
        node_norm: Callable[[], nn.Module] | None = None,
    ) -> None:
        stride = 2 if kind == "reduce" else 1
        super().__init__(kind, DartsGenotype.possible_edges(), edges, stride, random, node_norm, joined=True)
        older, newer = channels_in
        self.preprocess0: nn.Module = (
            FactorizedReduce(older, channels, norm) if after_reduction else relu_conv_bn(older, channels, 1, 1, norm)
        )
        self.preprocess1 = relu_conv_bn(newer, channels, 1, 1, norm)

    def forward(self, older: Tensor, newer: Tensor, weights: CellWeights) -> Tensor:
        """The concatenated intermediate nodes, `[N, 4 * channels, H, W]`."""
        return self.mix((self.preprocess0(older), self.preprocess1(newer)), weights)


class DartsSupernet(Supernet):
    """The supernet of Liu et al., "DARTS: differentiable architecture search" (ICLR 2019), section 2.1 and A.1.

    As in the paper's code, the stem's batch norm is always affine, and the batch norm after a pooling never is.
    """

    def __init__(self, tables: SpaceTables, config: SupernetConfig) -> None:
        super().__init__(tables, config)
        norm, channels = config.norm, config.channels
        not_affine = partial(norm, affine=False)
        width = 3 * channels
        self.stem = nn.Sequential(convolution(config.in_channels, width, 3), norm(width, affine=True))
        self.cells = nn.ModuleList()
        wiring = DartsGenotype.possible_edges()
        older, newer, after_reduction = width, width, False
        for index in range(config.cells):
            reduces = index in reductions(config.cells)
            kind = "reduce" if reduces else "normal"
            channels = 2 * channels if reduces else channels
            strides = [2 if reduces and source < DartsGenotype.inputs else 1 for source, _ in wiring]
            edges = self.mixed_edges(kind, channels, norm, strides, pool=not_affine)
            cell = DartsCell(
                kind,
                edges,
                (older, newer),
                channels,
                norm,
                self.random,
                after_reduction=after_reduction,
                node_norm=partial(not_affine, channels) if config.node_norm else None,
            )
            self.cells.append(cell)
            older, newer, after_reduction = newer, DartsGenotype.nodes * channels, reduces
        self.classifier = nn.Linear(newer, config.classes)

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """Logits `[N, classes]`."""
        read = {kind: iter(weights) for kind, weights in cells.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            assert isinstance(cell, DartsCell)
            older, newer = newer, cell(older, newer, next(read[cell.kind]))
        logits: Tensor = self.classifier(newer.mean((2, 3)))
        return logits
