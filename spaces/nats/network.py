"""The network that is derived from a genotype of the NATS-Bench topology space."""

from torch import Tensor, nn

from spaces.cells.network import NORM, DerivedCell, Network
from spaces.cells.operations import convolution
from spaces.common.streams import NoiseStream
from spaces.nats.genotype import NatsGenotype
from spaces.nats.residual_block import ResidualReduction


class NatsDerivedCell(DerivedCell):
    """A derived cell of the NATS-Bench topology space; its output is its last node."""

    def __init__(self, genotype: NatsGenotype, channels: int, random: NoiseStream) -> None:
        targets = range(genotype.inputs, genotype.inputs + genotype.nodes)
        super().__init__(genotype.edges("cell"), targets, channels, 1, genotype.inputs, random)

    def forward(self, x: Tensor, probability: float) -> Tensor:
        """The last node, same shape as `x`."""
        return self.nodes((x,), probability)[-1]


class NatsNetwork(Network):
    """The network that NAS-Bench-201 trains (Dong & Yang, ICLR 2020, section 2.1): three stages of `cells` cells."""

    def __init__(self, genotype: NatsGenotype, channels: int, cells: int, classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(in_channels, channels, 3), NORM(channels))
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.cells.append(ResidualReduction(channels, 2 * channels, NORM))
                channels *= 2
            self.cells.extend(NatsDerivedCell(genotype, channels, self.random) for _ in range(cells))
        self.last = nn.Sequential(NORM(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def both(self, images: Tensor, drop_path: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Logits, and `None`: there is no auxiliary head."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x, drop_path) if isinstance(cell, NatsDerivedCell) else cell(x)
        return self.classifier(self.last(x).mean((2, 3))), None
