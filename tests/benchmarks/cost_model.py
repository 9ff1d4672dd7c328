"""What each Triton kernel of a step should cost on a GPU, on paper: launches, bytes, FLOP, and the time they take.

Run as a script: prints a table in Markdown (`docs/performance.md`). It records the launches of a step at the size of a
paper's search and runs none of them. A measurement is to be held against it (`tests/benchmarks/test_cuda.py` profiles a
step by kernel).

A launch is taken to last as long as the slowest of three: the bytes that its threads load and store, from the nearest
cache; the distinct bytes among them, from the second-level cache, which holds a cell; and its arithmetic. Each is
taken to reach HALF of what an H100 has.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "spaces" / "engine"))

from ahead_of_time import KERNELS, of_space, recorded

HALF = 0.5
NEAR = 132 * 128 * 1.7e9  # bytes a second: 128 a cycle in each of 132 multiprocessors
FAR = 5.5e12  # of the second-level cache
FP32 = 67e12  # FLOP a second, a product and a sum being two
TENSOR = {"tf32x3": 400e12 / 3, "tf32": 400e12, "ieee": FP32}
LAUNCH = 1.5e-6  # seconds between kernels of a CUDA graph, and the least that a small one takes

SIZES = {"nats-tss": 5, "darts": 8}
BATCH = 64


@dataclass(frozen=True)
class Cost:
    """Of one launch, in elements of float32: loaded and stored by threads, the distinct ones, and multiply-adds."""

    near: float
    far: float
    tensor: float = 0.0  # multiply-adds of products
    plain: float = 0.0  # and others

    def seconds(self, precision: str) -> float:
        """The time of the launch."""
        arithmetic = 2 * self.tensor / TENSOR[precision] + 2 * self.plain / FP32
        return LAUNCH + max(4 * self.near / NEAR, 4 * self.far / FAR, arithmetic) / HALF


Arguments = Mapping[str, Any]
Grid = tuple[int, ...]


def of_sum(a: Arguments, grid: Grid) -> Cost:
    """Σ coefficient · term."""
    image = a["pixels"] * a["channels"]
    moved = image * (a["count"] + 1 + bool(a["ADDED"]))
    return Cost(moved, moved, plain=image * a["count"])


def of_reduction(a: Arguments, grid: Grid) -> Cost:
    """Σ g · term, the common factor read anew by every program."""
    image = a["pixels"] * a["channels"]
    return Cost(image * (a["count"] + grid[2]), image * (a["count"] + 1), plain=image * a["count"])


def taps_of(a: Arguments, grid: Grid, members: int) -> int:
    """The taps of all members' kernels."""
    return sum(int(row[0]) ** 2 for row in a["forms"][:members])


def of_dense(a: Arguments, grid: Grid) -> Cost:
    """Forward: x is read for every tap."""
    image, taps = a["pixels"] * a["channels"], taps_of(a, grid, grid[1])
    return Cost(image * (taps + grid[1]), image * (1 + grid[1]), tensor=image * taps * int(a["forms"][0][2]))


def of_dense_backward(a: Arguments, grid: Grid) -> Cost:
    """At x: g and y are read for every tap."""
    image, members = a["pixels"] * a["channels"], a["members"]
    taps, around = taps_of(a, grid, members), a["whole"] + 9 * a["means"]
    far = image * (2 * members + a["whole"] + a["means"] + 2)
    return Cost(image * (2 * taps + around + 2), far, image * taps * int(a["forms"][0][2]), image * around)


def of_dense_weights(a: Arguments, grid: Grid) -> Cost:
    """x, g and y are read by a program for each tap, from the second-level cache."""
    image, taps = a["pixels"] * a["channels"], taps_of(a, grid, grid[1] // 9)
    return Cost(3 * image * taps, 3 * image * taps, tensor=image * taps * int(a["forms"][0][2]))


def of_separable(a: Arguments, grid: Grid) -> Cost:
    """Depthwise for every tap, then pointwise; as is its gradient at the pointwise kernel."""
    image, members = a["pixels"] * a["channels"], grid[1]
    taps = taps_of(a, grid, members)
    return Cost(image * (taps + 2 * members), 3 * image * members, image * members * a["channels"], image * taps)


def of_pointwise_backward(a: Arguments, grid: Grid) -> Cost:
    """Reads g and y, writes one image, for each member."""
    moved = 3 * a["pixels"] * a["channels"] * grid[1]
    return Cost(moved, moved, tensor=moved / 3 * a["channels"])


def of_depthwise_backward(a: Arguments, grid: Grid, images: int = 2) -> Cost:
    """Reads the gradient for every tap of every member."""
    image = a["pixels"] * a["channels"]
    members = len(a["order"]) if "order" in a else grid[2]
    taps = taps_of(a, grid, members)
    return Cost(image * (taps + images * grid[2]), image * (members + images * grid[2]), plain=image * taps)


def of_depthwise_weights(a: Arguments, grid: Grid) -> Cost:
    """Reads x and the gradient for every tap."""
    image, taps = a["pixels"] * a["channels"], taps_of(a, grid, grid[2])
    return Cost(2 * image * taps, 2 * image * grid[2], plain=image * taps)


def of_pool(a: Arguments, grid: Grid) -> Cost:
    """Nine loads for each result; back as many of each of some four gradients."""
    image, back = a["pixels"] * a["channels"] * grid[2], 4 if "targets" in a else 1
    return Cost(image * (9 * back + 1), image * (back + 1))


def small(a: Arguments, grid: Grid) -> Cost:
    """Statistics: a launch."""
    return Cost(0, 0)


COSTS: dict[str, Callable[[Arguments, Grid], Cost]] = {
    "combine": of_sum,
    "reduce": of_reduction,
    "dense": of_dense,
    "dense_backward": of_dense_backward,
    "dense_weights": of_dense_weights,
    "separable": of_separable,
    "pointwise_backward": of_pointwise_backward,
    "pointwise_weights": of_separable,
    "depthwise_backward": of_depthwise_backward,
    "depthwise_backward_each": of_depthwise_backward,
    "depthwise_weights": of_depthwise_weights,
    "pool": of_pool,
    "pool_backward": of_pool,
}


def main() -> None:
    for space, cells in SIZES.items():
        rows: dict[str, list[float]] = {}
        for name, values, _, grid in recorded(partial(of_space, space, cells, BATCH)):
            arguments = dict(zip(KERNELS[name].arg_names, values, strict=True))
            cost = COSTS.get(name, small)(arguments, grid)
            seconds = cost.seconds(arguments.get("PRECISION", "ieee"))
            row = rows.setdefault(name, [0, 0, 0, 0, 0])
            flop = 2 * (cost.tensor + cost.plain)
            for place, more in enumerate((1, 4 * cost.near / 1e9, 4 * cost.far / 1e9, flop / 1e9, 1e3 * seconds)):
                row[place] += more
        print(f"\n`{space}`, 16 channels, cells {cells}, batch {BATCH}:\n")
        print("| kernel | launches | GB near | GB far | GFLOP | ms |\n| --- | --- | --- | --- | --- | --- |")
        for name, row in sorted(rows.items(), key=lambda item: -item[1][-1]):
            print("|", " | ".join([f"`{name}`", f"{row[0]:.0f}", *(f"{each:.2f}" for each in row[1:])]), "|")
        total = [sum(row[place] for row in rows.values()) for place in range(5)]
        print("|", " | ".join(["all", f"{total[0]:.0f}", *(f"{each:.2f}" for each in total[1:])]), "|")


if __name__ == "__main__":
    main()
