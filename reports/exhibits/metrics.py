"""What the cells of exhibits measure, read off records: from a published metric to a number a trial."""

from math import nan
from typing import Any

import pandas as pd

from reports.published.published_numbers import METRICS
from reports.records.blocks import SpaceOf
from reports.statistics.values.frame import LIMITS
from spaces.common.errors import InputError, unknown

DATASETS = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "cifar100",
    "SVHN": "svhn",
    "ImageNet16-120": "imagenet16-120",
}
"""The papers' data sets that can be searched on here, by the names of the records."""

STAND_IN = "digits"
"""The data set that is always there, and stands in for one that is not."""

ACCURACIES = {"test accuracy": "test", "test error": "test", "validation accuracy": "valid"}
SECONDS_A_DAY = 86_400
LAST = "last "


def known_metric(metric: str, key: str) -> None:
    """Raise `InputError` unless `metric` is a published one or "last COLUMN"."""
    if not (metric in METRICS or (metric.startswith(LAST) and metric.removeprefix(LAST))):
        raise InputError(f"{key}: {unknown('metric', metric, METRICS)} (or 'last COLUMN', of the history)")


def named(name: str) -> str:
    """A metric or a column of the history as an axis names it."""
    words = name.removeprefix(LAST).removeprefix("probe.").replace("_", " ").replace(".", ", ")
    unit = METRICS[name].units[0] if name in METRICS else ""
    return f"{words[:1].upper()}{words[1:]}" + (f" ({unit})" if unit else "")


def limits(metric: str) -> tuple[float, float] | None:
    """Between which a published metric lies: percentages between 0 and 100, `None` for others."""
    return LIMITS.get(METRICS[metric].units[0]) if metric in METRICS else None


def measured(
    records: pd.DataFrame, histories: pd.DataFrame, metric: str, dataset: str, space_of: SpaceOf
) -> "pd.Series[Any]":
    """`metric` of each of the `records`, by their index; NaN where a trial does not tell it.

    Accuracies are on `dataset` (a record's name of it): in the table, of any data set it has; retrained, of the one
    that was searched on. Search cost is in days of the record's own device, parameters and multiply-adds in millions.
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
    # Test accuracies of any other source are of the data set that was searched on.
    return float(record["accuracy"]) if split == "test" and record["dataset"] == dataset else nan


def course(histories: pd.DataFrame, column: str, space_of: SpaceOf) -> pd.DataFrame:
    """The rows of `histories` that tell `column`, with its number as `value`.

    A column that has a number an operation is asked for with one of them, "COLUMN[OPERATION]".
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
    told = course(histories, column, space_of).sort_values("epoch").groupby("key")["value"].last()
    return records["key"].map(told).astype("float64")


def _parametric(records: pd.DataFrame, space_of: SpaceOf) -> "pd.Series[Any]":
    found = [space_of(space).parse(text) for space, text in zip(records["space"], records["genotype"], strict=True)]
    counts = [float(genotype.parametric(genotype.kinds[0])) for genotype in found]
    return pd.Series(counts, index=records.index, dtype="float64")
