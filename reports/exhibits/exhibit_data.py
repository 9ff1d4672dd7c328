"""An exhibit filled from records: the published cells, and beside them what was measured, a part for each scale.

Nothing is pooled that was not run alike: records are first cut by protocol, device, data and overrides; where a cell
still meets several trials of one seed, it stays empty and says so.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from reports.exhibits.exhibit import Exhibit, TrialBlock
from reports.exhibits.metrics import ACCURACIES, DATASETS, STAND_IN, limits, measured
from reports.published.published_numbers import METRICS
from reports.records.blocks import SpaceOf, slug
from reports.statistics.comparison import summary_of
from spaces import get_space
from spaces.common.plural import counted

SIZES = (
    *("epochs", "batch_size", "channels", "cells", "weights_share", "images", "size", "threads"),
    *("learning_rate", "learning_rate_min", "alpha_learning_rate"),
)
"""Settings that make a search larger or smaller, with what goes with that: another part, not another exhibit."""

EXACT = "exact"
"""The evaluation of a record without chance: a problem that is solved on paper, too."""

FULL = "paper"
"""The protocol whose numbers may stand against published ones."""


@dataclass(frozen=True)
class Part:
    """The records that fill an exhibit at one scale: protocol, kind of device, data, and what was set besides.

    `stand_in`: the data set `STAND_IN` was searched on in place of the paper's; `number` counts the parts that differ
    in sizes alone.
    """

    protocol: str
    device: str
    stand_in: bool
    changed: str
    number: int
    records: pd.DataFrame
    histories: pd.DataFrame

    @property
    def title(self) -> str:
        """The scale in words, without the sizes, which differ between spaces: `scales` has them."""
        words = [f"protocol {self.protocol}", self.device.partition(":")[0].upper()]
        if self.stand_in:
            words.append(f"searched on {STAND_IN} in place of the paper's images")
        return ", ".join([*words, self.changed] if self.changed else words)

    @property
    def slug(self) -> str:
        """The scale as a part of a file's name."""
        names = [self.protocol, self.device, *([STAND_IN] if self.stand_in else []), self.changed]
        return slug("-".join([*names, str(self.number)] if self.number > 1 else names))

    @property
    def scales(self) -> list[str]:
        """The sizes of its trials, each once: epochs, channels, cells, images."""
        return sorted({scale.partition(": ")[2] or scale for scale in self.records["scale"].astype(str)})

    @property
    def conditions(self) -> str:
        """All that no number of it may stand without."""
        devices = ", ".join(sorted(set(self.records["device"].astype(str))))
        return f"{self.title} ({'; '.join(self.scales)}), {devices}"

    def searched(self, dataset: str) -> str:
        """The data set whose records stand for searches on `dataset`."""
        return STAND_IN if self.stand_in else dataset

    def select(self, exhibit: Exhibit, method: str, settings: dict[str, Any], space: str, dataset: str) -> pd.DataFrame:
        """Its records of the method, with these settings, on the space, that stand for searches on `dataset`.

        They are those that the exhibit's blocks of trials for that data set ask for. The stand-in stands for the first
        data set of the exhibit alone: one search is no evidence about three.
        """
        if self.stand_in and dataset != exhibit.trials[0].datasets[0]:
            return self.records.iloc[:0]
        asked = [
            b.settings for b in exhibit.trials if method in b.methods and space in b.spaces and dataset in b.datasets
        ]
        chosen = self._alike.get((method, space, self.searched(dataset)), self.records.iloc[:0])
        fit = [_has(found, settings) and any(_has(found, own) for own in asked) for found in chosen["settings"]]
        return chosen[np.array(fit, dtype=bool)]

    @cached_property
    def _alike(self) -> dict[tuple[str, str, str], pd.DataFrame]:
        """Its records by method, space and data set: every cell and claim asks for some of them."""
        grouped = self.records.groupby(["method", "space", "dataset"], sort=False)
        return {(str(method), str(space), str(dataset)): rows for (method, space, dataset), rows in grouped}

    def comparable(self, evaluation: str, metric: str) -> bool:
        """May a difference to a published number be told? At the papers' scale; of an accuracy in the table, too.

        Never of seconds, which are those of another device.
        """
        if metric in ("search cost", "latency"):
            return False
        return self.protocol == FULL or (evaluation == "tabular" and metric in ACCURACIES)


def parts(
    exhibit: Exhibit, records: pd.DataFrame, histories: pd.DataFrame, others: Iterable[TrialBlock] = ()
) -> list[Part]:
    """What of the records fills the exhibit, a part a scale; the papers' data before the stand-in.

    A record whose settings are those that one of the `others`, trials of other exhibits, asks for is theirs alone.
    """
    asked = [dict(block.settings) for block in exhibit.trials]
    theirs = [block.settings for block in others if block.settings and block.settings not in asked]
    swept = {name for block in exhibit.trials for name in block.settings}
    swept |= {name for row in exhibit.rows.values() for name in row.settings}
    near = records[records["method"].isin(exhibit.methods)]
    rows = near.to_dict("records")
    mine = near[[_belongs(exhibit, row, swept) and _set(row) not in theirs for row in rows]] if rows else near
    if mine.empty:
        return []
    keyed = mine.assign(
        _stand_in=mine["dataset"].eq(STAND_IN) & (not _wants(exhibit, STAND_IN)),
        _device=mine["device"].astype(str).str.partition(":")[0],
        _changed=[_changed(row, swept) for row in mine.to_dict("records")],
        _sizes=[_sizes(settings) for settings in mine["settings"]],
    )
    made: list[Part] = []
    for _, group in keyed.groupby(["_stand_in", "protocol", "_device", "_changed", "_sizes"], sort=True):
        first = group.iloc[0]
        own = group.drop(columns=["_stand_in", "_device", "_changed", "_sizes"])
        watched = histories[histories["key"].isin(own["key"])] if len(histories) else histories
        protocol, device, changed = (str(first[name]) for name in ("protocol", "_device", "_changed"))
        part = Part(protocol, device, bool(first["_stand_in"]), changed, 1, own, watched)
        alike = sum(part.title == other.title for other in made)
        made.append(replace(part, number=alike + 1))
    return made


COPIED = ("label", "heading", "dataset", "space", "metric", "method", "printed", "spread", "n", "convention")
FILLED = [
    *("exhibit", "label", "heading", "dataset", "space", "metric", "method", "printed", "published", "spread", "n"),
    *("convention", "searched_on", "measured", "std", "n_measured", "low", "high", "best", "evaluation", "scale"),
    *("difference", "note"),
]


def filled(exhibit: Exhibit, published: pd.DataFrame, part: Part | None, space_of: SpaceOf) -> pd.DataFrame:
    """A row a published cell, in the paper's order, with what `part` measured of it: the columns `FILLED`.

    `measured`, `std` (ddof = 1), `low` and `high` (95 %, by t, within the metric's limits) are over `n_measured` seeds,
    `best` the best of them; `difference` is measured minus published where both may be set against each other, else
    NaN; `note` says why a cell stayed empty.
    """
    rows = []
    for cell in exhibit.cells(published).to_dict("records"):
        row = {name: cell[name] for name in COPIED} | {"exhibit": exhibit.name, "published": cell["number"]}
        row |= _measured(exhibit, cell, part, space_of)
        rows.append(row)
    return pd.DataFrame(rows, columns=FILLED)


def _wanted(exhibit: Exhibit, cell: dict[Any, Any]) -> tuple[str, dict[str, Any], str, str]:
    """What a published cell is filled from: method, settings, the data set searched on, the one evaluated on."""
    dataset = DATASETS.get(str(cell["dataset"]), "")
    row = exhibit.rows.get(str(cell["label"]))
    method, settings = (row.method, row.settings) if row else (str(cell["method"]), {})
    return method, settings, exhibit.searched_on or dataset, dataset


def _measured(exhibit: Exhibit, cell: dict[Any, Any], part: Part | None, space_of: SpaceOf) -> dict[str, Any]:
    method, settings, searched_on, dataset = _wanted(exhibit, cell)
    empty = {**dict.fromkeys(FILLED[FILLED.index("measured") :], nan), "n_measured": 0, "evaluation": "", "scale": ""}
    empty |= {"searched_on": searched_on, "note": ""}
    if part is None or not method or not searched_on:
        return empty
    chosen = part.select(exhibit, method, settings, str(cell["space"]), searched_on)
    # What is found on one data set may be judged on another, but its size and its search are of the first alone.
    if chosen.empty or (dataset != searched_on and cell["metric"] not in ACCURACIES):
        return empty
    if chosen["seed"].duplicated().any() or chosen["evaluation"].nunique() > 1:
        return empty | {"note": f"{len(chosen)} trials that differ in more than their seed: {brief(chosen)}"}
    # What stands in for the images searched on stands in for those evaluated on, if these are the same.
    on = part.searched(dataset) if dataset == searched_on else dataset
    values = measured(chosen, part.histories, str(cell["metric"]), on, space_of).dropna().to_numpy(dtype=np.float64)
    if not len(values):
        return empty
    found = summary_of(values, limits(str(cell["metric"])))
    evaluation = str(chosen["evaluation"].iloc[0])
    told = part.comparable(evaluation, str(cell["metric"])) and not part.stand_in
    return empty | {
        "measured": found["mean"],
        "std": found["std"],
        "n_measured": found["n"],
        "low": found["low"],
        "high": found["high"],
        "best": found["max"] if METRICS[str(cell["metric"])].better > 0 else found["min"],
        "evaluation": evaluation,
        "scale": brief(chosen),
        "difference": found["mean"] - cell["number"] if told else nan,
    }


def brief(records: pd.DataFrame) -> str:
    """The scale of records in a line's room: protocol, the search's epochs, channels, cells and images, device."""
    return "; ".join(dict.fromkeys(_brief(row) for row in records.to_dict("records")))


def _brief(row: dict[Any, Any]) -> str:
    settings = row["settings"]
    if row["evaluation"] == EXACT or not {"epochs", "channels", "cells"} <= set(settings):
        return str(row["scale"])
    images = counted(settings["images"], "image") if settings.get("images") else "all images"
    side = f" of {settings['size']} × {settings['size']}" if settings.get("size") else ""
    cells = get_space(row["space"]).count_cells(settings["cells"])
    sizes = f"{counted(settings['epochs'], 'epoch')}, C {settings['channels']}, {cells}, {images}{side}"
    return f"{row['protocol']}: {sizes}, {row['dataset']}, {str(row['device']).partition(':')[0]}"


def _belongs(exhibit: Exhibit, record: dict[Any, Any], swept: set[str]) -> bool:
    """Is the record one of the exhibit's trials, at whatever size? Other options of a method make another method."""
    return any(
        record["method"] in block.methods
        and record["space"] in block.spaces
        and (record["dataset"] in block.datasets or record["dataset"] == STAND_IN)
        and _has(record["settings"], block.settings)
        and all(name in (*SIZES, *swept) or name.startswith("evaluate.") for name in _own(record))
        for block in exhibit.trials
    )


def _wants(exhibit: Exhibit, dataset: str) -> bool:
    return any(dataset in block.datasets for block in exhibit.trials)


def _has(found: Any, settings: dict[str, Any]) -> bool:
    return all(name in found and found[name] == value for name, value in settings.items())


def _changed(record: dict[Any, Any], swept: set[str]) -> str:
    """What the user set besides the protocol and the exhibit's own settings, in words."""
    own = {name: value for name, value in _set(record).items() if name not in swept}
    own |= {"precision": "bf16"} if "bf16" in str(record["engine"]) else {}
    return ", ".join(f"{name} = {value}" for name, value in sorted(own.items()))


def _set(record: dict[Any, Any]) -> dict[str, Any]:
    return {name: record["settings"].get(name) for name in _own(record)}


def _own(record: dict[Any, Any]) -> list[str]:
    """The names of the search's settings that the user set."""
    origin = record.get("origin")
    return [name for name, layer in origin.items() if layer == "settings"] if isinstance(origin, dict) else []


def _sizes(settings: dict[str, Any]) -> str:
    """How many images of what side, and how derived networks were trained, so that no two ways meet in one part."""
    told = {name: value for name, value in settings.items() if name.startswith("evaluate.")}
    return json.dumps(told | {name: settings.get(name) for name in ("images", "size")}, sort_keys=True)
