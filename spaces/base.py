"""A search space: what can be searched, and how weights, genotypes and networks of it become one another."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from functools import reduce
from statistics import fmean
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.cost import multiply_adds
from spaces.cells.genotype import Genotype
from spaces.cells.mixed_cell import Engine
from spaces.cells.network import Network, Stem
from spaces.cells.supernet import BatchNormMode, Supernet
from spaces.common.errors import InputError, unknown
from spaces.common.streams import generator, seeded


class Space(ABC):
    """A cell-based search space.

    - `operations`: the candidate operations, the columns of every alpha.
    - `edges`: kind of cell -> its (source, target) pairs, the rows of every alpha.
    - `mask`: kind -> bool `[edges, operations]`: which operations an edge has, those in `without` taken out.
    - `selectable`: `mask` less the operations that no genotype may have (`none` in the DARTS space).
    - `without`: the operations taken out. Their columns stay.

    Raises `InputError` where `without` names an operation that the space lacks, or leaves an edge nothing to select.
    """

    name: ClassVar[str]
    notation: ClassVar[type[Genotype]]
    operations: ClassVar[tuple[str, ...]]
    family: ClassVar[Callable[..., Supernet]]
    """The class of its supernets."""
    unselectable: ClassVar[frozenset[str]] = frozenset()
    """Operations that a supernet may have and a genotype may not."""
    scalar: ClassVar[bool] = False
    """Whether alpha and the weights are one number each and alpha weighs nothing against another (`analytic`)."""

    def __init__(self, without: Iterable[str] = ()) -> None:
        self.without = tuple(without)
        for operation in self.without:
            if operation not in self.operations:
                raise unknown(f"operation of {self.name}", operation, self.operations)
        self.kinds = self.notation.kinds
        self.edges = dict.fromkeys(self.kinds, self.notation.possible_edges())
        self.mask = {
            kind: torch.tensor(
                [
                    [name in allowed and name not in self.without for name in self.operations]
                    for allowed in self.allowed(kind)
                ],
                device="cpu",
            )
            for kind in self.kinds
        }
        selectable = torch.tensor([name not in self.unselectable for name in self.operations], device="cpu")
        self.selectable = {kind: mask & selectable for kind, mask in self.mask.items()}
        self._refuse_empty_edges(f"without {', '.join(self.without)}")

    def _refuse_empty_edges(self, how: str) -> None:
        for kind in self.kinds:
            for (source, target), row in zip(self.edges[kind], self.selectable[kind], strict=True):
                if not row.any():
                    raise InputError(
                        f"{self.name} {how}: edge {source} -> {target} of the {kind} cell has no operation left to "
                        "select"
                    )

    def restricted(self, mask: Mapping[str, Tensor]) -> Self:
        """The space of those operations alone that `mask` leaves: kind -> bool `[edges, operations]`.

        Columns stay, and a genotype of the smaller space is one of this. Raises `InputError` where an edge is left
        nothing to select.
        """
        smaller = copy(self)
        smaller.mask = {kind: rows & mask[kind].cpu() for kind, rows in self.mask.items()}
        smaller.selectable = {kind: rows & mask[kind].cpu() for kind, rows in self.selectable.items()}
        smaller._refuse_empty_edges("restricted")
        return smaller

    def allowed(self, kind: str) -> Sequence[Iterable[str]]:
        """The operations of each edge of a kind of cell, before `without`: all of them, unless a space lists them."""
        return [self.operations] * len(self.edges[kind])

    @abstractmethod
    def cells_of(self, kind: str, cells: int) -> int:
        """How many cells of a kind a network of size `cells` has. Raises `InputError` if it would lack a kind."""

    def supernet(
        self,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int = 3,
        *,
        affine: bool = False,
        batch_norm: BatchNormMode = "running",
        node_norm: bool = False,
        auxiliary_skip: bool = False,
        engine: Engine = "fast",
    ) -> Supernet:
        """The supernet: `net(images [N, C, H, W], weights)` gives logits `[N, classes]`.

        Its first cells have `channels`, its size is `cells` as `cells_of` counts. With `affine` the searched cells'
        batch norms learn scale and shift. `batch_norm="running"` keeps running statistics for `eval()`, `"batch"`
        always uses the batch's. With `node_norm` a batch norm without scale and shift follows the sum of each
        intermediate node of the searched cells. `auxiliary_skip` gives every edge a skip-connection that no weight is
        asked for. Both engines compute the same function of the same parameters: `reference` is the plain construction.
        """
        net = self.family(
            self.operations,
            self.mask,
            {kind: self.cells_of(kind, cells) for kind in self.kinds},
            channels,
            classes,
            in_channels,
            affine=affine,
            batch_norm=batch_norm,
            node_norm=node_norm,
            auxiliary_skip=auxiliary_skip,
        )
        net.engine = engine
        return net

    @abstractmethod
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
        """The derived network: `model(images, drop_path=0.0)` gives logits, `model.both` the auxiliary ones too.

        Raises `InputError` where the genotype is not one of this space, or it lacks that stem or an auxiliary head.
        """

    @abstractmethod
    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """The (edge, operation) numbers that weights `[edges, operations]` select; -inf marks what cannot be."""

    @abstractmethod
    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> Genotype:
        """The genotype with the (edge, operation) numbers that are chosen for each kind of cell."""

    @abstractmethod
    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """(Edge, operation) numbers drawn from what `select` can give; see `random`."""

    def choices(self, kind: str) -> list[list[tuple[int, ...]]]:
        """What `random` chooses from: for each part of a cell the equally likely sets of edges that it keeps.

        Edges are numbers. Every one is kept, unless a space says otherwise.
        """
        return [[(edge,)] for edge in range(len(self.edges[kind]))]

    def alpha(self, seed: int) -> dict[str, Tensor]:
        """Architecture parameters at their start: kind -> float32 `[edges, operations]`, 1e-3 times standard normal."""
        return {
            kind: 1e-3 * torch.randn(mask.shape, generator=generator(seed, "alpha", kind), device="cpu")
            for kind, mask in self.mask.items()
        }

    def second_weights(self, net: Supernet) -> Supernet:
        """A second supernet beside `net`, for a method that trains two: it starts from the same weights."""
        return deepcopy(net)

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """What a search descends: the mean cross-entropy (a scalar) of logits `[N, classes]` and labels `[N]`."""
        return F.cross_entropy(outputs, labels)

    def hits(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """How many (a scalar) of the logits `[N, classes]` are right about their labels `[N]`."""
        return (outputs.argmax(1) == labels).sum()

    def discretize(self, weights: Mapping[str, Tensor]) -> Genotype:
        """The genotype that weights select, ties going to the first edge and operation.

        `weights[kind]` is `[edges, operations]`, or `[cells, edges, operations]`, of which the mean over cells counts.
        Raises `InputError` where a weight is not a number, `ValueError` for weights of another shape.
        """
        chosen = {}
        for kind, mask in self.mask.items():
            table = weights[kind].detach().to("cpu", torch.float64)
            table = table.mean(0) if table.dim() == 3 else table
            if table.shape != mask.shape:
                raise ValueError(f"weights of the {kind} cells have shape {list(table.shape)}, not {list(mask.shape)}")
            if table.isnan().any():
                raise InputError(f"weights of the {kind} cells are not numbers: the search diverged, lower its rates")
            chosen[kind] = self.select(kind, table.masked_fill(~self.selectable[kind], -torch.inf))
        return self.assemble(chosen)

    def encode(self, genotype: Genotype) -> dict[str, Tensor]:
        """The float32 0/1 weights that select a genotype inside the supernet; `discretize` undoes it.

        Raises `InputError` where the genotype is not one of this space.
        """
        self.check(genotype)
        weights = {kind: torch.zeros(mask.shape, device="cpu") for kind, mask in self.mask.items()}
        for kind, table in weights.items():
            for source, target, operation in genotype.edges(kind):
                table[self.edges[kind].index((source, target)), self.operations.index(operation)] = 1.0
        return weights

    def parse(self, text: str) -> Genotype:
        """The genotype written in the field's notation.

        Raises `InputError` where the text is malformed, or describes an architecture that this space lacks.
        """
        genotype = self.notation.parse(text)
        self.check(genotype)
        return genotype

    def random(self, generator: torch.Generator) -> Genotype:
        """A random architecture: a node's inputs drawn uniformly, then an operation of each of its edges."""
        return self.assemble({kind: self.draw(kind, generator) for kind in self.kinds})

    def chances(self, kind: str, operations: Collection[str]) -> list[float]:
        """The probability that 0, 1, … edges of a `random` architecture's cell hold one of `operations`. Exact."""
        named = torch.tensor([name in operations for name in self.operations], device="cpu")
        selectable = self.selectable[kind]
        share = ((selectable & named).sum(-1).double() / selectable.sum(-1)).tolist()
        found = [1.0]
        for part in self.choices(kind):
            kept = [reduce(_one_more, (share[edge] for edge in edges), found) for edges in part]
            found = [fmean(chance) for chance in zip(*kept, strict=True)]
        return found

    def check(self, genotype: Genotype) -> None:
        """Raise `InputError` unless `genotype` is an architecture of this space."""
        if not isinstance(genotype, self.notation):
            raise InputError(f"not a genotype of {self.name}: {genotype}")
        for kind in self.kinds:
            for source, target, operation in genotype.edges(kind):
                if operation not in self.operations:
                    raise unknown(f"operation of {self.name}", operation, self.operations)
                row = self.selectable[kind][self.edges[kind].index((source, target))].tolist()
                if not row[self.operations.index(operation)]:
                    has = ", ".join(name for name, on in zip(self.operations, row, strict=True) if on)
                    raise InputError(
                        f"{self.name} cannot select {operation} on edge {source} -> {target} of the {kind} cell: "
                        f"it has {has}"
                    )

    def cost(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        size: int,
        in_channels: int = 3,
        stem: Stem = "cifar",
    ) -> dict[str, int]:
        """What the derived network costs, its auxiliary head excluded.

        `params` is its number of parameters, `macs` the multiply-adds of its convolutions and linear layers for one
        image of `size` x `size` pixels. Batch norms, poolings and sums are not counted.
        """
        with seeded(0, "cost"):
            net = self.network(genotype, channels, cells, classes, in_channels, stem=stem).eval()
            macs = multiply_adds(net, torch.zeros(1, in_channels, size, size))
        return {"params": sum(p.numel() for p in net.parameters()), "macs": macs}


def _one_more(chances: Sequence[float], chance: float) -> list[float]:
    """The distribution of a count after one more event, independent of those before."""
    pairs = zip([*chances, 0.0], [0.0, *chances], strict=True)
    return [(1 - chance) * without + chance * with_it for without, with_it in pairs]
