"""Batch norm's coefficients in plain torch, for the forward and the backward pass.

`batch_statistics.py` has the mathematics. Statistics and sums over a batch are float64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from spaces.engine.kernel_values import BackwardCoefficients, NormGradients, Norms


def _inverse_deviation(norms: Norms) -> Tensor:
    """S = (var + ε)^-½ `[rows, C]`."""
    return (norms.variance + norms.eps).rsqrt()


def forward_coefficients(
    norms: Norms, weights: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.forward_coefficients`."""
    found = weights * scale * _inverse_deviation(norms)
    bias = (weights * shift - found * norms.mean).sum(0)
    return found.to(dtype), bias.to(dtype)


def normalization(
    norms: Norms, scale: Tensor | None, shift: Tensor | None, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """See `Kernels.normalization`."""
    factor = _inverse_deviation(norms)
    offset = -norms.mean * factor
    if scale is not None and shift is not None:
        factor, offset = factor * scale, offset * scale + shift
    return factor.to(dtype), offset.to(dtype)


def backward_coefficients(
    norms: Norms,
    sums: Tensor,
    weights: Tensor | None,
    scale: Tensor | None,
    shift: Tensor | None,
    count: int,
    dtype: torch.dtype,
    *,
    learnt: bool,
) -> NormGradients:
    """See `Kernels.backward_coefficients`."""
    q, d = (sums[:1], sums[1:]) if len(sums) == 1 + len(norms.mean) else (sums[::2], sums[1::2])
    inverse, through = _inverse_deviation(norms), norms.through / count
    p = (d - norms.mean * q) * inverse
    of_gradient = inverse
    if scale is not None:
        of_gradient = (scale if weights is None else weights * scale) * inverse
    of_value = -of_gradient * inverse * p * through
    constant = -of_gradient * q * through - of_value * norms.mean
    rows = torch.stack([of_gradient, of_value, constant], 1).to(dtype).flatten(0, 1).unbind()
    of_weights = (scale * p + shift * q).sum(1) if scale is not None and shift is not None else None
    three = [BackwardCoefficients(*rows[first : first + 3]) for first in range(0, len(rows), 3)]
    if not learnt:
        return NormGradients(three, of_weights, None, None)
    of_scale, of_shift = (p, q) if weights is None else (weights * p, weights * q)
    return NormGradients(three, of_weights, of_scale.to(dtype), of_shift.to(dtype))


def running_rows(
    norms: Norms, rows: Tensor, count: int, dtype: torch.dtype
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """See `Kernels.running_rows`."""
    unbiased = norms.variance[rows] * (count / max(count - 1, 1))
    return norms.mean[rows].to(dtype).unbind(), unbiased.to(dtype).unbind()
