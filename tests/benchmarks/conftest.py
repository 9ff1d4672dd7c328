"""A supernet's step as the searches take it, and what it costs: for processes that measure both engines."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from methods import Search, get_method
from methods.search.settings import resolve
from spaces import get_space
from suite.data.sets import Augment, Loader
from suite.doctor.step import Step, StepSize
from suite.doctor.step import make_step as doctors_step


@pytest.fixture(scope="session")
def make_step() -> Callable[..., Step]:
    return step


def step(space: str, engine: Any, *, batch: int, channels: int, cells: int, size: int, **how: Any) -> Step:
    """The doctor's step."""
    return doctors_step(space, engine, StepSize(channels, cells, batch, size), **how)


@pytest.fixture(scope="session")
def make_search() -> Callable[..., Search]:
    return search


def search(
    space: str,
    images: int,
    *,
    batch: int,
    size: int,
    device: str = "cpu",
    engine: str = "fast",
    graphs: bool = False,
    **sizes: int,
) -> Search:
    """A first-order search over so many random images for the weights and as many for alpha; `sizes` are settings."""
    method = get_method("darts-1st")
    chosen = {**sizes, "batch_size": batch}
    settings, _ = resolve(method.options, {**method.layers(get_space(space)), "benchmark": chosen})
    loaders = [
        Loader(
            torch.randint(0, 256, (images, 3, size, size), dtype=torch.uint8),
            torch.arange(images) % 10,
            batch_size=batch,
            seed=0,
            purpose=split,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            augment=Augment(crop=4, flip=True),
            device=device,
        )
        for split in ("weights", "alpha")
    ]
    searched = get_space(space, without=method.removes(space))
    where: dict[str, Any] = {"device": device, "engine": engine, "graphs": graphs}
    return Search(searched, method, *loaders, classes=10, in_channels=3, seed=0, settings=settings, **where)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # glibc's malloc.h


@pytest.fixture(scope="session")
def fresh_memory() -> Callable[[], Any]:
    return as_glibc_does


@contextmanager
def as_glibc_does() -> Iterator[None]:
    """Large blocks come from the system and go back to it, as in a process that the fast engine was never used in.

    There glibc has raised both thresholds by the first blocks that were freed, as far as it does: to 32 and 64 MB.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    for parameter, value in ((M_MMAP_THRESHOLD, 32 << 20), (M_MMAP_MAX, 65536), (M_TRIM_THRESHOLD, 64 << 20)):
        mallopt(parameter, value)
    ctypes.CDLL(None).malloc_trim(0)
    try:
        yield
    finally:
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)):
            mallopt(parameter, value)


PEAK = """
import importlib.util, json, sys, torch
from pathlib import Path

spec = importlib.util.spec_from_file_location("steps", sys.argv[1])
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)
arguments = json.loads(sys.argv[2])
torch.set_num_threads(arguments.pop("threads"))
# The libraries are loaded, and the kernels, before the memory of a pass is counted.
small = {**arguments, "batch": 2, "channels": 4, "cells": 1 if arguments["space"] == "nats-tss" else 3, "size": 8}
steps.step(**small)()
take = steps.step(**arguments)

def highest():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

Path("/proc/self/clear_refs").write_text("5")  # it is what is resident now
before = highest()
for _ in range(2):
    take()
print(highest() - before)
"""


@pytest.fixture(scope="session")
def peak_megabytes() -> Callable[..., float]:
    """How far two steps raise the largest resident size of a process of their own, where Linux's /proc tells it.

    Not `getrusage`: its maximum is handed down from the process that started this one, which may be much larger.
    """

    def measure(**arguments: Any) -> float:
        arguments["threads"] = torch.get_num_threads()
        command = [sys.executable, "-c", PEAK, str(Path(__file__)), json.dumps(arguments)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024

    return measure


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("engines")
    group.addoption("--engine-rounds", type=int, default=5, help="interleaved rounds of each engine (default 5)")
    group.addoption(
        "--engine-threads", type=int, default=0, help="torch's threads (default: what OMP_NUM_THREADS says)"
    )

    group.addoption(
        "--device", choices=["cpu", "cuda"], default="cpu", help="what the engines are timed on (default cpu)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A GPU has benchmarks of its own."""
    device = config.getoption("--device")
    chosen = [item for item in items if (item.path.name == "test_cuda.py") == (device == "cuda")]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--device") == "cuda" and not torch.cuda.is_available():
        terminalreporter.write_line("--device cuda: there is no GPU here that torch can use, nothing was timed")


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--engine-rounds")


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.config.getoption("--engine-threads") or before)
    yield
    torch.set_num_threads(before)
