"""A tiny npz data set, a study of two short trials on it, that study run once for all tests, and the command line."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from spaces.common import disk_cache
from spaces.common.errors import InputError
from suite import analytic, commands
from suite.data.sets import load
from suite.executors.local import Event, Failure, run_all
from suite.plan import Plan
from suite.store import HISTORY, read_records
from suite.study import expand, read


@pytest.fixture
def said() -> Callable[[str, Path], str]:
    """The one line that loading a data set fails with."""

    def line(spec: str, root: Path) -> str:
        with pytest.raises(InputError) as caught:
            load(spec, root)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return line


@pytest.fixture(scope="session")
def dartboard() -> Callable[..., Result]:
    """Calls the command line in this process."""
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def document(dartboard: Callable[..., Result]) -> Callable[..., Any]:
    """Calls the command line with `--json` and returns the document."""

    def call(*arguments: object) -> Any:
        result = dartboard(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 + 20 random 8 x 8 grey images of 4 classes."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(
        path,
        x_train=random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8),
        y_train=np.arange(60) % 4,
        x_test=random.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8),
        y_test=np.arange(20) % 4,
    )
    return path


def study_on(data: Path, path: Path) -> Path:
    """A study of two short trials on `data`, written to `path`."""
    path.write_text(
        f"""
title = "Two short trials"

[[trials]]
methods = ["darts-1st", "random"]
spaces = ["nats-tss"]
datasets = ["npz:{data}"]
seeds = [0]
set = {{ epochs = 4, batch_size = 8, "evaluate.epochs" = 3 }}
"""
    )
    return path


@pytest.fixture
def tiny_study(tiny_npz: Path, tmp_path: Path) -> Path:
    return study_on(tiny_npz, tmp_path / "tiny.toml")


@pytest.fixture
def brief_solutions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ends the searches that a report solves after 40 steps; returns the folder of this test that caches them."""
    solve = analytic.solve
    monkeypatch.setattr(analytic, "solve", lambda method, settings: solve(method, {**settings, "epochs": 40}))
    monkeypatch.setattr(disk_cache, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "dartboard" / "solved"


@dataclass
class Execution:
    """The tiny study's trials and one that diverges, run by an executor."""

    runs: Path
    plans: list[Plan]
    failures: list[Failure]
    events: list[Event] = field(default_factory=list)


def execute(data: Path, folder: Path, jobs: int) -> Execution:
    study = study_on(data, folder / "tiny.toml")
    plans = expand(read(study), study, folder).plans
    diverging = replace(plans[0], settings=replace(plans[0].settings, learning_rate=1e20))  # which no option allows
    plans = [diverging, *plans]
    events: list[Event] = []
    failures = run_all(plans, folder / "runs", folder, jobs=jobs, on_event=events.append)
    return Execution(folder / "runs", plans, failures, events)


@pytest.fixture(scope="session")
def serial(tiny_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """In this process, one trial after the other."""
    return execute(tiny_npz, tmp_path_factory.mktemp("serial"), jobs=1)


@pytest.fixture(scope="session")
def pooled(tiny_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Execution:
    """In two worker processes."""
    return execute(tiny_npz, tmp_path_factory.mktemp("pooled"), jobs=2)


@pytest.fixture
def finished(serial: Execution, tmp_path: Path) -> Path:
    """A runs folder with the two finished trials of the tiny study, which a test may change."""
    for folder, _ in read_records(serial.runs):
        shutil.copytree(folder, tmp_path / "runs" / folder.name)
    return tmp_path / "runs"


@pytest.fixture
def plans(tiny_study: Path, tmp_path: Path) -> list[Plan]:
    """The two trials of the tiny study."""
    return expand(read(tiny_study), tiny_study, tmp_path).plans


Outcome = dict[str, tuple[bytes, str, float]]


@pytest.fixture(scope="session")
def outcome() -> Callable[[Path], Outcome]:
    """What two runs of one study must have in common: history bytes, genotype, score."""

    def read_all(runs: Path) -> Outcome:
        return {
            record.key: ((folder / HISTORY).read_bytes(), record.genotype, record.score)
            for folder, record in read_records(runs)
        }

    return read_all
