"""How long a step takes, by each engine, on one space of each family of supernets."""

from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter
from typing import Any

import torch

from methods import get_method
from methods.search.settings import resolve
from spaces import IMAGE_SPACES, get_space
from spaces.base import Space
from spaces.engine import kernel_choice
from spaces.engine.self_test.examples import fewest_cells
from spaces.engine.self_test.precision import in_precision
from spaces.engine.ways import Way, using, ways
from suite.doctor.step import StepSize, make_step

SECONDS = 20.0  # of all timings together, warming up left out
STEPS = 20  # of one timing, at most
WARM_UP = 3  # steps before the clock starts: they compile, and a pass is captured as a graph in the second


def families() -> list[str]:
    """The first registered space of each notation."""
    first: dict[type, str] = {}
    for name in IMAGE_SPACES:
        first.setdefault(get_space(name).notation, name)
    return list(first.values())


def size_of(space: Space, device: str) -> StepSize:
    """On a GPU that of a search; on a CPU a small one."""
    if device == "cpu":
        return StepSize(channels=8, cells=fewest_cells(space), batch=16, side=16)
    method = get_method("darts-1st")
    usual, _ = resolve(method.options, method.layers(space))
    return StepSize(usual.channels, usual.cells, usual.batch_size, side=32)


def timings(device: torch.device, right: Callable[[Way], bool], tell: Callable[[str], object]) -> list[dict[str, Any]]:
    """A row for each family, each way that is `right` in fp32, and each manner of launching: median ms of a step."""
    cases = list(_cases(device, right))
    rows = []
    for space, way, graphs in cases:
        tell(f"timing {space}, {way}")
        size = size_of(get_space(space), device.type)
        with using(way), in_precision("fp32"):
            step = make_step(space, way.engine, size, device=device.type, graphs=graphs)
            warm_up = WARM_UP if device.type == "cuda" else 1
            found = median_milliseconds(step, device, SECONDS / len(cases), warm_up=warm_up)
        how = "CUDA graphs" if graphs else "kernel by kernel" if device.type == "cuda" else ""
        rows.append({"space": space, "engine": str(way), "launched": how, "ms": round(found, 2), **vars(size)})
    return rows


def _cases(device: torch.device, right: Callable[[Way], bool]) -> Iterator[tuple[str, Way, bool]]:
    for space in families():
        for way in reversed(ways(device.type, "fp32")):
            if not kernel_choice.obstacle(way, device, torch.float32, 8) and right(way):
                yield from ((space, way, graphs) for graphs in ((False, True) if device.type == "cuda" else (False,)))


def median_milliseconds(
    step: Callable[[], Any], device: torch.device, seconds: float, steps: int = STEPS, warm_up: int = WARM_UP
) -> float:
    """The median of at most `steps` steps or `seconds`, from an idle device to an idle device."""
    for _ in range(warm_up):
        step()
    found: list[float] = []
    end = perf_counter() + seconds
    while not found or (len(found) < steps and perf_counter() < end):
        _wait(device)
        start = perf_counter()
        step()
        _wait(device)
        found.append(1000 * (perf_counter() - start))
    return median(found)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
