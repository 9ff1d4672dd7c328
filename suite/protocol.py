"""Protocols: the scale at which a trial is run. A protocol fixes widths, depths, epochs and the share of the data.

`paper` leaves a recipe's own settings alone and retrains as the field does; the others shrink both, and every record
and table says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from spaces.common.errors import unknown
from spaces.common.settings import Value

if TYPE_CHECKING:  # a list of protocols must not wait for torch
    from spaces.base import Space
    from spaces.conventions import CellsPer


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
