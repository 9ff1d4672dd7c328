"""A family of kernels on a device against plain torch in float64 on the CPU, case by case."""

from collections.abc import Iterator

import torch
from torch import Tensor

from spaces.cells.precision import Precision
from spaces.engine import torch_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.self_test.findings import Finding, finding
from spaces.engine.self_test.inputs import SMALL, Case, Size
from spaces.engine.self_test.kernel_cases import cases
from spaces.engine.self_test.precision import in_precision
from spaces.engine.self_test.tolerances import PIECE, error

WIDE: Size = (3, 9, 7, 80)
"""More channels than a tile has."""

LARGE: Size = (5, 96, 96, 16)
"""More pixels than a program of a GPU takes at once: it sums over several tiles."""


SIZES = (SMALL, WIDE, LARGE)


def kernel_findings(kernels: Kernels, device: torch.device, precision: Precision) -> Iterator[Finding]:
    """A finding for each case: small images, and where a GPU divides its work wide and large ones, too."""
    for size in SIZES[:1] if device.type == "cpu" else SIZES:
        yield from _of_size(kernels, device, precision, size)


def _of_size(kernels: Kernels, device: torch.device, precision: Precision, size: Size) -> Iterator[Finding]:
    exact = cases(torch.device("cpu"), torch.float64, torch.float32, size)
    for (name, case), (_, same) in zip(cases(device, torch.float32, size=size), exact, strict=True):

        def of_case(case: Case = case, same: Case = same) -> float:
            with in_precision(precision):
                found = case(kernels)
            return error(found, same(torch_kernels), precision)

        yield finding(f"kernel {name}", PIECE[precision], of_case)


def disagreement(kernels: Kernels, device: torch.device) -> str:
    """The name of the first case whose results on `device` are wrong in float32; "" if all are right."""
    found = (each.what for each in kernel_findings(kernels, device, "fp32") if not each.right)
    return next(found, "").removeprefix("kernel ")


def compared(
    kernels: Kernels, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, list[Tensor], list[Tensor]]]:
    """For every case: the function's name, the results of `kernels` on `device`, and those of float64 on the CPU.

    Both get the same numbers, rounded to `dtype`. TF32 is off meanwhile.
    """
    exact = cases(torch.device("cpu"), torch.float64, rounded=dtype)
    for (name, case), (_, same) in zip(cases(device, dtype), exact, strict=True):
        with in_precision("fp32"):
            found = case(kernels)
        yield name, found, same(torch_kernels)
