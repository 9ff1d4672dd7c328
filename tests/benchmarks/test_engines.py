"""The fast engine beside the reference: time and memory of a step, and what the loop adds to it. Run by `tox -e bench`.

A step is the weights' gradient and alpha's first-order gradient. Engines take turns within a process, so that a busy
machine slows both. `extra_info` (in `--benchmark-json`) has the medians in seconds, their ratio and peaks in MB.
The whole sizes want `--engine-threads 2` or more, and for the DARTS space at batch 64 some 12 GB of memory.
"""

from collections import defaultdict
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture

from methods import Search

pytestmark = pytest.mark.usefixtures("threads")

WHOLE = {"nats-tss": {"channels": 16, "cells": 5, "size": 32}, "darts": {"channels": 16, "cells": 8, "size": 32}}
SMALL = {"nats-tss": {"channels": 8, "cells": 1, "size": 16}, "darts": {"channels": 8, "cells": 3, "size": 16}}


def seconds(take: Callable[[], Any]) -> float:
    start = perf_counter()
    take()
    return perf_counter() - start


def interleaved(benchmark: BenchmarkFixture, takes: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, all in turn a round, after a round that does not count. pytest-benchmark has the last."""
    found: dict[str, list[float]] = defaultdict(list)
    last = list(takes)[-1]

    def others() -> None:
        for name in takes:
            if name != last:
                found[name].append(seconds(takes[name]))

    def timed() -> None:
        found[last].append(seconds(takes[last]))

    benchmark.pedantic(timed, setup=others, rounds=rounds, warmup_rounds=1)
    return {name: median(times[-rounds:]) for name, times in found.items()}


@pytest.mark.parametrize(
    ("space", "batch"),
    [
        ("nats-tss", 16),
        ("nats-tss", 64),
        ("darts", 16),
        pytest.param("darts", 64, marks=pytest.mark.slow),  # half a minute and 10 GB for each step of the reference
    ],
)
def test_a_whole_step(
    benchmark: BenchmarkFixture,
    make_step: Any,
    fresh_memory: Any,
    peak_megabytes: Any,
    rounds: int,
    space: str,
    batch: int,
) -> None:
    """The reference twice: in memory as glibc hands it out, and as the fast engine has the process keep it."""
    compare(benchmark, make_step, fresh_memory, peak_megabytes, rounds, space=space, batch=batch, **WHOLE[space])


@pytest.mark.parametrize("space", sorted(SMALL))
def test_a_small_step(
    benchmark: BenchmarkFixture, make_step: Any, fresh_memory: Any, peak_megabytes: Any, rounds: int, space: str
) -> None:
    """The same in seconds, where Python's share is large."""
    compare(benchmark, make_step, fresh_memory, peak_megabytes, rounds, space=space, batch=16, **SMALL[space])


def compare(
    benchmark: BenchmarkFixture, make_step: Any, fresh_memory: Any, peak_megabytes: Any, rounds: int, **sizes: Any
) -> None:
    benchmark.group = "step " + " ".join(f"{name} {value}" for name, value in sizes.items())
    fast, reference = (make_step(engine=engine, **sizes) for engine in ("fast", "reference"))

    fast()  # from now on the process keeps its memory
    found: dict[str, list[float]] = defaultdict(list)

    def others() -> None:
        with fresh_memory():
            reference()  # gives back what the process has kept
            found["reference"].append(seconds(reference))
        reference()
        found["reference, memory kept"].append(seconds(reference))
        fast()

    def timed() -> None:
        found["fast"].append(seconds(fast))

    benchmark.pedantic(timed, setup=others, rounds=rounds, warmup_rounds=1)
    times = {name: median(each[-rounds:]) for name, each in found.items()}
    peaks = {engine: peak_megabytes(engine=engine, **sizes) for engine in ("reference", "fast")}
    benchmark.extra_info.update(
        {f"seconds, {name}": value for name, value in times.items()}
        | {f"times as long, {name}": value / times["fast"] for name, value in times.items() if name != "fast"}
        | {f"peak MB, {engine}": peak for engine, peak in peaks.items()}
        | {"share of the peak": peaks["fast"] / peaks["reference"], "threads": torch.get_num_threads()}
    )


SERIES = {
    "cells": {"nats-tss": [1, 2, 3], "darts": [3, 5, 8]},
    "channels": {"nats-tss": [4, 8, 16, 32], "darts": [4, 8, 16]},
    "batch": {"nats-tss": [4, 8, 16, 32], "darts": [4, 8, 16]},
}


@pytest.mark.parametrize("over", sorted(SERIES))
@pytest.mark.parametrize("space", sorted(SMALL))
def test_growth(
    benchmark: BenchmarkFixture, make_step: Any, peak_megabytes: Any, rounds: int, space: str, over: str
) -> None:
    """Time and memory of the fast engine against the number of cells, of channels, of images."""
    benchmark.group = f"growth {space}"
    sizes = [{"space": space, "batch": 8, **SMALL[space], over: value} for value in SERIES[over][space]]
    takes = {f"{each[over]} {over}": make_step(engine="fast", **each) for each in sizes}
    times = interleaved(benchmark, takes, rounds)
    benchmark.extra_info.update(
        {f"seconds, {name}": value for name, value in times.items()}
        | {f"peak MB, {each[over]} {over}": peak_megabytes(engine="fast", **each) for each in sizes}
    )


@pytest.mark.parametrize("sizes", [SMALL, pytest.param(WHOLE, marks=pytest.mark.slow)], ids=["small", "whole"])
@pytest.mark.parametrize("space", sorted(SMALL))
def test_what_the_loop_adds(
    benchmark: BenchmarkFixture,
    rounds: int,
    make_search: Callable[..., Search],
    space: str,
    sizes: dict[str, dict[str, int]],
) -> None:
    """A step of a search (batches, augmentation, optimisers, totals) beside the two passes that it makes."""
    benchmark.group = f"loop {space}"
    batch = 64 if sizes is WHOLE else 16
    count = batch * (2 * rounds + 4)  # so that no epoch ends, which would measure accuracies
    search = make_search(space, count, **sizes[space], batch=batch, epochs=100)
    net, alpha = search.learner.net, search.learner.alpha()  # type: ignore[attr-defined]
    given = [split.batch(0, 0) for split in (search.setup.train, search.setup.valid)]
    parameters = list(net.parameters())

    def passes() -> None:
        (x, y), (u, v) = given
        weights = {kind: a.detach().clone().requires_grad_() for kind, a in alpha.items()}
        relaxed = {kind: a.softmax(-1) for kind, a in weights.items()}
        torch.autograd.grad(F.cross_entropy(net(u, relaxed), v), list(weights.values()))
        fixed = {kind: a.detach() for kind, a in relaxed.items()}
        torch.autograd.grad(F.cross_entropy(net(x, fixed), y), parameters, allow_unused=True)

    times = interleaved(benchmark, {"passes": passes, "step": search.advance}, rounds)
    benchmark.extra_info.update(
        {f"seconds, {name}": value for name, value in times.items()}
        | {"overhead": times["step"] / times["passes"] - 1, "threads": torch.get_num_threads()}
    )
