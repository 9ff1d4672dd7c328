"""The files a NATS-Bench topology table comes in: a CSV table, our own compact file (the archive: `tabular_archive`).

Each reader ends in the same columns (`schema`), checked (`checked`). What is damaged or something else raises
`InputError` with the file's name.
"""

import hashlib
import math
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spaces.common.errors import InputError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]  # architectures read, architectures in all

ARCHITECTURES = 15_625
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EPOCHS = (12, 200)
# What was measured: the data set a network was trained on, and the part it was tested on. `cifar10-valid` is
# trained on half of CIFAR-10's training images and tested on the other half.
MEASURES = (
    ("cifar10", "test"),
    ("cifar10-valid", "valid"),
    ("cifar100", "valid"),
    ("cifar100", "test"),
    ("imagenet16-120", "valid"),
    ("imagenet16-120", "test"),
)
DATASETS = ("cifar10", "cifar100", "imagenet16-120")

VERSION = "1"
DECIMALS = 6
_SHAPE = re.compile(r"\|([^|~]+)~0\|\+\|([^|~]+)~0\|([^|~]+)~1\|\+\|([^|~]+)~0\|([^|~]+)~1\|([^|~]+)~2\|")
# A table that disagrees here is numbered otherwise or holds other numbers (values from the NAS-Bench-201 paper).
ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
_ALL_SKIP_INDEX = 1835
_ALL_SKIP_TEST = {"cifar10": 54.30, "cifar100": 15.61, "imagenet16-120": 16.32}


def check_architecture(text: str) -> None:
    """Raise `InputError` unless `text` is an architecture of the space in NAS-Bench-201's notation."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        said = text if len(text) <= 200 else f"{text[:197]}..."
        raise InputError(
            f"{said!r} is no architecture of nats-tss: write it as {ALL_SKIP!r}, three nodes of 1, 2, 3 edges"
        )
    for operation in match.groups():
        if operation not in OPERATIONS:
            raise unknown("operation", operation, OPERATIONS)


class Rows(Protocol):
    """Where a table's numbers come from."""

    positions: dict[str, int]  # architecture -> official index

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what tells this table from another."""

    def cell(self, architecture: str, column: str) -> float:
        """The number in a column, NaN where there is none."""

    def arrow(self) -> "pa.Table":
        """All rows in the compact file's columns."""


@lru_cache(maxsize=1)
def schema() -> "pa.Schema":
    """The columns every reader ends in; `Table.frame` describes them."""
    import pyarrow as pa

    fields = [("index", pa.int32()), ("architecture", pa.string())]
    for epochs in EPOCHS:
        for dataset, split in MEASURES:
            name = f"{dataset}.{split}.{epochs}"
            fields += [(name, pa.float64()), (f"{name}.std", pa.float64()), (f"{name}.seeds", pa.int8())]
    for dataset in ("cifar10", "cifar10-valid", "cifar100", "imagenet16-120"):
        fields += [(f"{dataset}.params", pa.int64()), (f"{dataset}.seconds", pa.float64())]
    return pa.schema(fields)


class Columns:
    """The rows of a table in memory."""

    def __init__(self, table: "pa.Table") -> None:
        self._table = table
        architectures = table["architecture"].to_pylist()
        self.positions = dict(zip(architectures, table["index"].to_pylist(), strict=True))
        self._rows = {architecture: row for row, architecture in enumerate(architectures)}

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over architectures and numbers: the same for a table and the compact file made from it."""
        total = hashlib.sha256("\n".join(self._rows).encode())
        for name in self._table.column_names:
            if name != "architecture":
                total.update(self._table[name].to_numpy().astype(np.float64).data)
        return total.hexdigest()

    def cell(self, architecture: str, column: str) -> float:
        """The number in a column, NaN where there is none."""
        # One value as it lies there: turning columns into arrays would import pandas, longer than all the rest takes.
        value = self._table[column][self._rows[architecture]].as_py()
        return math.nan if value is None else float(value)

    def arrow(self) -> "pa.Table":
        """All rows."""
        return self._table


def explain(check: Callable[[str], None], path: Path, text: str) -> None:
    """Run `check` and put the file's name before its complaint."""
    try:
        check(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


# How the columns of `nats_bench_tss.csv.gz` call the data sets.
_CSV_NAMES = {"cifar10": "c10", "cifar10-valid": "c10valid", "cifar100": "c100", "imagenet16-120": "in16"}


def read_csv(path: Path) -> "pa.Table":
    """A table with the columns of `nats_bench_tss.csv.gz`; parameters, seconds and single runs may be absent."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

    try:
        table = csv.read_csv(path)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read as a table: {_line(error)}; get it again") from error
    columns = {"index": "arch_index", "architecture": "arch_str"}
    for dataset, split in MEASURES:
        for epochs in EPOCHS:
            columns[f"{dataset}.{split}.{epochs}"] = f"{_CSV_NAMES[dataset]}_{split}_acc_{epochs}"
        columns[f"{dataset}.{split}.200.seeds"] = "n_seeds_200ep"
    for column in columns.values():
        if column not in table.column_names:
            raise InputError(
                f"{path}: column {column!r} is missing; its columns must be those of nats_bench_tss.csv.gz"
            )
    arrays = {name: table[column] for name, column in columns.items()}
    try:
        for dataset, short in _CSV_NAMES.items():
            if f"{short}_params_M" in table.column_names:
                arrays[f"{dataset}.params"] = pc.round(pc.multiply(table[f"{short}_params_M"], 1e6))
            if f"{short}_train_time_200_s" in table.column_names:
                arrays[f"{dataset}.seconds"] = table[f"{short}_train_time_200_s"]
        runs = [f"c10valid_valid_acc_200_s{seed}" for seed in (777, 888, 999)]
        if set(runs) <= set(table.column_names):
            values = np.ma.masked_invalid([table[run].cast(pa.float64()).to_numpy() for run in runs])
            arrays["cifar10-valid.valid.200.std"] = pa.array(
                values.std(axis=0, ddof=1).filled(np.nan), from_pandas=True
            )
        filled = []
        for field in schema():
            values = arrays.get(field.name, pa.nulls(len(table), field.type)).cast(field.type)
            filled.append(pc.round(values, DECIMALS) if pa.types.is_floating(field.type) else values)
        return pa.table(filled, schema=schema())
    except pa.ArrowException as error:
        raise InputError(f"{path} has a column of another type: {_line(error)}; get it again") from error


def read_compact(path: Path) -> "tuple[pa.Table, str]":
    """The file that `import_table` made, and what it was made from, in words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Not read_table: it imports pyarrow.dataset and with it pandas, which takes longer than all the rest.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({_line(error)}): {_AGAIN}") from error
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if metadata.get("version") != VERSION or not {"source", "sha256"} <= set(metadata):
        raise InputError(f"{path} was not made by this version of dartboard: {_AGAIN}")
    if not table.schema.equals(schema()):
        absent = [name for name in schema().names if name not in table.column_names]
        raise InputError(f"{path} is damaged (column {absent[0] if absent else 'types'} differs): {_AGAIN}")
    return table, f"{metadata['source']} (SHA-256 {metadata['sha256'][:12]}…)"


_AGAIN = "delete it and run `dartboard data import nats-tss FILE` again"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


def checked(table: "pa.Table", what: str) -> "pa.Table":
    """`table` in official order. Raises `InputError` unless it can be a (part of the) NATS-Bench table."""
    if not len(table):
        raise InputError(f"{what} holds no architecture: get it again")
    table = table.sort_by("index")
    architectures, indices = table["architecture"].to_pylist(), table["index"].to_pylist()
    for architecture in architectures:
        explain(check_architecture, Path(what), str(architecture))
    for name, values in (("architecture", architectures), ("index", indices)):
        if len(set(values)) < len(values):
            raise InputError(f"{what}: an {name} stands there twice; get it again")
    if None in indices or not 0 <= indices[0] <= indices[-1] < ARCHITECTURES:
        raise InputError(f"{what}: an index is outside 0 to {ARCHITECTURES - 1:,}; get it again")
    for dataset, split in MEASURES:
        for epochs in EPOCHS:
            values = table[f"{dataset}.{split}.{epochs}"].to_numpy()
            if not ((values >= 0) & (values <= 100) | np.isnan(values)).all():
                raise InputError(f"{what}: an accuracy on {dataset} ({split}) is outside 0 to 100; get it again")
    for row, (architecture, index) in enumerate(zip(architectures, indices, strict=True)):
        if (architecture == ALL_SKIP) != (index == _ALL_SKIP_INDEX):
            raise InputError(f"{what}: architecture {index} is not numbered as in the official archive; get it again")
        if architecture == ALL_SKIP:
            for dataset, published in _ALL_SKIP_TEST.items():
                found = table[f"{dataset}.test.200"][row].as_py()
                if found is None or abs(found - published) > 0.005:
                    raise InputError(
                        f"{what}: the all-skip row has {found} on {dataset}, published {published}; get it again"
                    )
    return table
