"""A NATS-Bench topology table as CSV, with the columns of `nats_bench_tss.csv.gz`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spaces.common.errors import InputError
from spaces.tabular.columns import DECIMALS, EPOCHS, MEASURES, schema

if TYPE_CHECKING:
    import pyarrow as pa

_SHORT = {"cifar10": "c10", "cifar10-valid": "c10valid", "cifar100": "c100", "imagenet16-120": "in16"}


def read_csv(path: Path) -> "pa.Table":
    """The rows of a CSV table (.csv or .csv.gz); parameters, seconds and single runs may be absent."""
    import pyarrow as pa
    from pyarrow import csv

    try:
        table = csv.read_csv(path)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a table: {' '.join(str(error).split())}; get it again") from error
    columns = _required()
    for column in columns.values():
        if column not in table.column_names:
            raise InputError(
                f"{path}: column {column!r} is missing; its columns must be those of nats_bench_tss.csv.gz"
            )
    try:
        return _in_schema({**{name: table[column] for name, column in columns.items()}, **_optional(table)}, len(table))
    except pa.ArrowException as error:
        line = " ".join(str(error).split())
        raise InputError(f"{path} has a column of another type: {line}; get it again") from error


def _required() -> dict[str, str]:
    """Our name of a column → its name in the file."""
    columns = {"index": "arch_index", "architecture": "arch_str"}
    for dataset, split in MEASURES:
        for epochs in EPOCHS:
            columns[f"{dataset}.{split}.{epochs}"] = f"{_SHORT[dataset]}_{split}_acc_{epochs}"
        columns[f"{dataset}.{split}.200.seeds"] = "n_seeds_200ep"
    return columns


def _optional(table: "pa.Table") -> dict[str, Any]:
    """Parameters, training seconds and the standard deviation over single runs, where the file has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays: dict[str, Any] = {}
    for dataset, short in _SHORT.items():
        if f"{short}_params_M" in table.column_names:
            arrays[f"{dataset}.params"] = pc.round(pc.multiply(table[f"{short}_params_M"], 1e6))
        if f"{short}_train_time_200_s" in table.column_names:
            arrays[f"{dataset}.seconds"] = table[f"{short}_train_time_200_s"]
    runs = [f"c10valid_valid_acc_200_s{seed}" for seed in (777, 888, 999)]
    if set(runs) <= set(table.column_names):
        values = np.ma.masked_invalid([table[run].cast(pa.float64()).to_numpy() for run in runs])
        arrays["cifar10-valid.valid.200.std"] = pa.array(values.std(axis=0, ddof=1).filled(np.nan), from_pandas=True)
    return arrays


def _in_schema(arrays: Mapping[str, Any], rows: int) -> "pa.Table":
    """A table with all columns of `schema`, of its types; those that `arrays` lacks hold nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = []
    for field in schema():
        values = arrays.get(field.name, pa.nulls(rows, field.type)).cast(field.type)
        filled.append(pc.round(values, DECIMALS) if pa.types.is_floating(field.type) else values)
    return pa.table(filled, schema=schema())
