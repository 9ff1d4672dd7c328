"""Derived networks: a genotype made into the network that is trained from scratch."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial, reduce
from typing import Literal

import torch
from torch import Tensor, nn

from spaces.cells.genotype import Edge
from spaces.cells.operations import BatchNorm, build, drop_path, strided
from spaces.common.streams import NoiseStream

Stem = Literal["cifar", "imagenet"]

NORM = partial(BatchNorm, affine=True, running=True)
"""Makes the batch norm of derived networks for a number of channels."""


class Network(nn.Module, ABC):
    """A derived network. Its batch norms are affine and keep running statistics; `random` is the drop-path's stream."""

    def __init__(self) -> None:
        super().__init__()
        self.random = NoiseStream()

    @abstractmethod
    def both(self, images: Tensor, drop_path: float = 0.0) -> tuple[Tensor, Tensor | None]:
        """Logits `[N, classes]` of images `[N, C, H, W]`, and those of the auxiliary head.

        The second is `None` if there is no auxiliary head, and in evaluation. In training, the output of each
        operation but the identity is zeroed for an image with probability `drop_path` (Larsson et al., ICLR 2017).
        """

    def forward(self, images: Tensor, drop_path: float = 0.0) -> Tensor:
        """Logits `[N, classes]` of images `[N, C, H, W]`."""
        return self.both(images, drop_path)[0]


class DerivedCell(nn.Module):
    """The operations of a cell of a genotype. Each intermediate node is the sum of its incoming edges.

    `targets` are the intermediate nodes, `inputs` the number of input nodes. Edges from an input node have `stride`.
    """

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
            build(operation, channels, stride if source < inputs else 1, NORM, random)
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
