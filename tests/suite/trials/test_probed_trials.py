"""Trials with probes: what a record lacks is measured, what it has is not measured again."""

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from suite.plan import Plan
from suite.store import HISTORY, load_frames, read_record
from suite.trial import key_of, run_trial


def watched_by(runs: Path) -> set[str]:
    """The probes that have a column."""
    _, histories = load_frames(runs)
    return {name.split(".")[1] for name in histories if name.startswith("probe.")}


def test_a_record_without_the_probes_asked_for_is_replaced_by_one_with_them(
    plans: list[Plan], finished: Path, tmp_path: Path
) -> None:
    runs = finished
    bare = read_record(runs / key_of(plans[0], tmp_path))
    assert bare
    first = pq.read_table(runs / bare.key / HISTORY).to_pylist()
    cell = run_trial(replace(plans[0], probes={"cell": 2}), runs, tmp_path)
    assert (cell.key, cell.genotype, cell.accuracy) == (bare.key, bare.genotype, bare.accuracy)
    assert cell.evaluate_seconds == bare.evaluate_seconds  # not retrained
    seen = pq.read_table(runs / bare.key / HISTORY).to_pylist()
    assert [row["probe.cell.skips.cell"] is None for row in seen] == [True, False, True, False]
    same = [name for name in first[0] if name != "tabular_accuracy"]  # not a number, which equals nothing
    assert [[row[name] for name in same] for row in seen] == [[row[name] for name in same] for row in first]
    both = run_trial(replace(plans[0], probes={"weights": 1}), runs, tmp_path)
    assert both.probes == {"cell": 2, "weights": 1}
    assert watched_by(runs) == {"cell", "weights"}
    # What is covered is not run again.
    for probes in ({}, {"cell": 4}, {"weights": 3, "cell": 2}):
        assert run_trial(replace(plans[0], probes=probes), runs, tmp_path) == both


def test_a_checkpoint_that_was_not_watched_is_not_continued(plans: list[Plan], tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def interrupt(phase: str, done: int, total: int) -> None:
        if done == 2:
            raise Enough

    runs = tmp_path / "runs"
    for probes in ({}, {"cell": 1}):
        with pytest.raises(Enough):
            run_trial(replace(plans[0], probes=probes), runs, tmp_path, on_progress=interrupt)
    assert run_trial(replace(plans[0], probes={}), runs, tmp_path).epochs == 4
    _, histories = load_frames(runs)
    assert histories["probe.cell.skips.cell"].notna().all()  # the watched half was continued, watched
