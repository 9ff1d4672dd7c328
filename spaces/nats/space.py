"""The NATS-Bench topology space (Dong et al., TPAMI 2021), which is NAS-Bench-201's (Dong & Yang, ICLR 2020)."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.network import Stem
from spaces.cells.supernet import SupernetConfig
from spaces.common.errors import InputError
from spaces.common.settings import Value
from spaces.nats.genotype import NatsGenotype
from spaces.nats.network import NatsNetwork
from spaces.nats.supernet import NatsSupernet
from spaces.tabular.benchmark import NATS_TSS


class NatsTopology(Space):
    """One kind of cell with six edges, each of which keeps its strongest operation; three stages of cells."""

    name = "nats-tss"
    cells_per = "stage"
    notation = NatsGenotype
    operations: ClassVar[tuple[str, ...]] = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
    # Its own searches with DARTS (Dong et al., 2021) differ from DARTS's on CIFAR-10: five cells a stage, no
    # restriction of `none`, Nesterov momentum and more weight decay. The weights move first, as in its code.
    search_defaults: ClassVar[Mapping[str, Value]] = {
        "cells": 5,
        "weight_decay": 5e-4,
        "nesterov": True,
        "order": "weights-alpha",
    }
    benchmark = NATS_TSS

    def retraining(self, dataset: str) -> Mapping[str, Value]:
        """The training of every architecture in the table (Dong et al., 2021, table 1), on all data sets."""
        return {
            "epochs": 200,
            "batch_size": 256,
            "channels": NATS_TSS.channels,
            "cells": NATS_TSS.cells,
            "learning_rate": 0.1,
            "nesterov": True,
            "weight_decay": 5e-4,
            "drop_path": 0.0,
            "auxiliary": 0.0,
            "cutout": 0,
        }

    def cells_of(self, kind: str, cells: int) -> int:
        """`cells` cells in each of three stages."""
        if cells < 1:
            raise InputError(f"cells: a stage of {self.name} has at least 1, not {cells}")
        return {"cell": 3 * cells}[kind]

    def build_supernet(self, config: SupernetConfig) -> NatsSupernet:
        """See `Space.supernet`."""
        return NatsSupernet(self, config)

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
    ) -> NatsNetwork:
        """The derived network of `cells` cells a stage; see `Space.network`. It has one stem and no auxiliary head."""
        self.check(genotype)
        assert isinstance(genotype, NatsGenotype)
        self.cells_of("cell", cells)
        if stem != "cifar":
            raise InputError(f"stem: {self.name} has only the cifar stem, not {stem!r}")
        if auxiliary:
            raise InputError(f"auxiliary: a network of {self.name} has no auxiliary head")
        return NatsNetwork(genotype, channels, cells, classes, in_channels)

    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """For each edge its strongest operation."""
        return list(enumerate(weights.argmax(-1).tolist()))

    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> NatsGenotype:
        """The genotype of the chosen (edge, operation) numbers."""
        return NatsGenotype(tuple(self.operations[operation] for _, operation in chosen["cell"]))

    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """For each edge one of its operations."""
        options = [row.nonzero().flatten() for row in self.selectable[kind]]
        return [
            (edge, int(row[torch.randint(len(row), (), generator=random, device="cpu")]))
            for edge, row in enumerate(options)
        ]
