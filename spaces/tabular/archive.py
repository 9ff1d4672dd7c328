"""The official NATS-Bench archive: a folder with a file for each architecture, or one file.

Pickles are read by `spaces.common.unpickling`, so no archive can run code. What is damaged or something else raises
`InputError` with the file's name.
"""

import bz2
import hashlib
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces.common.errors import InputError
from spaces.common.unpickling import unpickle
from spaces.tabular.columns import DECIMALS, EPOCHS, MEASURES, check_architecture_in, checked, schema

if TYPE_CHECKING:
    import pyarrow as pa

Progress = Callable[[int, int], None]  # architectures read, architectures in all


class ArchiveFolder:
    """The rows of an archive in a folder. An architecture's file is read when it is asked for."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        meta = _unpickled(folder / "meta.pickle.pbz2")
        names = meta.get("meta_archs") if isinstance(meta, dict) else None
        if not isinstance(names, list):
            raise InputError(f"{folder / 'meta.pickle.pbz2'} lists no architectures: get the archive again")
        present = {path.name for path in folder.glob("*.pickle.pbz2")}
        self.positions: dict[str, int] = {}
        for index, architecture in enumerate(names):
            if _file_name(index) in present:
                check_architecture_in(folder, str(architecture))
                self.positions[architecture] = index
        self._read: dict[str, dict[str, Any]] = {}

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of file names and sizes: reading the files themselves takes minutes."""
        files = sorted((path.name, path.stat().st_size) for path in self._folder.glob("*.pickle.pbz2"))
        return hashlib.sha256(repr(files).encode()).hexdigest()

    def cell(self, architecture: str, column: str) -> float:
        """The number in a column; NaN if there is none. Raises `InputError` if the file is damaged."""
        if architecture not in self._read:
            self._read[architecture] = self._row(architecture)
        value = self._read[architecture].get(column)
        return math.nan if value is None else float(value)

    def arrow(self) -> "pa.Table":
        """All rows, which reads every file. Raises `InputError` if one is damaged."""
        import pyarrow as pa

        rows = []
        for done, architecture in enumerate(self.positions, start=1):
            rows.append(self._row(architecture))
            self._progress(done, len(self.positions))
        return checked(pa.Table.from_pylist(rows, schema=schema()), str(self._folder))

    def _row(self, architecture: str) -> dict[str, Any]:
        index = self.positions[architecture]
        path = self._folder / _file_name(index)
        return _row(path, index, architecture, _unpickled(path))


def read_archive_file(path: Path, progress: Progress) -> "pa.Table":
    """The rows of an archive in one file, which is unpacked in memory as a whole."""
    import pyarrow as pa

    archive = _unpickled(path)
    try:
        names, infos = archive["meta_archs"], archive["arch2infos"]
        rows = []
        for done, index in enumerate(sorted(infos), start=1):
            rows.append(_row(path, index, names[index], infos[index]))
            progress(done, len(infos))
    except (KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path} does not match the official layout ({error!r}): get the archive again") from error
    return pa.Table.from_pylist(rows, schema=schema())


def _file_name(index: int) -> str:
    return f"{index:06d}.pickle.pbz2"


def _unpickled(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"{path} is missing: get the archive again")
    with bz2.open(path, "rb") as stream:
        return unpickle(stream, str(path))


def _row(path: Path, index: int, architecture: str, runs: Any) -> dict[str, Any]:
    """A row in the columns of `schema`, from an architecture's runs in the archive: {"12": state, "200": state}."""
    from nats_bench import ArchResults

    row: dict[str, Any] = {"index": index, "architecture": architecture}
    try:
        for epochs in EPOCHS:
            results = ArchResults.create_from_state_dict(runs[str(epochs)])
            if results.arch_index != index or results.arch_str != architecture:
                raise InputError(f"{path} holds architecture {results.arch_index}, not {index}: get the archive again")
            for dataset, split in MEASURES:
                official = "ImageNet16-120" if dataset == "imagenet16-120" else dataset
                part = "ori-test" if dataset == "cifar10" else f"x-{split}"
                seeds = results.get_dataset_seeds(official)
                values = [results.get_metrics(official, part, is_random=seed)["accuracy"] for seed in seeds]
                name = f"{dataset}.{split}.{epochs}"
                row[name] = round(float(statistics.fmean(values)), DECIMALS)
                row[f"{name}.seeds"] = len(values)
                if len(values) > 1:
                    row[f"{name}.std"] = round(float(statistics.stdev(values)), DECIMALS)
                if epochs == 200:
                    cost = results.get_compute_costs(official)
                    row[f"{dataset}.params"] = round(float(cost["params"]) * 1e6)
                    row[f"{dataset}.seconds"] = cost["T-train@total"]
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} does not match the official layout ({error!r}): get the archive again") from error
    return row
