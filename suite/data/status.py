"""Which data sets and tables are in the data root, verified by checksum, and how to get the others."""

from pathlib import Path
from typing import Any

from spaces.common.errors import InputError
from spaces.tabular.benchmark import BENCHMARKS, TabularBenchmark
from suite.data.registry import DATASETS

MISSING, DAMAGED = "missing", "damaged"


def status(folder: Path) -> list[dict[str, Any]]:
    """A row for each data set and table: name, state (here, missing, damaged or incomplete), and detail."""
    rows = [data_set_status(name, folder) for name in DATASETS]
    return rows + [table_status(benchmark, folder) for benchmark in BENCHMARKS.values()]


def data_set_status(name: str, folder: Path) -> dict[str, Any]:
    """The row of the data set called `name`."""
    entry = DATASETS[name]
    if not entry.present(folder):
        return {"name": name, "state": MISSING, "detail": entry.how_to_get}
    try:
        entry.verify(folder)
    except InputError as error:
        return {"name": name, "state": DAMAGED, "detail": str(error)}
    return {"name": name, "state": "here", "detail": entry.provenance}


def table_status(benchmark: TabularBenchmark, folder: Path) -> dict[str, Any]:
    """The row of the table of `benchmark`."""
    name = f"{benchmark.name} table"
    try:
        found = benchmark.open(folder)
    except InputError as error:
        return {"name": name, "state": DAMAGED, "detail": str(error)}
    if found is None:
        return {"name": name, "state": MISSING, "detail": benchmark.how_to_import}
    return {
        "name": name,
        "state": "here" if found.whole else "incomplete",
        "detail": f"{len(found):,} of {benchmark.architectures:,} architectures; {found.source}",
    }
