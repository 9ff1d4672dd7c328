"""The NATS-Bench topology table: the accuracy of each of the 15,625 architectures of `nats-tss`, looked up.

Three forms are read, in this order: `nats-tss.parquet` (made by `import_table`), a table `nats*tss*.csv[.gz]`, the
official archive (a folder `NATS-tss-v1_*-simple`, or one file `NATS-tss*.pickle.pbz2`). Accuracies are means over
training seeds, in percent, rounded to 1e-6: finer differences are the archive's float noise. No torch here: a query
must be quick.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from spaces.common.errors import InputError, unknown
from spaces.common.files import write_whole
from spaces.tabular.archive import Archive, read_pickle
from spaces.tabular.files import (
    ARCHITECTURES,
    DATASETS,
    EPOCHS,
    MEASURES,
    VERSION,
    Columns,
    Progress,
    Rows,
    check_architecture,
    checked,
    read_compact,
    read_csv,
)

if TYPE_CHECKING:
    import pandas as pd

COMPACT = "nats-tss.parquet"


@dataclass(frozen=True)
class Answer:
    """One number of the table: mean accuracy in percent over `seeds` trainings of `epochs` epochs.

    `std` (ddof = 1) and `seeds` are `None` where the source does not say. `index` is the official number of the
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


class Table:
    """A tabular benchmark that is open. `source` says in words what was read."""

    def __init__(self, source: str, rows: Rows) -> None:
        self.source = source
        self._rows = rows

    @classmethod
    def open(cls, root: Path) -> "Table | None":
        """The table in the data root, or `None` where there is none. Raises `InputError` where it is damaged."""
        if (path := root / COMPACT).is_file():
            table, made_from = read_compact(path)
            return cls(f"{COMPACT}, made from {made_from}", Columns(table))
        found = [path for pattern in ("nats*tss*.csv", "nats*tss*.csv.gz") for path in sorted(root.glob(pattern))]
        found += [path for path in sorted(root.glob("NATS-tss-v1_*-simple")) if path.is_dir()]
        found += sorted(root.glob("NATS-tss*.pickle.pbz2"))
        return _open_source(found[0]) if found else None

    def __len__(self) -> int:
        """How many architectures the table knows; 15,625 when it is whole."""
        return len(self._rows.positions)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The data sets whose test accuracies the benchmark holds."""
        return DATASETS

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over all the numbers; over the file names and sizes of an official archive in a folder."""
        return self._rows.digest

    def query(self, architecture: str, dataset: str, split: str = "test", epochs: int = 200) -> Answer:
        """The accuracy of `architecture` (the text of a `nats-tss` genotype).

        `dataset` is cifar10, cifar100 or imagenet16-120; `split` is test or valid; `epochs` is 200 or 12. The valid
        split of cifar10 is that of the `cifar10-valid` trainings, and the answer says so.
        Raises `InputError` for what the space, the benchmark or this table does not have.
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

        The valid split of cifar10 is that of the `cifar10-valid` trainings. Raises `InputError` for what is no
        architecture of the space.
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
        """The whole table, a row an architecture in official order.

        Columns: `index`, `architecture`; for each measure `DATASET.SPLIT.EPOCHS` in percent with `.std` and `.seeds`
        beside it; `DATASET.params`, `DATASET.seconds` (training, 200 epochs). Reads an official archive whole, which
        takes minutes.
        """
        return self._rows.arrow().to_pandas()


def import_table(source: Path, root: Path, progress: Progress = lambda done, total: None) -> Path:
    """Make `root`/nats-tss.parquet from the official archive (folder or file) or from a table (.csv, .csv.gz).

    The table is checked first: every architecture an own one of the space, accuracies within 0 to 100, the all-skip
    row as published. A part of the archive gives a part of the table. The file is written whole or not at all and
    carries the source's name and SHA-256. `progress` is told how many architectures of how many were read.
    Returns the file's path; raises `InputError` where `source` is missing, damaged or something else, and where the
    table cannot be written.
    """
    import pyarrow.parquet as pq

    if not source.exists():
        raise InputError(f"there is no {source}: check the name")
    try:
        table = _open_source(source, progress)._rows.arrow()
        made_from = {"version": VERSION, "source": source.resolve().name, "sha256": _sha256(source)}
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from error
    table = table.replace_schema_metadata(made_from)
    path = root / COMPACT
    try:
        write_whole(path, lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}: name another folder with --data-root"
        ) from error
    return path


def _sha256(source: Path) -> str:
    """SHA-256, in hex: of a file's bytes; of the names and sums of a folder's files, in order."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.is_file())
        return hashlib.sha256("".join(f"{path.name} {_sha256(path)}\n" for path in files).encode()).hexdigest()
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _open_source(source: Path, progress: Progress = lambda done, total: None) -> Table:
    if source.is_dir():
        return Table(f"{source.resolve().name}, official archive", Archive(source, progress))
    if source.name.endswith((".csv", ".csv.gz")):
        return Table(source.name, Columns(checked(read_csv(source), str(source))))
    if source.name.endswith(".pickle.pbz2"):
        return Table(f"{source.name}, official archive", Columns(checked(read_pickle(source, progress), str(source))))
    raise InputError(
        f"{source} is no NATS-Bench table: give the official archive (a folder NATS-tss-…-simple or a file "
        "NATS-tss-….pickle.pbz2) or a table .csv or .csv.gz"
    )
