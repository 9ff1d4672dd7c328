"""A bilevel problem as a search space.

It has one edge with one operation, whose weight is alpha itself: there is nothing to discretize. Its supernet has one
parameter, w. A "batch" is the coefficients of a loss, so that both losses are one function of (batch, w, alpha).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from spaces.analytic.problems import RARTS_MODEL, Problem, Quadratic
from spaces.base import Space
from spaces.cells.genotype import Edge, Genotype
from spaces.cells.network import Network, Stem
from spaces.cells.supernet import Cells, SpaceTables, Supernet, SupernetConfig
from spaces.common.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class ScalarGenotype(Genotype):
    """The space's only architecture."""

    kinds: ClassVar[tuple[str, ...]] = ("cell",)
    inputs: ClassVar[int] = 1
    nodes: ClassVar[int] = 1
    outputs: ClassVar[tuple[int, ...]] = (1,)
    operations: ClassVar[tuple[str, ...]] = ("scalar",)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `|scalar~0|`."""
        if text.strip() != str(cls()):
            raise InputError(f"analytic has one architecture, {cls()}")
        return cls()

    def edges(self, kind: str) -> tuple[Edge, ...]:
        """The one edge."""
        return {"cell": ((0, 1, "scalar"),)}[kind]

    def __str__(self) -> str:
        return "|scalar~0|"

    __repr__ = __str__


class ScalarSupernet(Supernet):
    """The weight w (a float64 scalar): coefficients `[N, 6]` and alpha `[1, 1]` to values of the loss `[N]`."""

    def __init__(self, tables: SpaceTables, config: SupernetConfig, w: float) -> None:
        super().__init__(tables, config)
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Values of the loss, in double whatever the precision."""
        return self.logits(images, self.read(weights, images.device))

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """The value `[N]` of the loss with the coefficients of each row of `images`."""
        alpha, w = cells["cell"][0].table.reshape(()), self.w
        return images @ torch.stack([torch.ones_like(w), w, alpha, w * w, w * alpha, alpha * alpha])


class Split:
    """One of the two losses in place of a loader of a data set's split. An epoch is one batch, always the same."""

    def __init__(self, loss: Quadratic) -> None:
        self.row = loss.row()

    def __len__(self) -> int:
        return 1

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The coefficients `[1, 6]`, and a label that is not used."""
        return self.row, torch.zeros(1, dtype=torch.int64)

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The one batch."""
        yield self.batch(0, 0)


class Analytic(Space):
    """A `Problem` as a search space."""

    name = "analytic"
    cells_per = "network"
    trials = False
    relaxed = False
    notation = ScalarGenotype
    operations: ClassVar[tuple[str, ...]] = ScalarGenotype.operations

    def __init__(self, without: Iterable[str] = (), problem: Problem = RARTS_MODEL) -> None:
        super().__init__(without)
        self.problem = problem

    def splits(self) -> tuple[Split, Split]:
        """The training and the validation loss, in place of the two splits of a training set."""
        return Split(self.problem.train), Split(self.problem.valid)

    def alpha(self, seed: int) -> dict[str, Tensor]:
        """Alpha at its start, float64 `[1, 1]`, the same for every seed."""
        return {"cell": torch.tensor([[self.problem.start[0]]], dtype=torch.float64)}

    def build_supernet(self, config: SupernetConfig) -> ScalarSupernet:
        """The weight at its start. It has no size."""
        return ScalarSupernet(self, config, w=self.problem.start[1])

    def second_weights(self, net: Supernet) -> ScalarSupernet:
        """The second weight (y of RARTS), which has its own start."""
        return ScalarSupernet(self, net.config, w=self.problem.start[2])

    def cells_of(self, kind: str, cells: int) -> int:
        """One."""
        return 1

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
    ) -> Network:
        """Always raises `InputError`: there is no network."""
        raise InputError("analytic has no networks: it is a problem in two numbers, with nothing to train or count")

    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """The only edge and operation."""
        return [(0, 0)]

    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> ScalarGenotype:
        """The only architecture."""
        return ScalarGenotype()

    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """The only edge and operation."""
        return [(0, 0)]
