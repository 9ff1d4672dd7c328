"""A run of several workers on one GPU has an MPS daemon of its own, which ends with it however it ends.

The daemon is a script that logs what it is told, and the process that tries the GPU is one that always gets there.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from suite.executors import mps
from suite.executors.mps import LOG, PIPE, PROGRAM, shared_gpu
from suite.plan import Plan

SCRIPT = """#!/bin/sh
if [ "$1" = "-d" ]; then
    echo "start ${CUDA_VISIBLE_DEVICES-all} $CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_LOG_DIRECTORY" >> "$MPS_TEST_LOG"
    [ -d "$CUDA_MPS_PIPE_DIRECTORY" ] && [ -d "$CUDA_MPS_LOG_DIRECTORY" ] || exit 9
    START
else
    read word
    echo "$word $CUDA_MPS_PIPE_DIRECTORY" >> "$MPS_TEST_LOG"
fi
"""


@pytest.fixture
def on_gpu(plans: list[Plan]) -> list[Plan]:
    """Two trials that say they run on a GPU."""
    return [replace(plan, compute=replace(plan.compute, device="cuda")) for plan in plans]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a daemon that does `start` on PATH; returns the file to which it logs."""

    def put(start: str = "exit 0", probe: str = "") -> Path:
        program = tmp_path / "bin" / PROGRAM
        program.parent.mkdir()
        program.write_text(SCRIPT.replace("START", start))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        monkeypatch.setenv("MPS_TEST_LOG", str(tmp_path / "log"))
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        for name in (PIPE, LOG):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(mps, "PROBE", probe)
        return tmp_path / "log"

    return put


def lines(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def check_started_and_ended(log: Path, pipe: str) -> None:
    """The daemon saw all devices and folders of its own, which are gone."""
    (started, visible, *folders), ended = lines(log)
    assert (started, visible, folders[0]) == ("start", "all", pipe)
    assert ended == ["quit", pipe]
    assert not Path(pipe).parent.exists()


def test_workers_find_a_daemon_that_ends_with_the_run(on_gpu: list[Plan], install: Callable[..., Path]) -> None:
    log, said = install(probe=f"import os, sys; sys.exit('{PIPE}' not in os.environ)"), []
    with shared_gpu(on_gpu, 2, said.append):
        pipe = os.environ[PIPE]
        assert os.environ[LOG]
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"  # the workers', which choose by it
        assert [line[0] for line in lines(log)] == ["start"]
    assert not said
    assert PIPE not in os.environ
    assert LOG not in os.environ
    check_started_and_ended(log, pipe)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_run_ends_its_daemon(
    on_gpu: list[Plan], install: Callable[..., Path], error: type[BaseException]
) -> None:
    log, pipes = install(), []

    def interrupted() -> None:
        with shared_gpu(on_gpu, 2, print):
            pipes.append(os.environ[PIPE])
            raise error

    with pytest.raises(error):
        interrupted()
    assert PIPE not in os.environ
    check_started_and_ended(log, *pipes)


def test_a_killed_run_ends_its_daemon(on_gpu: list[Plan], install: Callable[..., Path], tmp_path: Path) -> None:
    log = install()

    def drive() -> None:
        with shared_gpu(on_gpu, 2, print):
            (tmp_path / "pipe").write_text(os.environ[PIPE])
            time.sleep(60)

    driver = get_context("fork").Process(target=drive)
    driver.start()
    wait_for(lambda: (tmp_path / "pipe").exists() and (tmp_path / "pipe").read_text() != "")
    os.kill(driver.pid or 0, signal.SIGKILL)
    driver.join()
    pipe = (tmp_path / "pipe").read_text()
    wait_for(lambda: not Path(pipe).parent.exists())
    check_started_and_ended(log, pipe)


def wait_for(moment: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not moment() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert moment()


@pytest.mark.parametrize(
    ("start", "probe", "why"),
    [
        ("echo; echo An instance is already running; exit 1", "", "it does not start: An instance is already running"),
        ("exit 3", "", "it does not start: exit status 3"),
        ("exit 0", "import sys; sys.exit(6)", "no process gets to the GPU by it: exit status 6"),
        ("sleep 3", "", "it does not start within 0 s"),
    ],
)
def test_a_run_goes_on_without_a_daemon_that_does_not_work(
    on_gpu: list[Plan],
    install: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    start: str,
    probe: str,
    why: str,
) -> None:
    log, said = install(start, probe), []
    if "sleep" in start:
        monkeypatch.setattr(mps, "SECONDS", 0.3)
    with shared_gpu(on_gpu, 8, said.append):
        assert PIPE not in os.environ
        assert LOG not in os.environ
    assert said == [f"no NVIDIA MPS ({why}): 2 workers take turns on the GPU, together no faster than one"]
    wait_for(lambda: lines(log)[-1][0] == "quit")


def test_a_run_without_the_program_says_that_workers_take_turns(
    on_gpu: list[Plan], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said: list[str] = []
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(PIPE, raising=False)
    with shared_gpu(on_gpu, 2, said.append):
        assert PIPE not in os.environ
    assert said == [
        f"no NVIDIA MPS ({PROGRAM} is not installed): 2 workers take turns on the GPU, together no faster than one"
    ]


def test_nothing_is_started_where_nothing_shares_a_gpu(
    plans: list[Plan], on_gpu: list[Plan], install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker, trials on the CPU, or a daemon that the user named."""
    log, said = install(), []
    for some, jobs in ((on_gpu, 1), (on_gpu[:1], 4), (plans, 2), ([], 2)):
        with shared_gpu(some, jobs, said.append):
            assert PIPE not in os.environ
    monkeypatch.setenv(PIPE, "/their/own")
    with shared_gpu(on_gpu, 2, said.append):
        assert os.environ[PIPE] == "/their/own"
    assert os.environ[PIPE] == "/their/own"
    assert not said
    assert not log.exists()


def test_the_command_runs_its_workers_under_it(
    dartboard: Callable[..., Any],
    install: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tiny_study: Path,
    tmp_path: Path,
) -> None:
    log, pipes = install(), []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("suite.executors.local.run_all", lambda *_, **__: pipes.append(os.environ[PIPE]) or [])
    result = dartboard("run", tiny_study, "--device", "cuda", "--jobs", 2, "--out", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    check_started_and_ended(log, *pipes)


def test_the_probe_fails_where_there_is_no_gpu(tmp_path: Path) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("there is a GPU")
    assert mps._failure("x", [sys.executable, "-c", mps.PROBE], os.environ, tmp_path / "said").startswith("x: ")
