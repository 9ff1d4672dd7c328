"""A search space: what can be searched, and how weights, genotypes and networks are made of one another."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from functools import reduce
from statistics import fmean
from typing import ClassVar, Self

import torch
from torch import Tensor

from spaces.cells.cost import multiply_adds
from spaces.cells.genotype import Genotype
from spaces.cells.mixed_cell import Engine
from spaces.cells.network import Network, Stem
from spaces.cells.precision import Precision
from spaces.cells.supernet import BatchNormMode, Supernet, SupernetConfig
from spaces.common.errors import InputError, unknown
from spaces.common.streams import generator, seeded
from spaces.conventions import Conventions, Role
from spaces.engine.fast_engine import FastEngine


class Space(Conventions, ABC):
    """A cell-based search space.

    - `operations`: the candidate operations, the columns of every alpha.
    - `edges`: kind of cell -> its (source, target) pairs, the rows of every alpha.
    - `mask`: kind -> bool `[edges, operations]`: which operations an edge has, without those in `without`.
    - `selectable`: `mask` without the operations that no genotype may have (`none` in the DARTS space).
    - `without`: the operations that were removed. Their columns remain.

    Raises `InputError` if the space lacks an operation in `without`, or an edge is left without an operation.
    """

    name: ClassVar[str]
    notation: ClassVar[type[Genotype]]
    """The class of its genotypes."""
    operations: ClassVar[tuple[str, ...]]
    unselectable: ClassVar[frozenset[str]] = frozenset()
    """Operations that a supernet may have and a genotype may not."""

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
        """The space with only the operations in `mask`: kind -> bool `[edges, operations]`.

        Columns remain, and a genotype of the restricted space is one of this space. Raises `InputError` if an edge is
        left without an operation to select.
        """
        smaller = copy(self)
        smaller.mask = {kind: rows & mask[kind].cpu() for kind, rows in self.mask.items()}
        smaller.selectable = {kind: rows & mask[kind].cpu() for kind, rows in self.selectable.items()}
        smaller._refuse_empty_edges("restricted")
        return smaller

    def allowed(self, kind: str) -> Sequence[Iterable[str]]:
        """The operations of each edge of a kind of cell, before `without` is applied. By default, all."""
        return [self.operations] * len(self.edges[kind])

    @abstractmethod
    def cells_of(self, kind: str, cells: int) -> int:
        """How many cells of a kind a network of size `cells` has. Raises `InputError` if it has none."""

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
        precision: Precision = "fp32",
    ) -> Supernet:
        """The supernet: `net(images [N, C, H, W], weights)` returns logits `[N, classes]`.

        - `channels`: those of the first cells.
        - `cells`: its size, as `cells_per` says and `cells_of` counts.
        - `affine`: whether the searched cells' batch norms learn scale and shift.
        - `batch_norm`: `"running"` keeps running statistics for `eval()`, `"batch"` always uses the batch's.
        - `node_norm`: whether the sum of each intermediate node of the searched cells is followed by a batch norm
          without scale and shift.
        - `auxiliary_skip`: whether every edge has one more skip-connection, which no alpha weighs (DARTS-).
        - `engine`: `"reference"` computes the operations one by one, `"fast"` the same function a cell at once.
        - `precision`: `"bf16"` computes in bfloat16 wherever torch's autocast does. `"tf32"`, on a GPU, raises
          `ValueError` unless torch's switches allow it (`spaces.cells.precision`).
        """
        config = SupernetConfig(
            channels,
            cells,
            classes,
            in_channels,
            affine=affine,
            batch_norm=batch_norm,
            node_norm=node_norm,
            auxiliary_skip=auxiliary_skip,
            engine=engine,
            precision=precision,
        )
        net = self.build_supernet(config)
        net.install_fast_engine(FastEngine)
        net.engine = config.engine
        return net

    @abstractmethod
    def build_supernet(self, config: SupernetConfig) -> Supernet:
        """The family's supernet for `config`. `supernet` sets its engine."""

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
        """The derived network: `model(images, drop_path=0.0)` returns logits, `model.both` the auxiliary head's too.

        Raises `InputError` if the genotype is not one of this space, or the space lacks that stem or an auxiliary head.
        """

    @abstractmethod
    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """The (edge, operation) numbers that weights `[edges, operations]` select; unselectable ones are -inf."""

    @abstractmethod
    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> Genotype:
        """The genotype with the chosen (edge, operation) numbers of each kind of cell."""

    @abstractmethod
    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """(Edge, operation) numbers drawn from those that `select` can return; see `random`."""

    def choices(self, kind: str) -> list[list[tuple[int, ...]]]:
        """For each independent part of a cell, the equally likely sets of edge numbers that `random` keeps of it.

        By default each edge is a part, and is kept.
        """
        return [[(edge,)] for edge in range(len(self.edges[kind]))]

    def alpha(self, seed: int) -> dict[str, Tensor]:
        """Architecture parameters at their start: kind -> float32 `[edges, operations]`, 1e-3 times standard normal."""
        return {
            kind: 1e-3 * torch.randn(mask.shape, generator=generator(seed, "alpha", kind), device="cpu")
            for kind, mask in self.mask.items()
        }

    def parameters(self, seed: int) -> dict[str, Tensor]:
        """Every architecture parameter at its start, by name: `alpha`, and what else a space searches.

        A table of operations has the name of its kind of cell. `roles` says what each parameter decides.
        """
        return self.alpha(seed)

    @property
    def roles(self) -> dict[str, Role]:
        """What each of `parameters` decides, by the same names."""
        return {kind: Role("operations", kind) for kind in self.kinds}

    def second_weights(self, net: Supernet) -> Supernet:
        """A copy of `net` with the same weights, for a method that trains two supernets."""
        return deepcopy(net)

    def discretize(self, weights: Mapping[str, Tensor]) -> Genotype:
        """The genotype that weights select. Of equal weights, the first edge and operation win.

        `weights[kind]` is `[edges, operations]`, or `[cells, edges, operations]`, which is averaged over cells.
        Raises `InputError` if a weight is not a number, `ValueError` for weights of another shape.
        """
        chosen = {}
        for kind, mask in self.mask.items():
            table = weights[kind].detach().to("cpu", torch.float64)
            table = table.mean(0) if table.dim() == 3 else table
            if table.shape != mask.shape:
                raise ValueError(f"weights of the {kind} cells have shape {list(table.shape)}, not {list(mask.shape)}")
            if table.isnan().any():
                raise InputError(f"the weights of kind {kind!r} are not numbers: the search diverged, lower its rates")
            chosen[kind] = self.select(kind, table.masked_fill(~self.selectable[kind], -torch.inf))
        return self.assemble(chosen)

    def encode(self, genotype: Genotype) -> dict[str, Tensor]:
        """The float32 0/1 weights of a genotype, by kind, `[edges, operations]`; the inverse of `discretize`.

        Raises `InputError` if the genotype is not one of this space.
        """
        self.check(genotype)
        weights = {kind: torch.zeros(mask.shape, device="cpu") for kind, mask in self.mask.items()}
        for kind, table in weights.items():
            for source, target, operation in genotype.edges(kind):
                table[self.edges[kind].index((source, target)), self.operations.index(operation)] = 1.0
        return weights

    def parse(self, text: str) -> Genotype:
        """The genotype written in the field's notation.

        Raises `InputError` if the text is malformed, or describes an architecture that this space lacks.
        """
        genotype = self.notation.parse(text)
        self.check(genotype)
        return genotype

    def random(self, generator: torch.Generator) -> Genotype:
        """A random architecture: first a node's inputs are drawn uniformly, then the operation of each input."""
        return self.assemble({kind: self.draw(kind, generator) for kind in self.kinds})

    def chances(self, kind: str, operations: Collection[str]) -> list[float]:
        """The exact probabilities that 0, 1, … edges of a `random` architecture's cell hold one of `operations`."""
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
        """The cost of the derived network without its auxiliary head.

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
