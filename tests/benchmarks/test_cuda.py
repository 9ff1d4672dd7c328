"""The fast engine beside the reference on a GPU. Run by `tox -e bench -- --device cuda`.

In `extra_info` (in `--benchmark-json`): milliseconds a step (weights' gradient and alpha's), ratios, peaks in MB, and
what an epoch of the papers' CIFAR-10 search takes.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from methods import Search
from spaces.engine import fused_cell, torch_kernels
from spaces.engine.triton_kernels import triton_kernels
from suite.environment import engine_name, make_deterministic

SIZES = {"nats-tss": {"channels": 16, "cells": 5, "size": 32}, "darts": {"channels": 16, "cells": 8, "size": 32}}
HALF = 25_000  # images of CIFAR-10 for the weights, and as many for alpha
STEPS = 20  # of a timing, so that the host's turn is part of it and the clock's is not


@pytest.fixture(scope="module", autouse=True)
def gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here that torch can use: nothing was timed")
    make_deterministic(torch.get_num_threads())


@pytest.fixture(params=[False, True], ids=["fp32", "tf32"])
def tf32(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether convolutions and products may round fp32 to TF32, as they may not in a trial."""
    libraries = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [library.allow_tf32 for library in libraries]
    for library in libraries:
        library.allow_tf32 = request.param
    yield request.param
    for library, allowed in zip(libraries, before, strict=True):
        library.allow_tf32 = allowed


def milliseconds(take: Callable[[], Any], steps: int = STEPS) -> float:
    """Of one of many steps, by the GPU's own clock: from an idle GPU to an idle GPU."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    for _ in range(steps):
        take()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / steps


def peak(take: Callable[[], Any]) -> float:
    """MB that a step adds to what is allocated before it."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    take()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def told() -> dict[str, str]:
    return {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "convolutions": "TF32" if torch.backends.cudnn.allow_tf32 else "fp32",
        "kernels": engine_name("fast", "fp32", "cuda"),
    }


def with_kernels(family: Any, take: Callable[[], None]) -> Callable[[], None]:
    """The step by one family of kernels."""

    def taken() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused_cell, "kernels_for", lambda x: family)
            take()

    return taken


@pytest.mark.parametrize("batch", [16, 64])
@pytest.mark.parametrize("space", sorted(SIZES))
def test_a_step(benchmark: BenchmarkFixture, make_step: Any, rounds: int, tf32: bool, space: str, batch: int) -> None:
    """The reference, in fp32 and bf16, the fast engine in plain torch, and with Triton kernels if they are trusted.

    Kernel by kernel, and from CUDA graphs.
    """
    benchmark.group = f"step {space} batch {batch} {'tf32' if tf32 else 'fp32'}"
    sizes = {"space": space, "batch": batch, "device": "cuda", **SIZES[space]}
    takes: dict[str, Callable[[], None]] = {}
    for graphs in (False, True):
        made = partial(make_step, graphs=graphs, **sizes)
        each = {
            "reference": made(engine="reference"),
            "reference, bf16": made(engine="reference", precision="bf16"),
            "fast, plain torch": with_kernels(torch_kernels, made(engine="fast")),
        }
        if not isinstance(triton_kernels.library(), str):
            each["fast, Triton"] = with_kernels(triton_kernels, made(engine="fast"))
        takes |= {f"{name}, graphs" if graphs else name: take for name, take in each.items()}
    found: dict[str, list[float]] = {name: [] for name in takes}

    def round_of_all() -> None:
        for name, take in takes.items():
            found[name].append(milliseconds(take))

    benchmark.pedantic(round_of_all, rounds=rounds, warmup_rounds=1)  # which compiles, and fills the allocator
    times = {name: median(each[-rounds:]) for name, each in found.items()}
    benchmark.extra_info.update(
        told()
        | {f"ms, {name}": value for name, value in times.items()}
        | {f"reference : {name}": times["reference"] / value for name, value in times.items() if name != "reference"}
        # That of a graph is there before its steps.
        | {f"peak MB, {name}": peak(take) for name, take in takes.items() if not name.endswith("graphs")}
    )


@pytest.mark.parametrize("graphs", [False, True], ids=["eager", "graphs"])
@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("space", sorted(SIZES))
def test_an_epoch_of_the_papers_search(
    benchmark: BenchmarkFixture,
    rounds: int,
    make_search: Callable[..., Search],
    space: str,
    engine: str,
    graphs: bool,
) -> None:
    """Whole steps of a first-order search, 25,000 images for the weights and 25,000 for alpha, batch 64, probes off.

    Epochs a second are told from the seconds of a step; what ends an epoch (accuracies) is not in them.
    """
    benchmark.group = f"epoch {space}"
    how = {"batch": 64, "epochs": 50, "device": "cuda", "engine": engine, "graphs": graphs}
    search = make_search(space, HALF, **SIZES[space], **how)
    for _ in range(4):  # as ever, and captured
        search.advance()
    found: list[float] = []
    benchmark.pedantic(lambda: found.append(milliseconds(search.advance)), rounds=rounds, warmup_rounds=1)
    step = median(found[-rounds:])
    benchmark.extra_info.update(
        told() | {"ms, step": step, "epochs a second": 1000 / (step * (HALF // 64)), "steps an epoch": HALF // 64}
    )
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
