"""What supernets share: a pure function of (images, weights), one module for each operation of each edge.

A parameter's name says where it belongs, `cells.<cell>.edges.<edge>.<operation>.…`. Two engines compute the same
function of the same parameters: `reference`, the definition, computes a cell's operations one by one and adds them up
as in the papers; `fast`, which `Space.supernet` installs, computes a whole cell at once.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from spaces.cells.mixed_cell import AUXILIARY, CellEngine, CellWeights, Engine, MixedCell, MixedEdge, transformed
from spaces.cells.operations import BatchNorm, DroppedSkip, Norm, build
from spaces.cells.precision import Precision, check_switches, float32_products
from spaces.common.streams import NoiseStream

BatchNormMode = Literal["running", "batch"]
"""The statistics that `eval()` normalises by: running ones, kept in training, or always the batch's own."""

Cells = Mapping[str, Sequence[CellWeights]]
"""Kind -> the weights of the operations of each of its cells."""

ActiveColumns = Mapping[str, tuple[tuple[tuple[int, ...], ...], ...]]
"""Kind -> for each table of weights (one for all cells, or one a cell) and each edge, the columns that are computed."""


class SpaceTables(Protocol):
    """The tables of a search space that supernets and cost tables are built from; `spaces.base.Space` has them."""

    name: ClassVar[str]
    operations: ClassVar[tuple[str, ...]]
    """The columns of every table of weights."""
    mask: dict[str, Tensor]
    """Kind of cell -> bool `[edges, operations]`: which operations an edge has. The others get no module."""

    def cells_of(self, kind: str, cells: int) -> int:
        """How many cells of a kind a network of size `cells` has."""


@dataclass(frozen=True)
class SupernetConfig:
    """The size of a supernet, and the choices that methods make about it. `Space.supernet` explains each field."""

    channels: int
    cells: int
    classes: int
    in_channels: int = 3
    affine: bool = False
    batch_norm: BatchNormMode = "running"
    node_norm: bool = False
    auxiliary_skip: bool = False
    engine: Engine = "fast"
    precision: Precision = "fp32"

    @property
    def norm(self) -> partial[BatchNorm]:
        """Makes the batch norm of the searched cells for a number of channels; `affine` may be given anew."""
        return partial(BatchNorm, affine=self.affine, running=self.batch_norm == "running")


class Supernet(nn.Module, ABC):
    """A supernet of the cells and operations in `tables`, as `config` says.

    `config` describes the supernet as it is now: `engine` and `precision` may be set on a supernet, and replace it.
    `cells_of` is kind -> number of cells, `random` the stream of the noise operation and of dropout. With
    `config.auxiliary_skip` every edge adds a skip-connection (FactorizedReduce where it strides) weighed by
    `auxiliary_weight`, which no alpha weighs (DARTS-).
    """

    def __init__(self, tables: SpaceTables, config: SupernetConfig) -> None:
        super().__init__()
        check_switches(config.precision)
        self.config = config
        self.operations = tables.operations
        self.cells_of = {kind: tables.cells_of(kind, config.cells) for kind in tables.mask}
        self.random = NoiseStream()
        self.auxiliary_weight = 1.0
        self._skip_dropout = 0.0
        computed = torch.tensor([name != "none" for name in self.operations], device="cpu")
        self._present = {kind: rows & computed for kind, rows in tables.mask.items()}

    @property
    def mixed_cells(self) -> list[MixedCell]:
        """The searched cells, first to last."""
        return [module for module in self.modules() if isinstance(module, MixedCell)]

    def install_fast_engine(self, make: Callable[[], CellEngine]) -> None:
        """Give each searched cell a fast engine from `make`. Until then only the reference engine can compute."""
        for cell in self.mixed_cells:
            cell.fast = make()

    @property
    def engine(self) -> Engine:
        """The engine that computes the searched cells; both compute the same function."""
        return self.config.engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        cells = self.mixed_cells
        if engine == "fast" and not all(cell.fast for cell in cells):
            raise ValueError("this supernet has no fast engine: build it by `Space.supernet`")
        self.config = replace(self.config, engine=engine)
        for cell in cells:
            cell.engine = engine

    def on(self, device: torch.device) -> Self:
        """The supernet itself, moved to `device`.

        For the fast engine on a GPU its kernels lie in memory with their input channels last, as it reads them.
        """
        if device.type == "cuda" and self.engine == "fast":
            return self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self.to(device)

    def computed_by(self) -> str:
        """What computes the supernet, in words: engine, precision and kernels, with the cells that differ.

        For example "fast, fp32, with C++ kernels; 2 of 5 cells leave unknown operations to the reference engine: NAME".
        """
        cells = self.mixed_cells
        if self.precision == "bf16":
            return "reference, bf16 autocast"
        like = next(self.parameters())
        single_on_gpu = like.dtype == torch.float32 and like.device.type == "cuda"
        precision = float32_products() if single_on_gpu else f"fp{torch.finfo(like.dtype).bits}"
        if self.engine == "reference" or not cells:
            return f"reference, {precision}"
        engines = [(cell, cell.fast) for cell in cells if cell.fast]
        (usual, _), *others = Counter(fast.kernels(cell, like) for cell, fast in engines).most_common()
        unknown = [left for cell, fast in engines if (left := fast.unknown(cell))]
        parts = [
            f"fast, {precision}, {usual}",
            *(f"{count} of {len(cells)} cells {kernels}" for kernels, count in others),
        ]
        if unknown:
            operations = ", ".join(sorted({name for each in unknown for name in each}))
            count = f"{len(unknown)} of {len(cells)} cells"
            parts.append(f"{count} leave unknown operations to the reference engine: {operations}")
        return "; ".join(parts)

    @property
    def precision(self) -> Precision:
        """The precision of a pass; the parameters keep their own.

        "tf32" is refused (`ValueError`) unless torch's switches allow it: they hold for the whole process, and
        `computed_by` says what they say at the time.
        """
        return self.config.precision

    @precision.setter
    def precision(self, precision: Precision) -> None:
        check_switches(precision)
        self.config = replace(self.config, precision=precision)

    def reference(self) -> Self:
        """A supernet that shares this one's parameters and running statistics, computed by the reference."""
        shared = {id(tensor): tensor for tensor in chain(self.parameters(), self.buffers())}
        net = deepcopy(self, shared)
        net.engine = "reference"
        return net

    @property
    def skip_dropout(self) -> float:
        """In training, the probability that an element of the output of a `skip_connect` of stride 1 is dropped."""
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

        `weights[kind]` is `[edges, operations]` for all cells of a kind, or `[cells, edges, operations]`, on the
        device of the images or on the CPU. A weight of an operation that the edge lacks is ignored. An operation is
        not computed if its weight is a zero on the CPU that is not differentiated.

        In bf16 the reference engine computes, even if `fast` is chosen. Raises `ValueError` for another shape.
        """
        return self.compute(images, self.read(weights, images.device))

    def compute(self, images: Tensor, cells: Cells) -> Tensor:
        """The logits of `forward`, for weights from `read`. No control flow depends on the values of a tensor."""
        if self.engine == "fast" and not transformed():  # its cells have channels last
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.logits(images, cells)
        return logits.float() if logits.dtype == torch.bfloat16 else logits

    @abstractmethod
    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """Logits `[N, classes]`, in the memory format and precision that `compute` has set."""

    def mixed_edges(
        self, kind: str, channels: int, norm: Norm, strides: Sequence[int], pool: Norm | None = None
    ) -> list[MixedEdge]:
        """A mixed edge for each edge of a kind of cell. `pool` makes the norm after a pooling, if it has one."""
        edges = []
        for row, stride in zip(self._present[kind].tolist(), strides, strict=True):
            edge = MixedEdge(channels)
            for name in (name for name, present in zip(self.operations, row, strict=True) if present):
                operation = build(name, channels, stride, norm, self.random)
                if pool is not None and name.endswith("pool_3x3"):
                    operation = nn.Sequential(operation, pool(channels))
                if name == "skip_connect" and stride == 1:
                    operation = DroppedSkip(self.random)
                edge[name] = operation
            if self.config.auxiliary_skip:
                edge[AUXILIARY] = build("skip_connect", channels, stride, norm, self.random)
            edges.append(edge)
        return edges

    def read(self, weights: Mapping[str, Tensor], device: torch.device) -> Cells:
        """The weights of each cell's operations, on `device`. Raises `ValueError` for weights of another shape."""
        active = self.active(weights)
        return self.weighed({kind: weights[kind].to(device, non_blocking=True) for kind in active}, active)

    def active(self, weights: Mapping[str, Tensor]) -> ActiveColumns:
        """The columns of operations that are computed. Raises `ValueError` for weights of another shape."""
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
    def active_auxiliary_weight(self) -> float | None:
        """The weight of the auxiliary skip-connections; None if they are not computed."""
        return (self.auxiliary_weight or None) if self.config.auxiliary_skip else None

    def weighed(
        self, tables: Mapping[str, Tensor], active: ActiveColumns, auxiliary: Tensor | float | None = None
    ) -> Cells:
        """The weights of each cell, from tables on the device of the images.

        `auxiliary` is the weight of the auxiliary skip-connections if it may change between passes, as a tensor.
        """
        weight = self.active_auxiliary_weight if auxiliary is None else auxiliary
        found = {}
        for kind, each in active.items():
            per_cell = tables[kind].reshape(-1, *self._present[kind].shape).unbind()
            cells = [
                CellWeights(self.operations, table, edges, weight) for table, edges in zip(per_cell, each, strict=True)
            ]
            found[kind] = cells * (self.cells_of[kind] // len(cells))
        return found


def _known(weights: Tensor) -> bool:
    """Whether zeros among `weights` can be read without waiting for a device, and have no derivative."""
    return not weights.requires_grad and weights.device.type == "cpu" and not transformed()
