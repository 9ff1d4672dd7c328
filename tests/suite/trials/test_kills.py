"""A study that is killed or interrupted at any moment and run again ends in the same bytes.

The study runs in a process of its own, which is forked, as importing torch takes longer than the study; its workers are
fresh processes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from suite.cli import main
from suite.executors.local import run_all
from suite.plan import Plan
from suite.study import expand, read

pytestmark = pytest.mark.own_engine
COMMAND = [sys.executable, "-c", "from suite.cli import main; main()", "run"]
DEADLINE = 120.0


def count(folder: Path) -> int:
    return sum(1 for _ in folder.rglob("*")) if folder.exists() else 0


def wait_for(moment: Callable[[], bool], alive: Callable[[], bool]) -> None:
    """Return at the moment, or when the process has ended."""
    deadline = time.monotonic() + DEADLINE
    while not moment() and alive() and time.monotonic() < deadline:
        time.sleep(0.01)


def forked(output: Path, work: Callable[..., object], *arguments: object) -> BaseProcess:
    """A forked process that does `work` and writes what it prints to `output`."""

    def child() -> None:
        sys.stdout = sys.stderr = output.open("w", buffering=1)
        work(*arguments)

    process = get_context("fork").Process(target=child)
    process.start()
    return process


def run_plans(plans: list[Plan], runs: Path, jobs: int) -> None:
    run_all(plans, runs, runs.parent, jobs=jobs, on_event=lambda _: None)


def run_command(*arguments: str) -> None:
    sys.argv = ["dartboard", *arguments]
    main()


def test_killed_three_times_and_resumed_is_the_same_bytes(
    plans: list[Plan], serial: Any, outcome: Any, tmp_path: Path
) -> None:
    """Twice in the driver's own process, once with two workers, which end without their driver."""
    runs, moments = tmp_path / "runs", random.Random(0)
    for jobs in (1, 1, 2):
        seen = count(runs)
        process = forked(tmp_path / "output", run_plans, plans, runs, jobs)
        # Wait until the trials move, so that a kill hits the work.
        wait_for(lambda seen=seen: count(runs) > seen, process.is_alive)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.join()
    run_plans(plans, runs, jobs=1)
    assert outcome(runs) == outcome(serial.runs)


@pytest.mark.slow
def test_killed_ten_times_and_resumed_is_the_same_bytes(tiny_study: Path, outcome: Any, tmp_path: Path) -> None:
    """The command in fresh processes, each with two workers."""
    tiny_study.write_text(
        tiny_study.read_text().replace("epochs = 4", "epochs = 40").replace('"random"', '"darts-2nd"')
    )
    runs, moments = tmp_path / "runs", random.Random(0)
    for _ in range(10):
        seen = count(runs)
        process = subprocess.Popen(
            [*COMMAND, str(tiny_study), "--out", str(runs), "--jobs", "2"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda seen=seen: count(runs) > seen, lambda process=process: process.poll() is None)
        time.sleep(moments.uniform(0, 0.4))
        if process.poll() is not None:
            break  # finished before it could be killed as often
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    plans = expand(read(tiny_study), tiny_study, tmp_path).plans
    run_plans(plans, runs, jobs=1)
    run_plans(plans, tmp_path / "whole", jobs=1)
    assert outcome(runs) == outcome(tmp_path / "whole")


def test_interrupted_by_ctrl_c_says_how_to_continue(tiny_study: Path, tmp_path: Path) -> None:
    tiny_study.write_text(tiny_study.read_text().replace("epochs = 4", "epochs = 4000"))
    runs = tmp_path / "runs"
    output = tmp_path / "output"
    process = forked(output, run_command, "run", str(tiny_study), "--out", str(runs), "--jobs", "2")
    wait_for(lambda: any(runs.rglob("search.pt")), process.is_alive)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(timeout=30)
    assert process.exitcode == 130
    assert "the same command continues" in output.read_text()
    assert "Traceback" not in output.read_text()
