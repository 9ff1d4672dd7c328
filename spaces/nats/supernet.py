"""The supernet of the NATS-Bench topology space."""

from functools import partial

from torch import Tensor, nn

from spaces.cells.mixed_cell import CellWeights, MixedCell
from spaces.cells.operations import convolution
from spaces.cells.supernet import Cells, SpaceTables, Supernet, SupernetConfig
from spaces.nats.genotype import NatsGenotype
from spaces.nats.residual_block import ResidualReduction


class NatsCell(MixedCell):
    """A cell with one input; its output is its last node."""

    def forward(self, x: Tensor, weights: CellWeights) -> Tensor:
        """The last node, same shape as `x`."""
        return self.mix((x,), weights)


class NatsSupernet(Supernet):
    """The supernet of Dong & Yang, "NAS-Bench-201" (ICLR 2020), section 2.1: three stages of searched cells.

    The stages have `channels`, twice and four times as many, with a residual block of stride 2 between them.
    `config.affine` is about the searched cells; all other batch norms are always affine, as in NAS-Bench-201's code.
    """

    def __init__(self, tables: SpaceTables, config: SupernetConfig) -> None:
        super().__init__(tables, config)
        norm, channels = config.norm, config.channels
        fixed = partial(norm, affine=True)
        wiring = NatsGenotype.possible_edges()
        self.stem = nn.Sequential(convolution(config.in_channels, channels, 3), fixed(channels))
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.cells.append(ResidualReduction(channels, 2 * channels, fixed))
                channels *= 2
            for _ in range(config.cells):
                edges = self.mixed_edges("cell", channels, norm, [1] * len(wiring))
                after = partial(norm, channels, affine=False) if config.node_norm else None
                self.cells.append(NatsCell("cell", wiring, edges, 1, self.random, after, joined=False))
        self.last = nn.Sequential(fixed(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, config.classes)

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """Logits `[N, classes]`."""
        read = iter(cells["cell"])
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x, next(read)) if isinstance(cell, NatsCell) else cell(x)
        logits: Tensor = self.classifier(self.last(x).mean((2, 3)))
        return logits
