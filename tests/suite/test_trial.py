"""Trials and the store: the same bytes in any executor, after any kill; damage is named."""

import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from torch import nn

from reports.pages.rerun_command import search_command
from spaces import get_space
from spaces.cells import operations, supernet
from spaces.common.errors import InputError
from spaces.common.files import write_whole
from suite.data.sets import load, shrink
from suite.environment import engine_name
from suite.executors.local import run_all
from suite.plan import Plan, plan
from suite.store import HISTORY, RECORD, load_frames, read_record, read_records
from suite.study import expand, read
from suite.trial import _cost, key_of, run_trial


@pytest.fixture
def plans(tiny_study: Path, tmp_path: Path) -> list[Plan]:
    return expand(read(tiny_study), tiny_study, tmp_path).plans


def outcome(runs: Path) -> dict[str, tuple[bytes, str, float]]:
    """What must be equal between two runs of the same study: history bytes, genotype, accuracy."""
    return {
        record.key: ((folder / HISTORY).read_bytes(), record.genotype, record.accuracy)
        for folder, record in read_records(runs)
    }


def test_a_trial_leaves_a_record_and_a_history(plans: list[Plan], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    record = run_trial(plans[0], runs, tmp_path)
    folder = runs / record.key
    assert sorted(p.name for p in folder.iterdir() if p.suffix in (".json", ".parquet", ".pt")) == [HISTORY, RECORD]
    assert record.evaluation == "retrained"
    assert record.epochs == 4
    assert len(record.epoch_seconds) == 4
    assert record.search_seconds == pytest.approx(sum(record.epoch_seconds))
    assert record.settings["order"] == "weights-alpha"
    assert record.settings["batch_norm"] == "running"
    assert "first_order" in record.recipe["gradient"]
    history = pq.read_table(folder / HISTORY).to_pylist()
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert "seconds" not in "".join(history[0])
    records, histories = load_frames(runs)
    assert len(records) == 1
    assert set(histories["key"]) == {record.key}


@pytest.mark.own_engine
def test_a_record_names_operations_that_the_fast_engine_left_to_the_reference(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_tanh(name: str, *given: Any) -> nn.Module:
        return nn.Tanh() if name == "nor_conv_3x3" else operations.build(name, *given)

    known = run_trial(plans[0], tmp_path / "known", tmp_path)
    assert known.engine == engine_name("fast", "fp32", "cpu")
    monkeypatch.setattr(supernet, "build", with_tanh)
    record = run_trial(plans[0], tmp_path / "unknown", tmp_path)
    assert record.engine.startswith(f"{known.engine}; 3 of 3 cells")
    assert "nor_conv_3x3" in record.engine


def test_a_trial_that_stands_there_twice_is_said(plans: list[Plan], tmp_path: Path) -> None:
    record = run_trial(plans[0], tmp_path / "runs" / "one", tmp_path)
    folders = [tmp_path / "runs" / name / record.key for name in ("one", "two")]
    shutil.copytree(*folders)
    with pytest.raises(InputError, match="hold the same trial: keep one of them") as caught:
        load_frames(tmp_path / "runs")
    assert all(str(folder) in str(caught.value) for folder in folders)


def test_a_finished_trial_is_not_run_again(plans: list[Plan], tmp_path: Path) -> None:
    first = run_trial(plans[0], tmp_path / "runs", tmp_path)
    stamp = (tmp_path / "runs" / first.key / RECORD).stat().st_mtime_ns
    assert run_trial(plans[0], tmp_path / "runs", tmp_path) == first
    assert (tmp_path / "runs" / first.key / RECORD).stat().st_mtime_ns == stamp


@pytest.mark.own_engine
def test_executors_give_the_same_bytes(plans: list[Plan], tmp_path: Path) -> None:
    for jobs in (1, 2):
        events = []
        assert not run_all(plans, tmp_path / str(jobs), tmp_path, jobs=jobs, on_event=events.append)
        assert [phase for _, phase, *_ in events].count("done") == 2
    assert outcome(tmp_path / "1") == outcome(tmp_path / "2")


def test_one_broken_trial_does_not_cost_the_others(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import suite.executors.local

    def broken(plan: Plan, *args: object, **kwargs: object) -> object:
        if plan.method == "darts-1st":
            raise RuntimeError("out of order")
        return run_trial(plan, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(suite.executors.local, "run_trial", broken)
    failures = run_all(plans, tmp_path / "runs", tmp_path, jobs=1, on_event=lambda _: None)
    assert [failure.plan.method for failure in failures] == ["darts-1st"]
    assert "out of order" in failures[0].words
    assert not failures[0].users
    assert len(outcome(tmp_path / "runs")) == 1


def killed_and_resumed(study: Path, runs: Path, kills: int) -> None:
    """Run `study` in a process of its own that is killed (SIGKILL) `kills` times at random, then let it finish."""
    command = [sys.executable, "-c", "from suite.cli import main; main()", "run", str(study), "--out", str(runs)]
    moments = random.Random(0)
    done = 0
    while done < kills:
        process = subprocess.Popen([*command, "--jobs", "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seen = sum(1 for _ in runs.rglob("*")) if runs.exists() else 0
        # Wait until the trials move, so that a kill hits the work and not the imports.
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            if runs.exists() and sum(1 for _ in runs.rglob("*")) > seen:
                break
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.4))
        if process.poll() is not None:
            break  # finished before it could be killed as often
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        done += 1
    assert subprocess.run([*command, "--jobs", "1"], check=False, capture_output=True).returncode == 0


def check_kills(study: Path, tmp_path: Path, kills: int) -> None:
    plans = expand(read(study), study, tmp_path).plans
    run_all(plans, tmp_path / "whole", tmp_path, jobs=1, on_event=lambda _: None)
    killed_and_resumed(study, tmp_path / "killed", kills)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


@pytest.mark.own_engine
def test_killed_twice_and_resumed_is_the_same_bytes(tiny_study: Path, tmp_path: Path) -> None:
    check_kills(tiny_study, tmp_path, kills=2)


@pytest.mark.slow
def test_killed_ten_times_and_resumed_is_the_same_bytes(tiny_study: Path, tmp_path: Path) -> None:
    tiny_study.write_text(
        tiny_study.read_text().replace("epochs = 4", "epochs = 40").replace('"random"', '"darts-2nd"')
    )
    check_kills(tiny_study, tmp_path, kills=10)


def test_interrupted_in_the_middle_of_both_phases(
    plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption right after any checkpoint, of the search or of the retraining, changes no byte."""
    whole = run_trial(plans[0], tmp_path / "whole", tmp_path)

    class Interruption(Exception):
        pass

    remaining: list[tuple[str, int]] = []

    def interrupt(phase: str, done: int, total: int) -> None:
        if (phase, done) in remaining:
            remaining.remove((phase, done))
            raise Interruption

    remaining.extend([("search", 1), ("search", 3), ("evaluate", 1), ("evaluate", 2)])
    while True:
        try:
            record = run_trial(plans[0], tmp_path / "parts", tmp_path, on_progress=interrupt)
            break
        except Interruption:
            continue
    assert not remaining
    assert record.history_digest == whole.history_digest
    assert record.accuracy == whole.accuracy


def test_the_test_images_are_out_of_a_searchs_reach(plans: list[Plan], tiny_npz: Path, tmp_path: Path) -> None:
    """Other test images, same training images: the same history (and another key)."""
    import numpy as np

    with np.load(tiny_npz) as arrays:
        other = {key: arrays[key] for key in arrays}
    other["x_test"] = 255 - other["x_test"]
    np.savez(tmp_path / "tiny.npz", **other)
    one = run_trial(plans[0], tmp_path / "one", tmp_path)
    two = run_trial(replace(plans[0], dataset=f"npz:{tmp_path / 'tiny.npz'}"), tmp_path / "two", tmp_path)
    assert one.history_digest == two.history_digest
    assert one.dataset_digest != two.dataset_digest


@pytest.mark.parametrize("damage", ["truncate", "empty", "key", "history", "no history"])
def test_a_damaged_record_is_named(plans: list[Plan], tmp_path: Path, damage: str) -> None:
    record = run_trial(plans[1], tmp_path / "runs", tmp_path)
    folder = tmp_path / "runs" / record.key
    file = folder / RECORD
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:100])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "key":
        document = json.loads(file.read_text())
        document["seed"] = "zero"
        file.write_text(json.dumps(document))
    elif damage == "history":
        (folder / HISTORY).write_bytes(b"PAR1")
    else:
        (folder / HISTORY).unlink()
    with pytest.raises(InputError, match=r"delete .*again") as caught:
        load_frames(tmp_path / "runs")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(plans: list[Plan], tmp_path: Path) -> None:
    folder = tmp_path / "runs" / key_of(plans[0], tmp_path)
    folder.mkdir(parents=True)
    (folder / "search.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"search\.pt"):
        run_trial(plans[0], tmp_path / "runs", tmp_path)
    assert (folder / "search.pt").read_bytes() == b"not a checkpoint"
    assert read_record(folder) is None


def test_no_runs_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a folder of runs"):
        load_frames(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no finished trial"):
        load_frames(tmp_path / "empty")


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def fail(file: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_diverged_search_does_not_cost_the_others(tiny_study: Path, tmp_path: Path) -> None:
    tiny_study.write_text(tiny_study.read_text().replace("epochs = 4", "epochs = 1"))
    healthy = expand(read(tiny_study), tiny_study, tmp_path).plans[0]
    diverging = replace(healthy, settings=replace(healthy.settings, learning_rate=1e20))  # which no option allows
    for jobs in (1, 2):
        runs = tmp_path / str(jobs)
        failures = run_all([diverging, healthy], runs, tmp_path, jobs=jobs, on_event=lambda _: None)
        assert [(failure.users, "diverged" in failure.words) for failure in failures] == [(True, True)]
        assert len(outcome(runs)) == 1


def test_what_cannot_be_retrained_is_said_before_the_search(plans: list[Plan], tmp_path: Path) -> None:
    broken = replace(plans[0], evaluation=replace(plans[0].evaluation, auxiliary=0.4))
    events: list[object] = []
    with pytest.raises(InputError):
        run_trial(broken, tmp_path / "runs", tmp_path, on_progress=lambda *at: events.append(at))
    assert not events


def test_a_path_to_the_data_is_no_part_of_a_trial(plans: list[Plan], tiny_npz: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / tiny_npz.name
    copy.parent.mkdir()
    copy.write_bytes(tiny_npz.read_bytes())
    assert key_of(plans[0], tmp_path) == key_of(replace(plans[0], dataset=f"npz:{copy}"), tmp_path)


def watched_by(runs: Path) -> set[str]:
    """The probes that have a column."""
    _, histories = load_frames(runs)
    return {name.split(".")[1] for name in histories if name.startswith("probe.")}


def test_a_record_without_the_probes_asked_for_is_replaced_by_one_with_them(plans: list[Plan], tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    bare = run_trial(plans[0], runs, tmp_path)
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


def test_a_record_tells_the_images_there_were(plans: list[Plan], tmp_path: Path) -> None:
    assert run_trial(plans[1], tmp_path / "runs", tmp_path).scale.count("60 training images;") == 1


def test_small_images_are_searched_and_retrained_on_and_recorded(plans: list[Plan], tmp_path: Path) -> None:
    whole = run_trial(plans[1], tmp_path / "runs", tmp_path)
    small = run_trial(replace(plans[1], size=4), tmp_path / "runs", tmp_path)
    assert small.settings["size"] == 4
    assert "60 training images of 4 x 4;" in small.scale
    assert small.dataset_digest != whole.dataset_digest
    assert small.key != whole.key
    same = run_trial(replace(plans[1], size=4), tmp_path / "elsewhere", tmp_path)
    assert same.accuracy == small.accuracy


def test_a_tables_network_sees_whole_images_and_a_retrained_one_small_ones(tmp_path: Path) -> None:
    made, space, whole = plan("darts-1st", "nats-tss", "digits", 0), get_space("nats-tss"), load("digits", tmp_path)
    cell = space.parse("|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|skip_connect~2|")
    small = shrink(whole, 4)
    assert _cost(made, space, cell, small, space.benchmark) == _cost(made, space, cell, whole, space.benchmark)
    retrained, full = (_cost(made, space, cell, dataset, None) for dataset in (small, whole))
    assert retrained["params"] == full["params"]
    assert full["macs"] / 4.1 < retrained["macs"] < full["macs"] / 3.9


def test_the_command_of_a_record_is_the_same_trial(tmp_path) -> None:
    given = {"epochs": 1, "evaluate.epochs": 1, "images": 40, "lambda": 0.3, "nesterov": False, "size": 4}
    first = plan("lambda-darts", "nats-tss", "digits", 2, overrides=given)
    record = run_trial(first, tmp_path, tmp_path)
    words = shlex.split(search_command(json.loads(record.model_dump_json())))[2:]
    named = dict(zip(words[1::2], words[2::2], strict=True))
    settings = dict(words[place + 1].split("=") for place, word in enumerate(words) if word == "--set")
    assert settings.keys() == given.keys()
    again = plan(words[0], named["--space"], named["--dataset"], int(named["--seed"]), named["--protocol"], settings)
    assert key_of(again, tmp_path) == record.key
