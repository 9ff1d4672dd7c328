"""A trial: what it leaves, what it depends on, and that no interruption changes a byte."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from torch import nn

from methods import get_task
from reports.pages.rerun_command import search_command
from spaces import get_space
from spaces.cells import operations, supernet
from spaces.common.errors import InputError
from suite.data.sets import load, shrink
from suite.environment import engine_name
from suite.plan import Plan, plan
from suite.store import HISTORY, RECORD, Record, load_frames, read_record
from suite.trial import _cost, key_of, run_trial


@pytest.fixture
def record(plans: list[Plan], finished: Path, tmp_path: Path) -> Record:
    """The record of the first plan, in the runs folder `finished`."""
    found = read_record(finished / key_of(plans[0], tmp_path))
    assert found
    return found


def test_a_trial_leaves_a_record_and_a_history(record: Record, finished: Path) -> None:
    folder = finished / record.key
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
    records, histories = load_frames(finished)
    assert len(records) == 2
    assert set(histories["key"]) == set(records["key"])


@pytest.mark.own_engine
def test_a_record_names_operations_that_the_fast_engine_left_to_the_reference(
    record: Record, plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_tanh(name: str, *given: Any) -> nn.Module:
        return nn.Tanh() if name == "nor_conv_3x3" else operations.build(name, *given)

    assert record.engine == engine_name("fast", "fp32", "cpu")
    monkeypatch.setattr(supernet, "build", with_tanh)
    changed = run_trial(plans[0], tmp_path / "changed", tmp_path)
    assert changed.engine.startswith(f"{record.engine}; 3 of 3 cells")
    assert "nor_conv_3x3" in changed.engine


def test_a_finished_trial_is_not_run_again(record: Record, plans: list[Plan], finished: Path, tmp_path: Path) -> None:
    stamp = (finished / record.key / RECORD).stat().st_mtime_ns
    assert run_trial(plans[0], finished, tmp_path) == record
    assert (finished / record.key / RECORD).stat().st_mtime_ns == stamp


@pytest.mark.own_engine
def test_interrupted_in_the_middle_of_both_phases(record: Record, plans: list[Plan], tmp_path: Path) -> None:
    """An interruption right after any checkpoint, of the search or of the retraining, changes no byte."""

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
            parts = run_trial(plans[0], tmp_path / "parts", tmp_path, on_progress=interrupt)
            break
        except Interruption:
            continue
    assert not remaining
    assert parts.history_digest == record.history_digest
    assert parts.accuracy == record.accuracy


@pytest.mark.own_engine
def test_a_search_does_not_depend_on_the_test_images(
    record: Record, plans: list[Plan], tiny_npz: Path, tmp_path: Path
) -> None:
    """Other test images, same training images: the same history (and another key)."""
    with np.load(tiny_npz) as arrays:
        other = {key: arrays[key] for key in arrays}
    other["x_test"] = 255 - other["x_test"]
    np.savez(tmp_path / "tiny.npz", **other)
    changed = run_trial(replace(plans[0], dataset=f"npz:{tmp_path / 'tiny.npz'}"), tmp_path / "changed", tmp_path)
    assert changed.history_digest == record.history_digest
    assert changed.dataset_digest != record.dataset_digest


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


def test_a_record_tells_the_images_there_were(record: Record) -> None:
    assert record.scale.count("60 training images;") == 1


def test_small_images_are_searched_and_retrained_on_and_recorded(
    plans: list[Plan], finished: Path, tmp_path: Path
) -> None:
    whole = read_record(finished / key_of(plans[1], tmp_path))
    assert whole
    small = run_trial(replace(plans[1], size=4), tmp_path / "small", tmp_path)
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
    task = get_task(made.task)
    small_cost, whole_cost = (_cost(made, task, space, cell, dataset, space.benchmark) for dataset in (small, whole))
    assert small_cost == whole_cost
    retrained, full = (_cost(made, task, space, cell, dataset, None) for dataset in (small, whole))
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
