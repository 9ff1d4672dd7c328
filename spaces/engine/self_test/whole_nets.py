"""Whole networks on a device, by one way of computing, against the reference in float64 on the CPU."""

from collections.abc import Iterator
from functools import partial
from statistics import median

import torch

from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision
from spaces.cells.supernet import Supernet
from spaces.engine.self_test.examples import Example, examples
from spaces.engine.self_test.findings import Finding, finding, worst
from spaces.engine.self_test.tolerances import AS_FLOAT32, NETWORK, error, spread

ACCURACY = "accuracy beside float32 on the CPU"
PASSES: dict[Engine, tuple[tuple[Engine, bool], ...]] = {
    "fast": (("fast", True), ("fast", False)),
    "reference": (("reference", True), ("reference", False), ("fast", True)),
}
"""Of each engine: the engine of the supernet, and whether it is in training.

The reference also computes the cells of supernets whose engine is `fast`, where no kernels are right; images then lie
in memory as the fast engine has them.
"""


def net_findings(
    engine: Engine, device: torch.device, precision: Precision, *, as_float32: bool = False
) -> Iterator[Finding]:
    """A finding for each supernet, and for each derived network if the reference computes, which trains those.

    `as_float32`: and one for how much less accurate all of it is than float32 on the CPU.
    """
    ratios: list[float] = []
    for example in examples():
        if isinstance(example.net, Supernet) or (engine == "reference" and precision != "bf16"):
            of_example = partial(_error, example, engine, device, precision, ratios if as_float32 else None)
            yield finding(example.name, NETWORK[precision], of_example)
    if ratios:
        yield Finding(ACCURACY, median(ratios), AS_FLOAT32)


def _error(
    example: Example, engine: Engine, device: torch.device, precision: Precision, ratios: list[float] | None
) -> float:
    errors = []
    for chosen, training in PASSES[engine]:
        exact = example.exact(training)
        found = example.results(device, torch.float32, training=training, engine=chosen, precision=precision)
        errors.append(error(found, exact, precision))
        if ratios is not None:
            ratios.append(spread(found, exact) / spread(example.in_float32(training), exact))
    return worst(errors)
