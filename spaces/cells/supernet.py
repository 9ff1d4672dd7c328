"""The supernets: one module for each operation of each edge.

A supernet is a pure function of (images, weights). A parameter's name says where it belongs,
`cells.<cell>.edges.<edge>.<operation>.…`. Two engines compute the same function of the same parameters: `reference`
takes a cell's operations one by one and adds them up as the papers write it, which is the definition; `fast`
(`spaces.engine`) takes a whole cell at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from itertools import chain
from typing import Literal, Self

import torch
from torch import Tensor, nn

from spaces.cells.genotype import DartsGenotype, NatsGenotype
from spaces.cells.mixed_cell import AUXILIARY, CellWeights, Engine, MixedCell, MixedEdge, transformed
from spaces.cells.operations import (
    BatchNorm,
    DroppedSkip,
    FactorizedReduce,
    Norm,
    ResidualReduction,
    build,
    convolution,
    relu_conv_bn,
)
from spaces.common.streams import NoiseStream

BatchNormMode = Literal["running", "batch"]
"""Whether running statistics are kept and used by `eval()`, or the batch's own are used always."""

Precision = Literal["fp32", "bf16"]
"""Of a pass: single precision throughout, or bfloat16 wherever torch's autocast has it."""


Cells = Mapping[str, Sequence[CellWeights]]
"""Kind -> how the operations of each of its cells are weighed."""

ActiveColumns = Mapping[str, tuple[tuple[tuple[int, ...], ...], ...]]
"""Kind -> for each table of weights (one for all cells, or one a cell) and each edge, the columns that are computed."""


def reductions(cells: int) -> frozenset[int]:
    """Where the DARTS networks reduce: the cells at 1/3 and 2/3 of the depth."""
    return frozenset({cells // 3, 2 * cells // 3})


class Supernet(nn.Module, ABC):
    """What the supernets share: the random stream of their noise and how they read weights.

    `operations` are the columns of the weights, `mask` tells for each kind `[edges, operations]` which of them an edge
    has (the others get no module), `cells_of` how many cells of each kind there are. With `auxiliary_skip` every edge
    adds a skip-connection of its own (FactorizedReduce where it strides), `auxiliary_weight` times (DARTS-).
    """

    def __init__(
        self,
        operations: Sequence[str],
        mask: Mapping[str, Tensor],
        cells_of: Mapping[str, int],
        *,
        auxiliary_skip: bool,
    ) -> None:
        super().__init__()
        self.operations = tuple(operations)
        self.cells_of = dict(cells_of)
        self.random = NoiseStream()
        self.auxiliary_skip = auxiliary_skip
        self.auxiliary_weight = 1.0
        self._engine: Engine = "reference"
        self.precision: Precision = "fp32"
        self._skip_dropout = 0.0
        computed = torch.tensor([name != "none" for name in operations], device="cpu")
        self._present = {kind: rows & computed for kind, rows in mask.items()}

    @property
    def engine(self) -> Engine:
        """What computes the searched cells; both give the same function."""
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine
        for module in self.modules():
            if isinstance(module, MixedCell):
                module.engine = engine

    def reference(self) -> Self:
        """A supernet of the same parameters and running statistics, not copies, computed by the reference."""
        shared = {id(tensor): tensor for tensor in chain(self.parameters(), self.buffers())}
        twin = deepcopy(self, shared)
        twin.engine = "reference"
        return twin

    @property
    def skip_dropout(self) -> float:
        """Probability, in training, that an element of a `skip_connect`'s output is dropped; 0 where it strides."""
        return self._skip_dropout

    @skip_dropout.setter
    def skip_dropout(self, rate: float) -> None:
        if rate == self._skip_dropout:
            return
        self._skip_dropout = rate
        for module in self.modules():
            if isinstance(module, DroppedSkip):
                module.rate = rate

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """Logits `[N, classes]` of images `[N, C, H, W]`.

        `weights[kind]` is `[edges, operations]` for all cells of a kind, or `[cells, edges, operations]`, with the
        images or on the host. A weight of an operation that the edge lacks is ignored. An operation is not computed
        where its weight is known on the host to be zero: on the CPU, and not being differentiated.

        In bf16 the reference computes whatever the engine is. Raises `ValueError` for weights of another shape.
        """
        return self.compute(images, self.read(weights, images.device))

    def compute(self, images: Tensor, cells: Cells) -> Tensor:
        """What `forward` returns, of weights that have been read: nothing of it depends on what a tensor holds."""
        if self.engine == "fast" and not transformed():  # whose cells have channels innermost
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.logits(images, cells)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    @abstractmethod
    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """What `compute` returns, in the layout and precision under way."""

    def mixed_edges(
        self, kind: str, channels: int, norm: Norm, strides: Sequence[int], pool: Norm | None = None
    ) -> list[MixedEdge]:
        """One mixed edge for each of the kind's edges. `pool` is the norm after a pooling, where there is one."""
        edges = []
        for row, stride in zip(self._present[kind].tolist(), strides, strict=True):
            edge = MixedEdge()
            for name in (name for name, present in zip(self.operations, row, strict=True) if present):
                operation = build(name, channels, stride, norm, self.random)
                if pool is not None and name.endswith("pool_3x3"):
                    operation = nn.Sequential(operation, pool(channels))
                if name == "skip_connect" and stride == 1:
                    operation = DroppedSkip(self.random)
                edge[name] = operation
            if self.auxiliary_skip:
                edge[AUXILIARY] = build("skip_connect", channels, stride, norm, self.random)
            edges.append(edge)
        return edges

    def read(self, weights: Mapping[str, Tensor], device: torch.device) -> Cells:
        """How the operations of each cell are weighed, for images on `device`."""
        active = self.active(weights)
        return self.weighed({kind: weights[kind].to(device, non_blocking=True) for kind in active}, active)

    def active(self, weights: Mapping[str, Tensor]) -> ActiveColumns:
        """Which weights are of operations that are computed. Raises `ValueError` for weights of another shape."""
        found = {}
        for kind, present in self._present.items():
            table, cells = weights[kind], self.cells_of[kind]
            if table.shape not in (present.shape, (cells, *present.shape)):
                raise ValueError(
                    f"weights of the {kind} cells have shape {list(table.shape)}: "
                    f"expected {list(present.shape)} or {[cells, *present.shape]}"
                )
            computed = present.expand(table.shape)
            if _known(table):
                computed = computed & (table != 0)
            rows = computed.reshape(-1, *present.shape).tolist()
            found[kind] = tuple(
                tuple(tuple(column for column, on in enumerate(row) if on) for row in edges) for edges in rows
            )
        return found

    @property
    def beside(self) -> float | None:
        """The weight of the auxiliary skip-connections; None where they are not computed."""
        return (self.auxiliary_weight or None) if self.auxiliary_skip else None

    def weighed(
        self, tables: Mapping[str, Tensor], active: ActiveColumns, beside: Tensor | float | None = None
    ) -> Cells:
        """The weights of each cell, of tables on the device of the images; `beside` as a tensor if it may change."""
        auxiliary = self.beside if beside is None else beside
        found = {}
        for kind, each in active.items():
            apart = tables[kind].reshape(-1, *self._present[kind].shape).unbind()
            cells = [
                CellWeights(self.operations, table, edges, auxiliary) for table, edges in zip(apart, each, strict=True)
            ]
            found[kind] = cells * (self.cells_of[kind] // len(cells))
        return found


def _known(weights: Tensor) -> bool:
    """Whether a zero among `weights` is structural: no device is waited for to read it, and no derivative passes."""
    return not weights.requires_grad and weights.device.type == "cpu" and not transformed()


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

    As there, the stem's batch norm is affine whatever the cells' is, and a pooling is followed by a batch norm that
    never is.
    """

    def __init__(
        self,
        operations: Sequence[str],
        mask: Mapping[str, Tensor],
        cells_of: Mapping[str, int],
        channels: int,
        classes: int,
        in_channels: int,
        *,
        affine: bool,
        batch_norm: BatchNormMode,
        node_norm: bool = False,
        auxiliary_skip: bool = False,
    ) -> None:
        super().__init__(operations, mask, cells_of, auxiliary_skip=auxiliary_skip)
        norm = partial(BatchNorm, affine=affine, running=batch_norm == "running")
        plain = partial(norm, affine=False)
        width = 3 * channels
        self.stem = nn.Sequential(convolution(in_channels, width, 3), norm(width, affine=True))
        self.cells = nn.ModuleList()
        wiring = DartsGenotype.possible_edges()
        older, newer, after_reduction = width, width, False
        depth = sum(cells_of.values())
        for index in range(depth):
            reduces = index in reductions(depth)
            kind = "reduce" if reduces else "normal"
            channels = 2 * channels if reduces else channels
            strides = [2 if reduces and source < DartsGenotype.inputs else 1 for source, _ in wiring]
            edges = self.mixed_edges(kind, channels, norm, strides, pool=plain)
            cell = DartsCell(
                kind,
                edges,
                (older, newer),
                channels,
                norm,
                self.random,
                after_reduction=after_reduction,
                node_norm=partial(plain, channels) if node_norm else None,
            )
            self.cells.append(cell)
            older, newer, after_reduction = newer, DartsGenotype.nodes * channels, reduces
        self.classifier = nn.Linear(newer, classes)

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """Logits `[N, classes]`."""
        read = {kind: iter(weights) for kind, weights in cells.items()}
        older = newer = self.stem(images)
        for cell in self.cells:
            assert isinstance(cell, DartsCell)
            older, newer = newer, cell(older, newer, next(read[cell.kind]))
        logits: Tensor = self.classifier(newer.mean((2, 3)))
        return logits


class NatsCell(MixedCell):
    """A cell with one input; its output is its last node."""

    def forward(self, x: Tensor, weights: CellWeights) -> Tensor:
        """The last node, same shape as `x`."""
        return self.mix((x,), weights)


class NatsSupernet(Supernet):
    """The supernet of Dong & Yang, "NAS-Bench-201" (ICLR 2020), section 2.1: three stages of searched cells.

    Stages have `channels`, twice and four times as many; a residual block of stride 2 stands between them. `affine`
    is the searched cells' batch norm; the stem's, the reductions' and the last are affine always, as there.
    """

    def __init__(
        self,
        operations: Sequence[str],
        mask: Mapping[str, Tensor],
        cells_of: Mapping[str, int],
        channels: int,
        classes: int,
        in_channels: int,
        *,
        affine: bool,
        batch_norm: BatchNormMode,
        node_norm: bool = False,
        auxiliary_skip: bool = False,
    ) -> None:
        super().__init__(operations, mask, cells_of, auxiliary_skip=auxiliary_skip)
        norm = partial(BatchNorm, affine=affine, running=batch_norm == "running")
        fixed = partial(norm, affine=True)
        wiring = NatsGenotype.possible_edges()
        self.stem = nn.Sequential(convolution(in_channels, channels, 3), fixed(channels))
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.cells.append(ResidualReduction(channels, 2 * channels, fixed))
                channels *= 2
            for _ in range(cells_of["cell"] // 3):
                edges = self.mixed_edges("cell", channels, norm, [1] * len(wiring))
                after = partial(norm, channels, affine=False) if node_norm else None
                self.cells.append(NatsCell("cell", wiring, edges, 1, self.random, after, joined=False))
        self.last = nn.Sequential(fixed(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """Logits `[N, classes]`."""
        read = iter(cells["cell"])
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x, next(read)) if isinstance(cell, NatsCell) else cell(x)
        logits: Tensor = self.classifier(self.last(x).mean((2, 3)))
        return logits
