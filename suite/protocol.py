"""Protocols: the scale at which a trial is run. A protocol fixes widths, depths, epochs and the share of the data.

`paper` leaves a recipe's own settings alone and retrains as the field does; the others shrink both, and every record
and table says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from spaces.common.errors import unknown
from spaces.common.settings import Value
from suite.data.sets import is_own

if TYPE_CHECKING:  # a list of protocols must not wait for torch
    from spaces.base import Space
    from spaces.conventions import CellsPer


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


@dataclass(frozen=True)
class Protocol:
    """A scale: overrides of a search's settings and of the retraining's.

    `search_size` and `evaluation_size` are the overrides that depend on what a space's `cells` counts.
    """

    name: str
    title: str
    search: Mapping[str, Value] = field(default_factory=dict)
    search_size: "Mapping[CellsPer, Mapping[str, Value]]" = field(default_factory=dict)
    evaluation: Mapping[str, Value] = field(default_factory=dict)
    evaluation_size: "Mapping[CellsPer, Mapping[str, Value]]" = field(default_factory=dict)
    images: int = 0  # training images used, a class-balanced subset; 0: all
    threads: int = 1  # of one trial on a CPU: they set the order of sums, so they belong to the protocol
    device: str = "cpu"

    def search_on(self, space: "Space") -> dict[str, Value]:
        """The overrides of the settings of a search on `space`."""
        return {**self.search, **self.search_size.get(space.cells_per, {})}

    def evaluation_on(self, space: "Space") -> dict[str, Value]:
        """The overrides of the settings with which networks of `space` are retrained."""
        return {**self.evaluation, **self.evaluation_size.get(space.cells_per, {})}


SMALL = {"auxiliary": 0.0, "drop_path": 0.0, "cutout": 0}

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "quick",
            "seconds a trial on one CPU core: that everything works, nothing about methods",
            # A handful of steps would leave alpha where it starts, so it takes larger ones; `cpu` likewise.
            search={"epochs": 3, "batch_size": 32, "channels": 4, "alpha_learning_rate": 0.05},
            search_size={"network": {"cells": 4}, "stage": {"cells": 1}},
            evaluation={"epochs": 8, "batch_size": 32, "channels": 8, **SMALL},
            evaluation_size={"network": {"cells": 3}, "stage": {"cells": 1}},
            images=160,
        ),
        Protocol(
            "cpu",
            "minutes to an hour a trial on one CPU core: first evidence, far from a paper's",
            search={"epochs": 15, "channels": 8, "alpha_learning_rate": 3e-3},
            search_size={"network": {"cells": 5}, "stage": {"cells": 2}},
            evaluation={"epochs": 20, **SMALL},
            evaluation_size={"network": {"channels": 12, "cells": 5}, "stage": {"channels": 16, "cells": 2}},
            images=5000,
        ),
        Protocol(
            "gpu",
            "an hour or so a trial on one GPU: the papers' widths, fewer epochs",
            search={"epochs": 25},
            evaluation={"epochs": 100},
            device="cuda",
        ),
        Protocol(
            "paper",
            "the papers' own scale: every recipe's settings as published",
            device="cuda",
        ),
    )
}


def get_protocol(name: str) -> Protocol:
    """The protocol called `name`; raises `InputError` with the nearest name if there is none."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


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
