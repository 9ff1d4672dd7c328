"""The official NATS-Bench archive: a folder with a file for each architecture, or one file.

Its pickles are read by `spaces.common.unpickling`, so that none can run code. `nats_bench` computes the averages, from
checked numbers alone: left to itself it would open, with the ordinary unpickler, a file that an archive names in place
of results. What is damaged or something else raises `InputError` with the file's name.
"""

import bz2
import hashlib
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from spaces.common.errors import InputError
from spaces.common.pickles.stream import shown
from spaces.common.unpickling import unpickle
from spaces.tabular.columns import DECIMALS, EPOCHS, MEASURES, check_architecture_in, checked, schema

if TYPE_CHECKING:
    import pyarrow as pa
    from nats_bench import ArchResults

Progress = Callable[[int, int], None]  # architectures read, architectures in all

# The bytes that a file of the archive may unpack to. Official ones unpack to up to 1.4 MB, four times their size. The
# archive as one file may unpack to _RATIO times its size in addition.
_UNPACKED, _RATIO = 4 * 2**20, 16
# Limits of what is averaged. Official results have up to 3 runs of 200 epochs for a data set, and numbers below 1e5.
_RUNS, _EPOCHS, _NUMBER = 16, 1000, 1e12


class ArchiveFolder:
    """The rows of an archive in a folder. An architecture's file is read when its row is needed."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        meta = _unpickled(folder / "meta.pickle.pbz2")
        names = meta.get("meta_archs") if isinstance(meta, dict) else None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{folder / 'meta.pickle.pbz2'} lists no architectures: get the archive again")
        present = {path.name for path in folder.glob("*.pickle.pbz2")}
        self.positions: dict[str, int] = {}
        for index, architecture in enumerate(names):
            if _file_name(index) in present:
                check_architecture_in(folder, architecture)
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


def _file_name(index: int) -> str:
    return f"{index:06d}.pickle.pbz2"


def _unpickled(path: Path, ratio: int = 0) -> Any:
    """The data of a file, which may unpack to `_UNPACKED` bytes and `ratio` times its size in addition."""
    if not path.is_file():
        raise InputError(f"{path} is missing: get the archive again")
    with bz2.open(path, "rb") as stream:
        return unpickle(stream, str(path), _UNPACKED + ratio * path.stat().st_size)


def read_archive_file(path: Path, progress: Progress) -> "pa.Table":
    """The rows of an archive in one file, which is unpacked in memory as a whole."""
    import pyarrow as pa

    archive = _unpickled(path, _RATIO)
    names, infos = (archive.get(key) if isinstance(archive, dict) else None for key in ("meta_archs", "arch2infos"))
    if not isinstance(names, list) or not isinstance(infos, dict):
        raise _layout(path, "it lacks a list meta_archs or a dictionary arch2infos")
    rows = []
    for done, (index, runs) in enumerate(infos.items(), start=1):
        if not isinstance(index, int) or not 0 <= index < len(names) or not isinstance(names[index], str):
            raise _layout(path, f"architecture {shown(index)} is not in meta_archs")
        rows.append(_row(path, index, names[index], runs))
        progress(done, len(infos))
    return pa.Table.from_pylist(rows, schema=schema())


def _row(path: Path, index: int, architecture: str, runs: Any) -> dict[str, Any]:
    """A row in the columns of `schema`, from an architecture's runs in the archive: {"12": state, "200": state}."""
    row: dict[str, Any] = {"index": index, "architecture": architecture}
    try:
        for epochs in EPOCHS:
            results = _results(runs[str(epochs)])
            if results.arch_index != index or results.arch_str != architecture:
                raise InputError(f"{path} holds architecture {results.arch_index}, not {index}: get the archive again")
            for dataset, split in MEASURES:
                official = _official(dataset)
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
                    seconds = cost["T-train@total"]
                    row[f"{dataset}.seconds"] = None if seconds is None else float(seconds)
    except InputError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise _layout(path, shown(f"{type(error).__name__}: {error}")) from error
    return row


def _layout(path: Path, reason: str) -> InputError:
    return InputError(f"{path} does not match the official layout: {reason}; get the archive again")


def _official(dataset: str) -> str:
    """The archive's name of a data set."""
    return "ImageNet16-120" if dataset == "imagenet16-120" else dataset


def _results(state: Any) -> "ArchResults":
    """The runs of one length. Raises `ValueError`, `TypeError` or `KeyError` if `state` has another layout."""
    from nats_bench import ArchResults

    seeds, runs = {}, {}
    for dataset in {_official(name): None for name, _ in MEASURES}:
        found = seeds[dataset] = state["dataset_seed"][dataset]
        if not isinstance(found, list) or not 1 <= len(found) <= _RUNS or {type(seed) for seed in found} != {int}:
            raise ValueError(f"the seeds of {dataset} are no list of 1 to {_RUNS} integers")
        for seed in found:
            run = state["all_results"][dataset, seed]
            runs[dataset, seed] = {name: check(run[name]) for name, check in _CHECKS.items()}
    index, architecture = state["arch_index"], state["arch_str"]
    if type(index) is not int or type(architecture) is not str:
        raise ValueError("arch_index or arch_str is of another type")
    known = {"arch_index": index, "arch_str": architecture, "dataset_seed": seeds, "all_results": runs}
    return ArchResults.create_from_state_dict(known)


def _number(value: Any) -> Any:
    number = value.item() if isinstance(value, np.generic) else value  # NumPy's small types would overflow in sums
    if type(number) not in (int, float) or abs(number) > _NUMBER:
        raise ValueError(f"{shown(number)} is no number of up to {_NUMBER:g}")
    return number


def _epochs(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= _EPOCHS:
        raise ValueError(f"{shown(value)} epochs are not 1 to {_EPOCHS}")
    return value


def _numbers(value: Any) -> dict[Any, Any]:
    """The numbers by epoch, or by "PART@EPOCH"."""
    if not isinstance(value, dict):
        raise ValueError(f"{shown(value)} is no dictionary of numbers")
    return {key: _number(entry) for key, entry in value.items()}


# What `nats_bench` reads of a run for accuracies, parameters and seconds. It skips an empty `eval_times`.
_CHECKS = {
    "epochs": _epochs,
    "params": _number,
    "flop": _number,
    "train_times": lambda value: None if value is None else _numbers(value),
    "eval_acc1es": _numbers,
    "eval_losses": _numbers,
}
