"""What batch norm makes of the coefficients of a node's sum, and of the gradient behind it, in plain torch.

`statistics.py` has the mathematics. Statistics and sums over a batch are float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Slope(NamedTuple):
    """dL/dy = A g + B y + K, a channel `[C]` each: what batch norm makes of the gradient g behind it."""

    of_gradient: Tensor
    of_value: Tensor
    constant: Tensor


class Norms(NamedTuple):
    """What rows of statistics say: mean and variance `[rows, C]`, and two columns `[rows, 1]`."""

    mean: Tensor
    variance: Tensor
    eps: Tensor
    through: Tensor  # 1 where the gradient goes through mean and variance, as they are the batch's own


class Passed(NamedTuple):
    """What batch norm makes of the gradient behind it: a slope a row, and those gradients of w, γ, β that are wanted.

    Those of w are float64 `[rows]`, those of γ and β `[rows, C]`.
    """

    slopes: list[Slope]
    of_weights: Tensor | None
    of_scale: Tensor | None
    of_shift: Tensor | None


def _spread(norms: Norms) -> Tensor:
    return (norms.variance + norms.eps).rsqrt()


def coefficients(
    norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """A = w γ s of each row `[rows, C]`, and the constant Σ (w β - A m) `[C]`.

    For w `[rows, 1]`, γ and β `[rows, C]` or `[rows, 1]`, all in double.
    """
    found = weights * scale * _spread(norms)
    bias = (weights * shift - found * norms.mean).sum(0)
    return found.to(dtype), bias.to(dtype)


def normalising(norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """What a value is multiplied by, then added to, to be normalised: `[rows, C]` each, with γ and β where they are."""
    factor = _spread(norms)
    offset = -norms.mean * factor
    if scale is not None and shift is not None:
        factor, offset = factor * scale, offset * scale + shift
    return factor.to(dtype), offset.to(dtype)


def slopes(
    norms: Norms,
    sums: Tensor,
    weights: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    count: int,
    dtype: torch.dtype,
    *,
    learnt: bool,
) -> Passed:
    """What comes back of each row, for `count` pixels; the gradients of γ and β where they are `learnt`.

    The sums are q, then d of each row, `[1 + rows, C]`; or, where each row has a q of its own, q and d of each row in
    turn, `[2 · rows, C]`. `reduce` and `separable_backward` make them: other families may hand on what adds up to them.
    w, γ and β are as in `coefficients`; γ alone or none where no w weighs the rows, and then they have no gradient.
    """
    q, d = (sums[:1], sums[1:]) if len(sums) == 1 + len(norms.mean) else (sums[::2], sums[1::2])
    spread, through = _spread(norms), norms.through / count
    p = (d - norms.mean * q) * spread
    of_gradient = spread
    if scale is not None:
        of_gradient = (scale if weights is None else weights * scale) * spread
    of_value = -of_gradient * spread * p * through
    constant = -of_gradient * q * through - of_value * norms.mean
    rows = torch.stack([of_gradient, of_value, constant], 1).to(dtype).flatten(0, 1).unbind()
    of_weights = (scale * p + shift * q).sum(1) if scale is not None and shift is not None else None
    three = [Slope(*rows[first : first + 3]) for first in range(0, len(rows), 3)]
    if not learnt:
        return Passed(three, of_weights, None, None)
    of_scale, of_shift = (p, q) if weights is None else (weights * p, weights * q)
    return Passed(three, of_weights, of_scale.to(dtype), of_shift.to(dtype))


def joined(slopes: Sequence[Slope]) -> tuple[Tensor, Tensor]:
    """What several members do to one value: each gradient's coefficient and then the value's, and the constant."""
    of_value = torch.stack([grad_output.of_value for grad_output in slopes]).sum(0)
    constant = torch.stack([grad_output.constant for grad_output in slopes]).sum(0)
    return torch.stack([*(grad_output.of_gradient for grad_output in slopes), of_value]), constant
