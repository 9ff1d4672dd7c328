"""Protocols: the scale at which a trial is run. A protocol fixes widths, depths, epochs and the share of the data.

`paper` leaves a recipe's own settings alone and retrains as the field does; the others shrink both, and every record
and table says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from methods.search.settings import Value, check_ranges, convert
from spaces.common.errors import unknown

if TYPE_CHECKING:  # a list of protocols must not wait for torch
    from spaces.base import Space
    from spaces.conventions import CellsPer


@dataclass(frozen=True)
class Evaluation:
    """How a derived network is retrained: the whole training set, test accuracy after the last epoch.

    The defaults are DARTS's for CIFAR-10 (Liu et al., 2019, section 3.2).
    """

    epochs: int = 600
    batch_size: int = 96
    channels: int = 36
    cells: int = 20
    learning_rate: float = 0.025
    learning_rate_min: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0
    drop_path: float = 0.2  # at the last epoch; grows linearly from 0
    auxiliary: float = 0.4  # weight of the auxiliary head's loss; 0: no head
    cutout: int = 16  # pixels; 0: none


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


def evaluation(protocol: Protocol, space: "Space", dataset: str, overrides: Mapping[str, Any]) -> Evaluation:
    """The settings with which `protocol` retrains networks of `space` on `dataset`, after the user's `overrides`.

    Raises `InputError` for a value of another type or out of range.
    """
    base = Evaluation()
    values: dict[str, Value] = {f.name: getattr(base, f.name) for f in fields(base)}
    values.update(space.retraining(dataset))
    values.update(protocol.evaluation_on(space))
    for key, value in overrides.items():
        values[key] = convert(f"evaluate.{key}", value, values[key], "settings")
    check_ranges(values, lambda key: "settings", prefix="evaluate.")
    return replace(base, **values)  # type: ignore[arg-type]
