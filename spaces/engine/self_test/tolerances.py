"""What error the self-test allows, in each precision, and why. All tolerances of the self-test are here.

Errors are relative. Float32: the worst element of any result, beside the largest element of that result. A sound CPU
stays within 1e-6 in a piece and 3e-5 in a network; TF32 where float32 was asked for is off by 1e-3, a wrong kernel by
more. The numbers of networks are chosen so that no ReLU and no maximum is near a tie (`margins`), where float32 might
fall on the other side.

In TF32 and bf16 some do fall there, and a single element proves nothing: the error is the root mean square of each
result beside that of what it should be, and of these over all results of a pass. An operand is rounded by r = 2^-11 in
TF32 and 2^-8 in bf16, and a share of about r of a ReLU's elements falls on the other side, which is an error of √r. On
a CPU (TF32 emulated by rounding every operand of a product) pieces stay within 0.014 and 0.11, networks within 0.045
and 0.21.

The results are outputs, gradients and statistics. One that is smaller than a thousandth of the largest of its pass is
set beside that: the gradient of a shift in front of a batch norm is zero but for rounding.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Final

import torch
from torch import Tensor

from spaces.cells.precision import Precision

PIECE: Final[dict[Precision, float]] = {"fp32": 1e-5, "tf32": 3 * sqrt(2**-11), "bf16": 3 * sqrt(2**-8)}
NETWORK: Final[dict[Precision, float]] = {"fp32": 2e-4, "tf32": 0.1, "bf16": 0.5}

AS_FLOAT32: Final = 1.3
"""Float32 by three TF32 products counts as float32 up to so many times the error of the CPU's reference in float32.

That is the median, over all supernets in training and in evaluation, of the ratio of two root mean squares (`spread`).
Emulated on a CPU it is 1.2; plain TF32 has 20,000.
"""

SMALL: Final = 1e-3


def error(found: Sequence[Tensor], exact: Sequence[Tensor], precision: Precision) -> float:
    """The error of the results of one pass, of which `exact` are in float64 on the CPU. NaN if one of them is NaN."""
    if precision == "fp32":
        return float(torch.stack([each.max() for each in _relative(found, exact)]).max())
    sizes = [value.square().mean().sqrt() for value in exact]
    least = SMALL * max(sizes)
    squares = [
        ((one.detach().cpu().double() - value) / max(size, least, _LEAST)).square().mean()
        for one, value, size in zip(found, exact, sizes, strict=True)
    ]
    return float(torch.stack(squares).mean().sqrt())


def spread(found: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """The root mean square over all elements of a pass, each beside the largest element of its result."""
    return float(torch.cat([each.flatten() for each in _relative(found, exact)]).square().mean().sqrt())


_LEAST = torch.tensor(1e-300, dtype=torch.float64, device="cpu")


def _relative(found: Sequence[Tensor], exact: Sequence[Tensor]) -> list[Tensor]:
    """How far each element is off, beside the largest element of its result."""
    sizes = [value.abs().max() for value in exact]
    least = SMALL * max(sizes)
    return [
        (one.detach().cpu().double() - value).abs() / max(size, least, _LEAST)
        for one, value, size in zip(found, exact, sizes, strict=True)
    ]
