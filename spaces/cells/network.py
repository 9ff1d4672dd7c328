"""Derived networks: a genotype made into the network that is trained from scratch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial, reduce
from typing import Literal

import torch
from torch import Tensor, nn

from spaces.cells.genotype import DartsGenotype, Edge, NatsGenotype
from spaces.cells.operations import (
    BatchNorm,
    FactorizedReduce,
    ResidualReduction,
    build,
    convolution,
    drop_path,
    relu_conv_bn,
    strided,
)
from spaces.cells.supernet import reductions
from spaces.common.errors import InputError
from spaces.common.streams import NoiseStream

Stem = Literal["cifar", "imagenet"]

_NORM = partial(BatchNorm, affine=True, running=True)


class Network(nn.Module, ABC):
    """A derived network. Its batch norms are affine and keep running statistics; `random` is its drop-path's stream."""

    def __init__(self) -> None:
        super().__init__()
        self.random = NoiseStream()

    @abstractmethod
    def both(self, images: Tensor, drop_path: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Logits `[N, classes]` of images `[N, C, H, W]`, and the auxiliary head's.

        The second is `None` where there is no auxiliary head, and in evaluation. In training, the output of each
        operation but the identity is zeroed for an image with probability `drop_path` (Larsson et al., ICLR 2017).
        """

    def forward(self, images: Tensor, drop_path: float = 0.0) -> Tensor:
        """Logits `[N, classes]` of images `[N, C, H, W]`."""
        return self.both(images, drop_path)[0]


class DerivedCell(nn.Module):
    """The chosen operations of a cell, between given input nodes and intermediate nodes that sum what reaches them."""

    def __init__(
        self,
        edges: Sequence[Edge],
        targets: Sequence[int],
        channels: int,
        stride: int,
        inputs: int,
        random: NoiseStream,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.random = random
        chosen = [edge for edge in edges if edge[2] != "none"]
        self.operations = nn.ModuleList(
            build(operation, channels, stride if source < inputs else 1, _NORM, random)
            for source, _, operation in chosen
        )
        # Target node -> its incoming edges, as (number, source).
        self.incoming = {
            target: [(number, source) for number, (source, to, _) in enumerate(chosen) if to == target]
            for target in targets
        }

    def nodes(self, inputs: Sequence[Tensor], probability: float) -> list[Tensor]:
        """The states of all nodes, inputs first."""
        states = list(inputs)
        for incoming in self.incoming.values():
            terms = [self._term(number, states[source], probability) for number, source in incoming]
            states.append(reduce(torch.add, terms) if terms else torch.zeros_like(strided(inputs[0], self.stride)))
        return states

    def _term(self, number: int, x: Tensor, probability: float) -> Tensor:
        operation = self.operations[number]
        term: Tensor = operation(x)
        dropped = self.training and probability > 0.0 and not isinstance(operation, nn.Identity)
        return drop_path(term, probability, self.random) if dropped else term


class DartsDerivedCell(DerivedCell):
    """A derived cell of the DARTS space, over the outputs of the two cells before it."""

    def __init__(
        self,
        genotype: DartsGenotype,
        kind: str,
        channels_in: tuple[int, int],
        channels: int,
        random: NoiseStream,
        *,
        after_reduction: bool,
    ) -> None:
        stride = 2 if kind == "reduce" else 1
        super().__init__(genotype.edges(kind), genotype.outputs, channels, stride, genotype.inputs, random)
        older, newer = channels_in
        self.preprocess0: nn.Module = (
            FactorizedReduce(older, channels, _NORM) if after_reduction else relu_conv_bn(older, channels, 1, 1, _NORM)
        )
        self.preprocess1 = relu_conv_bn(newer, channels, 1, 1, _NORM)

    def forward(self, older: Tensor, newer: Tensor, probability: float) -> Tensor:
        """The concatenated intermediate nodes, `[N, 4 * channels, H, W]`."""
        states = self.nodes((self.preprocess0(older), self.preprocess1(newer)), probability)
        return torch.cat(states[DartsGenotype.inputs :], dim=1)


class CifarStem(nn.Module):
    """A 3x3 convolution at full size; both inputs of the first cell."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(in_channels, width, 3), _NORM(width))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] to twice [N, width, H, W]."""
        x = self.layers(images)
        return x, x


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions of stride 2; the first cell's inputs are at 1/4 and 1/8 of the size."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        if width < 2:
            raise InputError(f"channels: the imagenet stem halves them, so it has at least 2, not {width}")
        half = width // 2
        self.quarter = nn.Sequential(
            convolution(in_channels, half, 3, stride=2), _NORM(half), *relu_conv_bn(half, width, 3, 2, _NORM)
        )
        self.eighth = relu_conv_bn(width, width, 3, 2, _NORM)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] to [N, width, H / 4, W / 4] and [N, width, H / 8, W / 8]."""
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


class AuxiliaryHead(nn.Module):
    """The classifier at 2/3 of the depth that training adds (Liu et al., ICLR 2019, A.2).

    It pools 8x8 features (32x32 images behind the CIFAR stem) or 7x7 ones (224x224 behind the ImageNet stem) to 2x2.
    The published ImageNet head lacks the second batch norm; so does this one, to count and train alike.
    """

    def __init__(self, channels: int, classes: int, stem: Stem) -> None:
        super().__init__()
        self.window = 5
        self.stride = 3 if stem == "cifar" else 2
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(self.window, self.stride, count_include_pad=False),
            convolution(channels, 128, 1),
            _NORM(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([_NORM(768)] if stem == "cifar" else []),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, classes]` of features `[N, C, H, W]`. Raises `InputError` where they are too small to pool."""
        least = self.window + self.stride
        if min(x.shape[-2:]) < least:
            raise InputError(
                f"the auxiliary head needs features of {least}x{least}, images this small leave "
                f"{x.shape[-2]}x{x.shape[-1]}: train without it"
            )
        logits: Tensor = self.classifier(self.layers(x).mean((2, 3)))
        return logits


class DartsNetwork(Network):
    """The network that Liu et al., "DARTS" (ICLR 2019, A.2 and A.3), train from scratch for CIFAR-10 and ImageNet."""

    def __init__(
        self,
        genotype: DartsGenotype,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int,
        *,
        stem: Stem,
        auxiliary: bool,
    ) -> None:
        super().__init__()
        width = 3 * channels if stem == "cifar" else channels
        self.stem = CifarStem(in_channels, width) if stem == "cifar" else ImageNetStem(in_channels, width)
        self.cells = nn.ModuleList()
        self.tap = 2 * cells // 3
        self.auxiliary: AuxiliaryHead | None = None
        # Behind the ImageNet stem the first cell's older input is twice as large as the newer: as after a reduction.
        older, newer, after_reduction = width, width, stem == "imagenet"
        for index in range(cells):
            reduces = index in reductions(cells)
            channels = 2 * channels if reduces else channels
            kind = "reduce" if reduces else "normal"
            self.cells.append(
                DartsDerivedCell(genotype, kind, (older, newer), channels, self.random, after_reduction=after_reduction)
            )
            older, newer, after_reduction = newer, genotype.nodes * channels, reduces
            if auxiliary and index == self.tap:
                self.auxiliary = AuxiliaryHead(newer, classes, stem)
        self.classifier = nn.Linear(newer, classes)

    def both(self, images: Tensor, drop_path: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Logits, and the auxiliary head's in training."""
        auxiliary = None
        older, newer = self.stem(images)
        for index, cell in enumerate(self.cells):
            older, newer = newer, cell(older, newer, drop_path)
            if index == self.tap and self.auxiliary is not None and self.training:
                auxiliary = self.auxiliary(newer)
        return self.classifier(newer.mean((2, 3))), auxiliary


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
        self.stem = nn.Sequential(convolution(in_channels, channels, 3), _NORM(channels))
        self.cells = nn.ModuleList()
        for stage in range(3):
            if stage > 0:
                self.cells.append(ResidualReduction(channels, 2 * channels, _NORM))
                channels *= 2
            self.cells.extend(NatsDerivedCell(genotype, channels, self.random) for _ in range(cells))
        self.last = nn.Sequential(_NORM(channels), nn.ReLU())
        self.classifier = nn.Linear(channels, classes)

    def both(self, images: Tensor, drop_path: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Logits, and `None`: there is no auxiliary head."""
        x = self.stem(images)
        for cell in self.cells:
            x = cell(x, drop_path) if isinstance(cell, NatsDerivedCell) else cell(x)
        return self.classifier(self.last(x).mean((2, 3))), None
