"""The network that is derived from a DARTS genotype: its cells, stems and auxiliary head."""

import torch
from torch import Tensor, nn

from spaces.cells.network import NORM, DerivedCell, Network, Stem
from spaces.cells.operations import FactorizedReduce, convolution, relu_conv_bn
from spaces.common.errors import InputError
from spaces.common.streams import NoiseStream
from spaces.darts.genotype import DartsGenotype
from spaces.darts.supernet import reductions


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
            FactorizedReduce(older, channels, NORM) if after_reduction else relu_conv_bn(older, channels, 1, 1, NORM)
        )
        self.preprocess1 = relu_conv_bn(newer, channels, 1, 1, NORM)

    def forward(self, older: Tensor, newer: Tensor, probability: float) -> Tensor:
        """The concatenated intermediate nodes, `[N, 4 * channels, H, W]`."""
        states = self.nodes((self.preprocess0(older), self.preprocess1(newer)), probability)
        return torch.cat(states[DartsGenotype.inputs :], dim=1)


class CifarStem(nn.Module):
    """A 3x3 convolution at full size; both inputs of the first cell."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(convolution(in_channels, width, 3), NORM(width))

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
            convolution(in_channels, half, 3, stride=2), NORM(half), *relu_conv_bn(half, width, 3, 2, NORM)
        )
        self.eighth = relu_conv_bn(width, width, 3, 2, NORM)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[N, C, H, W] to [N, width, H / 4, W / 4] and [N, width, H / 8, W / 8]."""
        quarter = self.quarter(images)
        return quarter, self.eighth(quarter)


class AuxiliaryHead(nn.Module):
    """The additional classifier at 2/3 of the depth, for training (Liu et al., ICLR 2019, A.2).

    It pools 8x8 features (32x32 images behind the CIFAR stem) or 7x7 ones (224x224 behind the ImageNet stem) to 2x2.
    Behind the ImageNet stem it has no second batch norm, as in the published code, to have its parameters.
    """

    def __init__(self, channels: int, classes: int, stem: Stem) -> None:
        super().__init__()
        self.window = 5
        self.stride = 3 if stem == "cifar" else 2
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(self.window, self.stride, count_include_pad=False),
            convolution(channels, 128, 1),
            NORM(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([NORM(768)] if stem == "cifar" else []),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[N, classes]` of features `[N, C, H, W]`. Raises `InputError` if they are too small to pool."""
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
