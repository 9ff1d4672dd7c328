"""The records that fill an exhibit, divided by scale.

Trials that did not run alike are never pooled: records are divided by protocol, device, data and overrides.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from reports.exhibits.exhibit import Exhibit, TrialBlock
from reports.exhibits.metrics import ACCURACIES, STAND_IN
from reports.exhibits.record_matching import (
    data_and_retraining,
    has_settings,
    matching_records,
    other_overrides,
    varied_settings,
)
from reports.records.blocks import slug
from spaces import get_space
from spaces.common.plural import counted

EXACT = "exact"
"""The evaluation of a record that involves no chance: a search on a problem that also has a closed-form solution."""

FULL = "paper"
"""The protocol whose numbers are comparable with published ones."""


@dataclass(frozen=True)
class ScaleGroup:
    """The records of an exhibit that ran at one scale: one protocol, kind of device, data and set of overrides.

    `stand_in` says whether the data set `STAND_IN` was searched on in place of the paper's. `overrides` are the
    settings that the user changed, in words. `number` counts the groups that differ in data and retraining alone.
    """

    protocol: str
    device: str
    stand_in: bool
    overrides: str
    number: int
    records: pd.DataFrame
    histories: pd.DataFrame

    @property
    def title(self) -> str:
        """The scale in words, without the sizes, which differ between spaces: `scales` has them."""
        words = [f"protocol {self.protocol}", self.device.partition(":")[0].upper()]
        if self.stand_in:
            words.append(f"searched on {STAND_IN} in place of the paper's images")
        return ", ".join([*words, self.overrides] if self.overrides else words)

    @property
    def slug(self) -> str:
        """The scale as a part of a file's name."""
        names = [self.protocol, self.device, *([STAND_IN] if self.stand_in else []), self.overrides]
        return slug("-".join([*names, str(self.number)] if self.number > 1 else names))

    @property
    def scales(self) -> list[str]:
        """The sizes of its trials, each once: epochs, channels, cells, images."""
        return sorted({scale.partition(": ")[2] or scale for scale in self.records["scale"].astype(str)})

    @property
    def conditions(self) -> str:
        """The scale, sizes and devices in words, which a caption states beside every number of the group."""
        devices = ", ".join(sorted(set(self.records["device"].astype(str))))
        return f"{self.title} ({'; '.join(self.scales)}), {devices}"

    def searched(self, dataset: str) -> str:
        """The data set whose records count as searches on `dataset`."""
        return STAND_IN if self.stand_in else dataset

    def select(self, exhibit: Exhibit, method: str, settings: dict[str, Any], space: str, dataset: str) -> pd.DataFrame:
        """The records of the method with these settings on the space that count as searches on `dataset`.

        Only records that the exhibit's blocks of trials for that data set ask for are selected. The stand-in replaces
        the first data set of the exhibit alone: one search is no evidence about three data sets.
        """
        if self.stand_in and dataset != exhibit.trials[0].datasets[0]:
            return self.records.iloc[:0]
        asked = [
            b.settings for b in exhibit.trials if method in b.methods and space in b.spaces and dataset in b.datasets
        ]
        chosen = self._by_trial.get((method, space, self.searched(dataset)), self.records.iloc[:0])
        fit = [
            has_settings(found, settings) and any(has_settings(found, own) for own in asked)
            for found in chosen["settings"]
        ]
        return chosen[np.array(fit, dtype=bool)]

    @cached_property
    def _by_trial(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """The records by method, space and data set; every cell and claim selects some of them."""
        grouped = self.records.groupby(["method", "space", "dataset"], sort=False)
        return {(str(method), str(space), str(dataset)): rows for (method, space, dataset), rows in grouped}

    def comparable(self, evaluation: str, metric: str) -> bool:
        """Whether a difference to a published number may be shown.

        It may at the papers' scale, and for accuracies that are read from a tabular benchmark. It never may for
        durations, which depend on the device.
        """
        if metric in ("search cost", "latency"):
            return False
        return self.protocol == FULL or (evaluation == "tabular" and metric in ACCURACIES)


GROUPING = ["_stand_in", "protocol", "_device", "_overrides", "_data"]


def scale_groups(
    exhibit: Exhibit, records: pd.DataFrame, histories: pd.DataFrame, others: Iterable[TrialBlock] = ()
) -> list[ScaleGroup]:
    """The records that fill the exhibit, a group for each scale; the papers' data sets before the stand-in.

    `others` are the trials of other exhibits: a record that only one of these asks for is left to it.
    """
    own = matching_records(exhibit, records, others)
    if own.empty:
        return []
    varied = varied_settings(exhibit)
    keyed = own.assign(
        _stand_in=own["dataset"].eq(STAND_IN) & (not _searches_on(exhibit, STAND_IN)),
        _device=own["device"].astype(str).str.partition(":")[0],
        _overrides=[other_overrides(row, varied) for row in own.to_dict("records")],
        _data=[data_and_retraining(settings) for settings in own["settings"]],
    )
    found: list[ScaleGroup] = []
    for _, rows in keyed.groupby(GROUPING, sort=True):
        group = _scale_group(rows, histories)
        found.append(replace(group, number=1 + sum(group.title == other.title for other in found)))
    return found


def _scale_group(rows: pd.DataFrame, histories: pd.DataFrame) -> ScaleGroup:
    first = rows.iloc[0]
    protocol, device, overrides = (str(first[name]) for name in ("protocol", "_device", "_overrides"))
    own = rows.drop(columns=[name for name in GROUPING if name.startswith("_")])
    epochs = histories[histories["key"].isin(own["key"])] if len(histories) else histories
    return ScaleGroup(protocol, device, bool(first["_stand_in"]), overrides, 1, own, epochs)


def _searches_on(exhibit: Exhibit, dataset: str) -> bool:
    return any(dataset in block.datasets for block in exhibit.trials)


def short_scale(records: pd.DataFrame) -> str:
    """The scale of records in one line: protocol, epochs, channels, cells and images of the search, device."""
    return "; ".join(dict.fromkeys(_short_scale(row) for row in records.to_dict("records")))


def _short_scale(row: dict[Any, Any]) -> str:
    settings = row["settings"]
    if row["evaluation"] == EXACT or not {"epochs", "channels", "cells"} <= set(settings):
        return str(row["scale"])
    images = counted(settings["images"], "image") if settings.get("images") else "all images"
    side = f" of {settings['size']} × {settings['size']}" if settings.get("size") else ""
    cells = get_space(row["space"]).count_cells(settings["cells"])
    sizes = f"{counted(settings['epochs'], 'epoch')}, C {settings['channels']}, {cells}, {images}{side}"
    return f"{row['protocol']}: {sizes}, {row['dataset']}, {str(row['device']).partition(':')[0]}"
