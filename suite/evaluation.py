"""How a derived network is retrained: its size, its optimiser and its regularisation, as settings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from methods.search.options import declared, layered, setting
from methods.search.settings import (
    MOST_CELLS,
    MOST_CHANNELS,
    MOST_EPOCHS,
    MOST_IMAGES,
    MOST_NORM,
    MOST_RATE,
    check_nesterov,
)
from suite.data.sets import is_own
from suite.protocol import Protocol

if TYPE_CHECKING:
    from spaces.base import Space


@dataclass(frozen=True)
class Evaluation:
    """How a derived network is retrained: the whole training set, test accuracy after the last epoch.

    The defaults are DARTS's for CIFAR-10 (Liu et al., 2019, section 3.2).
    """

    epochs: int = setting(600, "Passes over the training images.", at_least=1, at_most=MOST_EPOCHS)
    batch_size: int = setting(96, "Images in a batch.", at_least=1, at_most=MOST_IMAGES)
    channels: int = setting(36, "Channels of the first cell.", at_least=1, at_most=MOST_CHANNELS)
    cells: int = setting(
        20, "Cells of the network, in all or in each stage: a space declares which.", at_least=1, at_most=MOST_CELLS
    )
    learning_rate: float = setting(0.025, "Learning rate in the first epoch.", above=0, at_most=MOST_RATE)
    learning_rate_min: float = setting(
        0.0, "Learning rate at the end of the cosine schedule.", at_least=0, at_most=MOST_RATE
    )
    momentum: float = setting(0.9, "Momentum of SGD.", at_least=0, below=1)
    nesterov: bool = setting(False, "Whether the momentum is Nesterov's.")
    weight_decay: float = setting(3e-4, "Weight decay of all weights.", at_least=0, at_most=MOST_RATE)
    gradient_clip: float = setting(5.0, "Largest Euclidean norm of the gradient.", above=0, at_most=MOST_NORM)
    drop_path: float = setting(
        0.2, "Rate of drop path in the last epoch; it grows linearly from 0.", at_least=0, below=1
    )
    auxiliary: float = setting(
        0.4, "Weight of the auxiliary head's loss; 0: there is no head.", at_least=0, at_most=1e3
    )
    cutout: int = setting(16, "Side of cutout's square in pixels; 0: no cutout.", at_least=0, at_most=10_000)


RETRAINING = declared(Evaluation)
"""The settings of every retraining."""


def evaluation(
    protocol: Protocol, space: "Space", dataset: str, overrides: Mapping[str, Any]
) -> tuple[Evaluation, dict[str, str]]:
    """The settings with which `protocol` retrains networks of `space` on `dataset`, and which layer set what.

    The second has, for each setting that is not at its base value, the layer as `methods.search.settings.resolve` names
    it. Raises `InputError` for a value of the wrong type or range.
    """
    layers = {
        f"space {space.name}": space.retraining(dataset),
        f"protocol {protocol.name}": protocol.evaluation_on(space),
        # Like all augmentation of one's own images: off, because nobody knows what their classes depend on.
        "images of one's own": {"cutout": 0} if is_own(dataset) else {},
        "settings": overrides,
    }
    values, origin = layered(RETRAINING, layers, prefix="evaluate.")
    check_nesterov(values, origin, prefix="evaluate.")
    return replace(Evaluation(), **values), origin  # type: ignore[arg-type]
