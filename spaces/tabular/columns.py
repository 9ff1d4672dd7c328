"""The rows of a NATS-Bench topology table: what was measured, the columns every file is read into, and their checks."""

import hashlib
import math
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spaces.common.errors import InputError, unknown

if TYPE_CHECKING:
    import pyarrow as pa

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
TESTED = ("cifar10", "cifar100", "imagenet16-120")  # the data sets with test accuracies

DECIMALS = 6
_NOTATION = re.compile(r"\|([^|~]+)~0\|\+\|([^|~]+)~0\|([^|~]+)~1\|\+\|([^|~]+)~0\|([^|~]+)~1\|([^|~]+)~2\|")
# A table that disagrees here has another numbering or other numbers (values from the NAS-Bench-201 paper).
ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
_ALL_SKIP_INDEX = 1835
_ALL_SKIP_TEST = {"cifar10": 54.30, "cifar100": 15.61, "imagenet16-120": 16.32}


def check_architecture(text: str) -> None:
    """Raise `InputError` unless `text` is an architecture of the space in NAS-Bench-201's notation."""
    match = _NOTATION.fullmatch(text)
    if match is None:
        shown = text if len(text) <= 200 else f"{text[:197]}..."
        raise InputError(
            f"{shown!r} is no architecture of nats-tss: write it as {ALL_SKIP!r}, three nodes of 1, 2, 3 edges"
        )
    for operation in match.groups():
        if operation not in OPERATIONS:
            raise unknown("operation", operation, OPERATIONS)


def check_architecture_in(path: Path, text: str) -> None:
    """`check_architecture`, with the name of the file that holds `text` in the error."""
    try:
        check_architecture(text)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


class TableRows(Protocol):
    """The rows of a table, wherever they are read from."""

    positions: dict[str, int]  # architecture -> official index

    @property
    def digest(self) -> str:
        """SHA-256, in hex, that differs between tables."""

    def cell(self, architecture: str, column: str) -> float:
        """The number in a column; NaN if there is none."""

    def arrow(self) -> "pa.Table":
        """All rows, in the columns of `schema`."""


@lru_cache(maxsize=1)
def schema() -> "pa.Schema":
    """The columns that every file is read into; `BenchmarkTable.frame` describes them."""
    import pyarrow as pa

    fields = [("index", pa.int32()), ("architecture", pa.string())]
    for epochs in EPOCHS:
        for dataset, split in MEASURES:
            name = f"{dataset}.{split}.{epochs}"
            fields += [(name, pa.float64()), (f"{name}.std", pa.float64()), (f"{name}.seeds", pa.int8())]
    for dataset in ("cifar10", "cifar10-valid", "cifar100", "imagenet16-120"):
        fields += [(f"{dataset}.params", pa.int64()), (f"{dataset}.seconds", pa.float64())]
    return pa.schema(fields)


class RowsInMemory:
    """The rows of a table that has been read whole."""

    def __init__(self, table: "pa.Table") -> None:
        self._table = table
        architectures = table["architecture"].to_pylist()
        self.positions = dict(zip(architectures, table["index"].to_pylist(), strict=True))
        self._rows = {architecture: row for row, architecture in enumerate(architectures)}

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of architectures and numbers: the same for a table and the compact file made from it."""
        total = hashlib.sha256("\n".join(self._rows).encode())
        for name in self._table.column_names:
            if name != "architecture":
                total.update(self._table[name].to_numpy().astype(np.float64).data)
        return total.hexdigest()

    def cell(self, architecture: str, column: str) -> float:
        """The number in a column; NaN if there is none."""
        # One value at a time: turning columns into arrays would import pandas, which takes longer than all the rest.
        value = self._table[column][self._rows[architecture]].as_py()
        return math.nan if value is None else float(value)

    def arrow(self) -> "pa.Table":
        """All rows."""
        return self._table


def checked(table: "pa.Table", what: str) -> "pa.Table":
    """`table` in official order. Raises `InputError` unless it can be (a part of) the NATS-Bench table."""
    if not len(table):
        raise InputError(f"{what} holds no architecture: get it again")
    table = table.sort_by("index")
    _check_rows(table, what)
    _check_accuracies(table, what)
    _check_numbering(table, what)
    return table


def _check_rows(table: "pa.Table", what: str) -> None:
    """Architectures of the space, and their numbers, each once."""
    architectures, indices = table["architecture"].to_pylist(), table["index"].to_pylist()
    for architecture in architectures:
        check_architecture_in(Path(what), str(architecture))
    for name, values in (("architecture", architectures), ("index", indices)):
        if len(set(values)) < len(values):
            raise InputError(f"{what}: an {name} appears twice; get it again")
    if None in indices or not 0 <= indices[0] <= indices[-1] < ARCHITECTURES:
        raise InputError(f"{what}: an index is outside 0 to {ARCHITECTURES - 1:,}; get it again")


def _check_accuracies(table: "pa.Table", what: str) -> None:
    for dataset, split in MEASURES:
        for epochs in EPOCHS:
            values = table[f"{dataset}.{split}.{epochs}"].to_numpy()
            if not ((values >= 0) & (values <= 100) | np.isnan(values)).all():
                raise InputError(f"{what}: an accuracy on {dataset} ({split}) is outside 0 to 100; get it again")


def _check_numbering(table: "pa.Table", what: str) -> None:
    """The all-skip architecture has its official number and, to two decimals, its published accuracies."""
    for row, (architecture, index) in enumerate(
        zip(table["architecture"].to_pylist(), table["index"].to_pylist(), strict=True)
    ):
        if (architecture == ALL_SKIP) != (index == _ALL_SKIP_INDEX):
            raise InputError(f"{what}: architecture {index} is not numbered as in the official archive; get it again")
        if architecture == ALL_SKIP:
            for dataset, published in _ALL_SKIP_TEST.items():
                found = table[f"{dataset}.test.200"][row].as_py()
                if found is None or abs(found - published) > 0.005:
                    raise InputError(
                        f"{what}: the all-skip row has {found} on {dataset}, published {published}; get it again"
                    )
