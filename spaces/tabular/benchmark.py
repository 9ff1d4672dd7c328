"""The tabular benchmarks that there are. A space declares which of them has its architectures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spaces.tabular.archive import Progress
from spaces.tabular.columns import ARCHITECTURES
from spaces.tabular.table import BenchmarkTable, import_table


@dataclass(frozen=True)
class TabularBenchmark:
    """A table with the accuracy of every architecture of a space.

    - `name`: as `dartboard data import` calls it.
    - `title`: as its paper calls it.
    - `architectures`: how many the whole table has.
    - `channels`, `cells`: the size of the networks whose accuracies it holds, as `Space.network` counts.
    - `open`: the table in a data root, or `None` if there is none; raises `InputError` if it is damaged.
    - `make`: makes the table in a data root from a file, as `spaces.tabular.table.import_table`.
    """

    name: str
    title: str
    architectures: int
    channels: int
    cells: int
    open: Callable[[Path], BenchmarkTable | None]
    make: Callable[[Path, Path, Progress], Path]

    @property
    def how_to_import(self) -> str:
        """What to do if the table is missing."""
        return f"run `dartboard data import {self.name} FILE` on the {self.title} archive or a table made from it"


NATS_TSS = TabularBenchmark(
    "nats-tss", "NATS-Bench", ARCHITECTURES, channels=16, cells=5, open=BenchmarkTable.open, make=import_table
)

BENCHMARKS = {benchmark.name: benchmark for benchmark in (NATS_TSS,)}
