"""Which records belong to an exhibit's trials, and which settings of a record the user set."""

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd

from reports.exhibits.exhibit import Exhibit, TrialBlock
from reports.exhibits.metrics import STAND_IN
from reports.records.blocks import USUAL_PRECISION, precision_of
from spaces.common.metric import IMAGE_CLASSIFICATION

SIZES = (
    *("epochs", "batch_size", "channels", "cells", "weights_share", "images", "size", "threads"),
    *("learning_rate", "learning_rate_min", "alpha_learning_rate"),
)
"""Settings that make a search larger or smaller, and those that follow from the size.

A record in which the user set them still belongs to the exhibit, at another scale.
"""


def varied_settings(exhibit: Exhibit) -> set[str]:
    """The settings that the exhibit's own trials and rows set."""
    named = {name for block in exhibit.trials for name in block.settings}
    return named | {name for row in exhibit.rows.values() for name in row.settings}


def matching_records(exhibit: Exhibit, records: pd.DataFrame, others: Iterable[TrialBlock]) -> pd.DataFrame:
    """The rows of `records` that are trials of the exhibit, whatever their size.

    A record whose overrides are the settings of one of `others`, the trials of other exhibits, belongs to those alone.
    """
    own = [dict(block.settings) for block in exhibit.trials]
    of_others = [block.settings for block in others if block.settings and block.settings not in own]
    varied = varied_settings(exhibit)
    # All of the papers' trials classify images; what the report solves itself has no task.
    tasks = records["task"] if "task" in records else pd.Series(IMAGE_CLASSIFICATION, index=records.index)
    classified = tasks.isna() | (tasks == IMAGE_CLASSIFICATION)
    candidates = records[records["method"].isin(exhibit.methods) & classified]
    if candidates.empty:
        return candidates
    rows = candidates.to_dict("records")
    return candidates[[_belongs(exhibit, row, varied) and _overrides(row) not in of_others for row in rows]]


def has_settings(found: Any, settings: dict[str, Any]) -> bool:
    """Whether the settings `found` of a record include all of `settings`."""
    return all(name in found and found[name] == value for name, value in settings.items())


def other_overrides(record: dict[Any, Any], varied: set[str]) -> str:
    """What the user set besides the protocol and the settings `varied`, in words: `epochs = 9, threads = 2`."""
    own = {name: value for name, value in _overrides(record).items() if name not in varied}
    own |= {"precision": precision} if (precision := precision_of(record)) != USUAL_PRECISION else {}
    return ", ".join(f"{name} = {value}" for name, value in sorted(own.items()))


def data_and_retraining(settings: dict[str, Any]) -> str:
    """The number and side of the images and the retraining's settings, as JSON: equal for records run alike."""
    retraining = {name: value for name, value in settings.items() if name.startswith("evaluate.")}
    return json.dumps(retraining | {name: settings.get(name) for name in ("images", "size")}, sort_keys=True)


def _belongs(exhibit: Exhibit, record: dict[Any, Any], varied: set[str]) -> bool:
    """Whether the record is one of the exhibit's trials: any size, but no other options of its method."""
    allowed = (*SIZES, *varied)
    if not all(name in allowed or name.startswith("evaluate.") for name in _override_names(record)):
        return False
    return any(_in_block(block, record) for block in exhibit.trials)


def _in_block(block: TrialBlock, record: dict[Any, Any]) -> bool:
    return (
        record["method"] in block.methods
        and record["space"] in block.spaces
        and record["dataset"] in (*block.datasets, STAND_IN)
        and has_settings(record["settings"], block.settings)
    )


def _overrides(record: dict[Any, Any]) -> dict[str, Any]:
    return {name: record["settings"].get(name) for name in _override_names(record)}


def _override_names(record: dict[Any, Any]) -> list[str]:
    """The names of the search's settings that the user set."""
    origin = record.get("origin")
    return [name for name, layer in origin.items() if layer == "settings"] if isinstance(origin, dict) else []
