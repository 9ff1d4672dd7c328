"""The NATS-Bench topology table: the accuracy of each of the 15,625 architectures of `nats-tss`, looked up.

Three forms are read, in this order: `nats-tss.parquet` (made by `import_table`), a table `nats*tss*.csv[.gz]`, the
official archive (a folder `NATS-tss-v1_*-simple`, or one file `NATS-tss*.pickle.pbz2`). Accuracies are means over
training seeds, in percent, rounded to 1e-6: finer differences are the archive's float noise. Nothing here imports
torch, because a query must be quick.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError, unknown
from spaces.tabular.archive import ArchiveFolder, Progress, read_archive_file
from spaces.tabular.columns import (
    ARCHITECTURES,
    EPOCHS,
    MEASURES,
    TESTED,
    RowsInMemory,
    TableRows,
    check_architecture,
    checked,
)
from spaces.tabular.compact_file import COMPACT, read_compact, write_compact
from spaces.tabular.csv_file import read_csv

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Answer:
    """One number of the table: mean accuracy in percent over `seeds` trainings of `epochs` epochs.

    `std` (ddof = 1) and `seeds` are `None` if the source lacks them. `index` is the official number of the
    architecture, `source` the file's name and origin in words.
    """

    accuracy: float
    std: float | None
    seeds: int | None
    dataset: str
    split: str
    epochs: int
    source: str
    index: int


class BenchmarkTable:
    """An open NATS-Bench topology table. `source` says in words what was read."""

    def __init__(self, source: str, rows: TableRows) -> None:
        self.source = source
        self._rows = rows

    @classmethod
    def open(cls, root: Path) -> "BenchmarkTable | None":
        """The table in the data root, or `None` if there is none. Raises `InputError` if it is damaged."""
        if (path := root / COMPACT).is_file():
            table, made_from = read_compact(path)
            return cls(f"{COMPACT}, made from {made_from}", RowsInMemory(table))
        found = [path for pattern in ("nats*tss*.csv", "nats*tss*.csv.gz") for path in sorted(root.glob(pattern))]
        found += [path for path in sorted(root.glob("NATS-tss-v1_*-simple")) if path.is_dir()]
        found += sorted(root.glob("NATS-tss*.pickle.pbz2"))
        return _open_source(found[0]) if found else None

    def __len__(self) -> int:
        """The number of architectures in the table."""
        return len(self._rows.positions)

    @property
    def whole(self) -> bool:
        """Whether every architecture of the space is in the table."""
        return len(self) == ARCHITECTURES

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets whose test accuracies the benchmark holds."""
        return TESTED

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of all numbers; of the file names and sizes if it is an official archive in a folder."""
        return self._rows.digest

    def query(self, architecture: str, dataset: str, split: str = "test", epochs: int = 200) -> Answer:
        """The accuracy of `architecture` (the text of a `nats-tss` genotype).

        `dataset` is cifar10, cifar100 or imagenet16-120; `split` is test or valid; `epochs` is 200 or 12. The valid
        split of cifar10 is that of the `cifar10-valid` trainings, and the answer says so.
        Raises `InputError` for an architecture, a data set, a split or epochs that the table does not have.
        """
        check_architecture(architecture)
        if (dataset, split) == ("cifar10", "valid"):
            dataset = "cifar10-valid"
        if dataset not in (names := sorted({name for name, _ in MEASURES})):
            raise unknown("data set of the tabular benchmark", dataset, names)
        if (dataset, split) not in MEASURES:
            splits = " or ".join(part for name, part in MEASURES if name == dataset)
            raise InputError(f"the tabular benchmark has no split {split!r} of {dataset}: ask for {splits}")
        if epochs not in EPOCHS:
            raise InputError(f"the tabular benchmark has no trainings of {epochs} epochs: ask for 12 or 200")
        index = self._rows.positions.get(architecture)
        column = f"{dataset}.{split}.{epochs}"
        accuracy = math.nan if index is None else self._rows.cell(architecture, column)
        if index is None or math.isnan(accuracy):
            missing = f"{architecture} on {dataset} ({split}, {epochs} epochs)"
            raise InputError(
                f"{self.source} has {len(self):,} of {ARCHITECTURES:,} architectures and no accuracy of {missing}: "
                "import a whole table with `dartboard data import nats-tss FILE`"
            )
        std, seeds = (self._rows.cell(architecture, f"{column}.{what}") for what in ("std", "seeds"))
        return Answer(
            accuracy=accuracy,
            std=None if math.isnan(std) else std,
            seeds=None if math.isnan(seeds) else int(seeds),
            dataset=dataset,
            split=split,
            epochs=epochs,
            source=self.source,
            index=index,
        )

    def accuracies(self, architecture: str) -> dict[str, float]:
        """Every accuracy after 200 epochs that the table has of `architecture`: "DATASET.SPLIT" → percent.

        The valid split of cifar10 is that of the `cifar10-valid` trainings. Raises `InputError` if `architecture` is
        not one of the space.
        """
        check_architecture(architecture)
        index = self._rows.positions.get(architecture)
        found = (
            {} if index is None else {pair: self._rows.cell(architecture, f"{'.'.join(pair)}.200") for pair in MEASURES}
        )
        return {
            f"{dataset.removesuffix('-valid')}.{split}": accuracy
            for (dataset, split), accuracy in found.items()
            if not math.isnan(accuracy)
        }

    @cached_property
    def frame(self) -> "pd.DataFrame":
        """The whole table in official order, with a row for each architecture.

        Columns: `index`, `architecture`; for each measure `DATASET.SPLIT.EPOCHS` in percent, `DATASET.SPLIT.EPOCHS.std`
        and `….seeds`; `DATASET.params`, `DATASET.seconds` (training, 200 epochs). An official archive is read whole,
        which takes minutes.
        """
        return self._rows.arrow().to_pandas()


def import_table(source: Path, root: Path, progress: Progress = lambda done, total: None) -> Path:
    """Make `root`/nats-tss.parquet from the official archive (folder or file) or from a table (.csv, .csv.gz).

    The table is checked first: each row is another architecture of the space, accuracies are within 0 to 100, the
    all-skip row is as published. A part of the archive makes a part of the table. The file is written whole or not at
    all, with the source's name and SHA-256. `progress` is called with the architectures read and their total.
    Returns the file's path. Raises `InputError` if `source` is missing, damaged or no table, or if the file cannot be
    written.
    """
    if not source.exists():
        raise InputError(f"there is no {source}: check the name")
    try:
        table = _open_source(source, progress)._rows.arrow()
        sha256 = _sha256(source)
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    path = root / COMPACT
    write_compact(path, table, source.resolve().name, sha256)
    return path


def _sha256(source: Path) -> str:
    """SHA-256, in hex: of a file's bytes; of the names and sums of a folder's files, in order."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.is_file())
        return hashlib.sha256("".join(f"{path.name} {_sha256(path)}\n" for path in files).encode()).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_source(source: Path, progress: Progress = lambda done, total: None) -> BenchmarkTable:
    if source.is_dir():
        return BenchmarkTable(f"{source.resolve().name}, official archive", ArchiveFolder(source, progress))
    if source.name.endswith((".csv", ".csv.gz")):
        return BenchmarkTable(source.name, RowsInMemory(checked(read_csv(source), str(source))))
    if source.name.endswith(".pickle.pbz2"):
        table = checked(read_archive_file(source, progress), str(source))
        return BenchmarkTable(f"{source.name}, official archive", RowsInMemory(table))
    raise InputError(
        f"{source} is no NATS-Bench table: give the official archive (a folder NATS-tss-…-simple or a file "
        "NATS-tss-….pickle.pbz2) or a table .csv or .csv.gz"
    )
