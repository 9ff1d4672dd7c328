"""Steps and searches on a GPU, each case capped by time and told as it ends. Run by `tox -e bench -- --device cuda`.

All of it fits five minutes. A line a case; the same numbers are in `extra_info` (`--benchmark-json FILE`).
"""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from spaces.cells.precision import Precision
from spaces.engine import kernel_choice
from spaces.engine.self_test.precision import in_precision
from spaces.engine.ways import Way, using, ways
from suite.doctor.timing import WARM_UP, median_milliseconds
from suite.environment import device_name, make_deterministic, own_version

SIZES = {
    "nats-tss": {"channels": 16, "cells": 5, "size": 32, "batch": 64},
    "darts": {"channels": 16, "cells": 8, "size": 32, "batch": 64},
}
HALF = 25_000  # images of CIFAR-10 for the weights, and as many for alpha
SECONDS, STEPS = 2.0, 50  # of one timing, whichever ends it first
TRIALS = 4  # on one GPU at once
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32")

Say = Callable[[str], None]


@pytest.fixture
def gpu() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here that torch can use: nothing was timed")
    make_deterministic(torch.get_num_threads())
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Prints a line now, whatever pytest captures."""

    def print_now(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)

    return print_now


def peak_megabytes(take: Callable[[], Any]) -> float:
    """MB that a step adds to what is allocated before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    take()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def kernels_of(take: Callable[[], Any]) -> dict[str, tuple[int, float]]:
    """The kernels that a step runs on the GPU: by name, how many and how many milliseconds, the slowest first."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        take()
        torch.cuda.synchronize()
    # The host's operations have rows of their own, with the time of their kernels once more.
    rows = [row for row in found.key_averages() if row.device_type == DeviceType.CUDA]
    rows.sort(key=lambda row: -row.self_device_time_total)
    return {row.key: (row.count, row.self_device_time_total / 1000) for row in rows}


def cases() -> list[Any]:
    """Space, precision, way, and whether passes are replayed from graphs."""
    found = [
        (space, precision, way, graphs)
        for space, precision, graphs in product(SIZES, PRECISIONS, (False, True))
        for way in ways("cuda", precision)
    ]
    return [pytest.param(*case, id=" ".join(map(str, case[:3])) + " graphs" * case[3]) for case in found]


def skip_unless_it_computes(way: Way, gpu: torch.device) -> None:
    if reason := kernel_choice.obstacle(way, gpu, torch.float32, 16):
        pytest.skip(reason)


@pytest.mark.parametrize(("space", "precision", "way", "graphs"), cases())
def test_a_step(
    benchmark: BenchmarkFixture,
    make_step: Any,
    gpu: torch.device,
    say: Say,
    space: str,
    precision: Precision,
    way: Way,
    graphs: bool,
) -> None:
    """A weight gradient and an alpha gradient: median ms, kernels, MB, and the seconds of the first, which compiles."""
    skip_unless_it_computes(way, gpu)
    with ExitStack() as stack:
        stack.enter_context(using(way))
        stack.enter_context(in_precision(precision))
        take = make_step(space=space, engine=way.engine, device="cuda", graphs=graphs, **SIZES[space])
        start = perf_counter()
        take()
        torch.cuda.synchronize()
        found: dict[str, Any] = {"first pass, s": round(perf_counter() - start, 1)}
        benchmark.pedantic(
            lambda: found.update({"ms": round(median_milliseconds(take, gpu, SECONDS, STEPS, WARM_UP), 2)}), rounds=1
        )
        found["kernels"] = sum(count for count, _ in kernels_of(take).values())
        found["MB"] = round(peak_megabytes(take))
    how = "graphs" if graphs else "eager"
    say(f"{space}, {precision}, {way}, {how}: " + ", ".join(f"{value} {name}" for name, value in found.items()))
    benchmark.extra_info.update({**found, "device": device_name("cuda"), "version": own_version()})


@pytest.mark.parametrize("space", SIZES)
def test_where_a_steps_time_goes(
    benchmark: BenchmarkFixture, make_step: Any, gpu: torch.device, say: Say, space: str
) -> None:
    """By kernel, of the way that is chosen here: the 25 that take longest."""
    take = make_step(space=space, engine="fast", device="cuda", **SIZES[space])
    take()
    found: dict[str, tuple[int, float]] = {}
    benchmark.pedantic(lambda: found.update(kernels_of(take)), rounds=1)
    for name, (count, ms) in list(found.items())[:25]:
        say(f"{space}: {ms:8.3f} ms {count:6} x {name[:80]}")
    benchmark.extra_info.update({name: list(value) for name, value in found.items()})


@pytest.mark.parametrize("space", SIZES)
def test_an_epoch_of_the_papers_search(
    benchmark: BenchmarkFixture, make_search: Any, gpu: torch.device, say: Say, space: str
) -> None:
    """Whole steps from graphs of a first-order search, 25,000 images for each split, batch 64, probes off.

    The seconds of an epoch are told from those of a step; what ends an epoch (accuracies) is not in them.
    """
    search = make_search(space, HALF, epochs=50, device="cuda", graphs=True, **SIZES[space])
    found: list[float] = []
    benchmark.pedantic(
        lambda: found.append(median_milliseconds(search.advance, gpu, 2 * SECONDS, 10 * STEPS, 2 * WARM_UP)), rounds=1
    )
    seconds = found[0] * (HALF // SIZES[space]["batch"]) / 1000
    say(f"{space}, a search from graphs: {found[0]:.2f} ms a step, {seconds:.1f} s an epoch")
    benchmark.extra_info.update({"ms": found[0], "s an epoch": seconds})


TRIAL = """
import importlib.util, json, sys
from time import perf_counter

import torch
from suite.environment import make_deterministic

make_deterministic(1)
spec = importlib.util.spec_from_file_location("steps", sys.argv[1])
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)
how = json.loads(sys.argv[2])
seconds, space = how.pop("seconds"), how.pop("space")
search = steps.search(space, 5_000, epochs=50, **how)
wait = torch.cuda.synchronize if how["device"] == "cuda" else lambda: None
for _ in range(6):
    search.advance()
wait()
print("ready", flush=True)
input()
start, taken = perf_counter(), 0
while perf_counter() - start < seconds:
    search.advance()
    wait()
    taken += 1
print(taken / (perf_counter() - start))
"""


def steps_a_second(trials: int, **how: Any) -> float:
    """The steps that so many processes take together, once all of them are warm."""
    command = [sys.executable, "-c", TRIAL, str(Path(__file__).with_name("conftest.py")), json.dumps(how)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(trials)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return sum(float(process.communicate()[0]) for process in started)


def test_trials_at_once(benchmark: BenchmarkFixture, gpu: torch.device, say: Say) -> None:
    """Processes on one GPU, from graphs, against one after the other."""
    how = {"space": "nats-tss", "seconds": 2 * SECONDS, "device": "cuda", "graphs": True, **SIZES["nats-tss"]}
    found: dict[str, float] = {}

    def measure() -> None:
        found.update({"in turn": steps_a_second(1, **how), "at once": steps_a_second(TRIALS, **how)})

    benchmark.pedantic(measure, rounds=1)
    ratio = found["at once"] / found["in turn"]
    say(f"{TRIALS} trials: {found['at once']:.1f} steps a second at once, {found['in turn']:.1f} in turn: {ratio:.2f}")
    benchmark.extra_info.update({**found, "ratio": ratio})
