"""What a report takes: of many trials, beside one of few. Run by `tox -e bench`.

The solvable model is solved before the clock runs: a report finds it in the cache.
"""

from pathlib import Path
from time import process_time

import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spaces import get_space
from spaces.common.streams import generator
from suite.commands.results.report import build_report
from suite.compute import Compute
from suite.plan import plan
from suite.store import HISTORY, write_record
from suite.trial import run_trial

METHODS = ("darts-1st", "milenas", "random")
FEW, MANY = 5, 100
"""Seeds of each method."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """From seeds a method to a folder of runs: a trial of each method that ran, watched, and others made after it.

    The others have its record and its history, as trials write them, with architectures and accuracies of their own.
    """
    root = tmp_path_factory.mktemp("trials")
    space = get_space("nats-tss")
    folders = {count: root / str(count) for count in (FEW, MANY)}
    for method in METHODS:
        asked = plan(method, "nats-tss", "digits", 0, "quick", {}, Compute("cpu"), probes={"cell": 1, "weights": 1})
        record = run_trial(asked, root / "ran", root)
        history = pq.read_table(root / "ran" / record.key / HISTORY).to_pylist()
        for count, folder in folders.items():
            for seed in range(count):
                draw = generator(seed, "benchmark", method)
                cells = [space.random(draw) for _ in history]
                own = {"key": f"{record.key}-{seed}", "seed": seed, "genotype": str(cells[-1])}
                own |= {"accuracy": record.accuracy + seed % 7, "skip_share": cells[-1].skip_share("cell")}
                rows = [{**row, "genotype": str(cell)} for row, cell in zip(history, cells, strict=True)]
                (folder / own["key"]).mkdir(parents=True)
                write_record(folder / own["key"], record.model_dump(exclude={"history_digest"}) | own, rows)
    return folders


def test_report(benchmark: BenchmarkFixture, runs: dict[int, Path], tmp_path: Path) -> None:
    """A report of 300 trials, and how much longer it takes than one of 15: at most in the proportion of trials."""
    seconds: dict[int, list[float]] = {FEW: [], MANY: []}

    def report(count: int) -> None:
        began = process_time()
        build_report(runs[count], tmp_path / str(count))
        seconds[count].append(process_time() - began)

    report(FEW)  # what is loaded and solved only once
    report(FEW)
    benchmark.pedantic(report, args=(MANY,), rounds=1)
    few, many = seconds[FEW][-1], seconds[MANY][-1]
    more = (MANY - FEW) * len(METHODS)
    benchmark.extra_info.update(
        {"trials": MANY * len(METHODS), "times a report of 15": many / few, "seconds a trial more": (many - few) / more}
    )
    assert many / few < MANY / FEW
