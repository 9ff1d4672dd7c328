"""The metrics of exhibits, computed from records: from a published metric to a number for each trial."""

from math import nan
from typing import Any

import pandas as pd

from reports.published.published_numbers import METRICS
from reports.records.blocks import SpaceOf
from reports.statistics.values.frame import LIMITS
from spaces.common.errors import InputError, unknown

PAPER_DATASETS = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "cifar100",
    "SVHN": "svhn",
    "ImageNet16-120": "imagenet16-120",
}
"""The papers' data sets that can be searched on here → their names in records."""

STAND_IN = "digits"
"""The bundled data set, which replaces one that is missing."""

ACCURACIES = {"test accuracy": "test", "test error": "test", "validation accuracy": "valid"}
SECONDS_A_DAY = 86_400
LAST = "last "


def known_metric(metric: str, key: str) -> None:
    """Raise `InputError` unless `metric` is a published one or "last COLUMN"."""
    if not (metric in METRICS or (metric.startswith(LAST) and metric.removeprefix(LAST))):
        raise InputError(f"{key}: {unknown('metric', metric, METRICS)} (or 'last COLUMN', of the history)")


def named(name: str) -> str:
    """The axis label of a metric or of a column of the history."""
    words = name.removeprefix(LAST).removeprefix("probe.").replace("_", " ").replace(".", ", ")
    unit = METRICS[name].units[0] if name in METRICS else ""
    return f"{words[:1].upper()}{words[1:]}" + (f" ({unit})" if unit else "")


def metric_limits(metric: str) -> tuple[float, float] | None:
    """The bounds of a published metric: 0 and 100 for percentages, `None` for others."""
    return LIMITS.get(METRICS[metric].units[0]) if metric in METRICS else None


def metric_values(
    records: pd.DataFrame, histories: pd.DataFrame, metric: str, dataset: str, space_of: SpaceOf
) -> "pd.Series[Any]":
    """`metric` of each of the `records`, with their index; NaN where a trial does not have it.

    Accuracies are on `dataset` (its name in records): from the tabular benchmark on any data set that it has, after
    retraining on the data set searched on. Search cost is in days of the record's own device, parameters and
    multiply-adds in millions.
    """
    if metric in ACCURACIES:
        found = [_accuracy(row, ACCURACIES[metric], dataset) for row in records.to_dict("records")]
        accuracies = pd.Series(found, index=records.index, dtype="float64")
        return 100 - accuracies if metric == "test error" else accuracies
    if metric.startswith(LAST):
        return _last(records, histories, metric.removeprefix(LAST), space_of)
    if metric == "parameters":
        return records["params"].astype("float64") / 1e6
    if metric == "multiply-adds":
        return records["macs"].astype("float64") / 1e6
    if metric == "search cost":
        return records["search_seconds"].astype("float64") / SECONDS_A_DAY
    if metric == "skip ratio":
        return 100 * records["skip_share"].astype("float64")
    if metric == "parametric operations":
        return _parametric(records, space_of)
    return pd.Series(nan, index=records.index, dtype="float64")


def _accuracy(record: dict[Any, Any], split: str, dataset: str) -> float:
    in_table = record.get("tabular")
    if isinstance(in_table, dict) and f"{dataset}.{split}" in in_table:
        return float(in_table[f"{dataset}.{split}"])
    # Any other test accuracy is on the data set that was searched on.
    return float(record["accuracy"]) if split == "test" and record["dataset"] == dataset else nan


def history_values(histories: pd.DataFrame, column: str, space_of: SpaceOf) -> pd.DataFrame:
    """The rows of `histories` that have `column`, with its number as `value`.

    "COLUMN[OPERATION]" is one operation's number of a column that has a number for each operation.
    """
    name, _, operation = column.removesuffix("]").partition("[")
    if name not in histories.columns:
        return histories.iloc[:0].assign(value=[])
    told = histories[histories[name].notna()]
    if not operation:
        return told.assign(value=pd.to_numeric(told[name], errors="coerce")).dropna(subset=["value"])
    values = []
    for space, numbers in zip(told["space"], told[name], strict=True):
        operations = list(space_of(str(space)).operations)
        values.append(float(numbers[operations.index(operation)]) if operation in operations else nan)
    return told.assign(value=values).dropna(subset=["value"])


def _last(records: pd.DataFrame, histories: pd.DataFrame, column: str, space_of: SpaceOf) -> "pd.Series[Any]":
    told = history_values(histories, column, space_of).sort_values("epoch").groupby("key")["value"].last()
    return records["key"].map(told).astype("float64")


def _parametric(records: pd.DataFrame, space_of: SpaceOf) -> "pd.Series[Any]":
    found = [space_of(space).parse(text) for space, text in zip(records["space"], records["genotype"], strict=True)]
    counts = [float(genotype.parametric(genotype.kinds[0])) for genotype in found]
    return pd.Series(counts, index=records.index, dtype="float64")
