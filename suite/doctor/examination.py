"""The self-test of every way of computing on a device, in every precision; outcomes are renewed in the user's cache."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from spaces.cells.precision import Precision
from spaces.engine import kernel_choice, trust
from spaces.engine.self_test.checks import checks
from spaces.engine.self_test.findings import Finding
from spaces.engine.self_test.precision import in_precision
from spaces.engine.self_test.whole_nets import ACCURACY
from spaces.engine.ways import REFERENCE, Way, ways

PRECISIONS: dict[str, tuple[Precision, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}
"""Device type -> the precisions that it offers: a CPU has no TF32."""

CHANNELS = 16

RIGHT, WRONG, FAILS, INEXACT = "right", "WRONG", "FAILS", "not used"


@dataclass(frozen=True)
class Examined:
    """The worst finding of a piece or a network, by one way in one precision."""

    way: Way
    precision: Precision
    finding: Finding

    @property
    def verdict(self) -> str:
        """Right, wrong, fails; or not used, for float32 by TF32 that is right but less exact than float32."""
        if self.finding.right:
            return RIGHT
        if self.finding.failed:
            return FAILS
        return INEXACT if self.finding.what == ACCURACY else WRONG


def examine(device: torch.device, tell: Callable[[str], object]) -> list[Examined]:
    """Everything that the self-test asks, now; `tell` is told what is being computed."""
    kernel_choice.forget()
    found = []
    for precision in PRECISIONS[device.type]:
        for way in reversed(ways(device.type, precision)):  # the reference first
            if kernel_choice.obstacle(way, device, torch.float32, CHANNELS):
                continue
            tell(f"{way}, {precision}")
            worst = list(_worst(checks(way, device, precision)))
            trust.conclude(way, device, precision, worst)
            found += [Examined(way, precision, finding) for finding in worst]
    return found


def _worst(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Of the findings of one name, the worst."""
    kept: dict[str, Finding] = {}
    for finding in findings:
        before = kept.get(finding.what)
        if before is None or (before.right and not finding.error <= before.error):
            kept[finding.what] = finding
    yield from kept.values()


def in_use(device: torch.device) -> dict[Precision, str]:
    """What computes the fast engine's supernets now, by precision, and why nothing faster does."""
    found: dict[Precision, str] = {}
    for precision in PRECISIONS[device.type]:
        if why := trust.why_not(REFERENCE, device, precision):
            found[precision] = f"nothing: {why}"
        elif precision == "bf16":
            found[precision] = "the reference"
        else:
            with in_precision(precision):
                found[precision] = kernel_choice.kernels_in_words(device.type, torch.float32, CHANNELS)
    return found
