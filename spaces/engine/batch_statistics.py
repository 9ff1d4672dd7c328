"""Batch norm without an image of its own: mean and deviation become part of the coefficients of a node's sum.

A node is Σ w (γ (Y - m) s + β) over the values Y that reach it, with m the mean and s = (var + ε)^-½ of each channel:
one sum of the Y with coefficients A = w γ s, and a constant. For the node's gradient g, with q = Σ g and
d = Σ g Y over the N pixels of the batch, and p = (d - m q) s:

    ∂L/∂w = Σ_c (γ p + β q)      ∂L/∂γ = w p      ∂L/∂β = w q
    ∂L/∂Y = A g + B Y + K   with   B = -A s p / N,   K = -A q / N - B m

and B = K = 0 where m and s are running statistics. The kernels compute these (`forward_coefficients`,
`normalization`, `backward_coefficients`): in plain torch in `torch_statistics.py`, which the C++ family uses too, and
in Triton in `statistics_kernels.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from spaces.cells.operations import BatchNorm
from spaces.engine.kernel_values import Moments, Norms, PartialMoments
from spaces.engine.kernels import Kernels


@dataclass
class Statistics:
    """Mean and variance of values, float64 `[rows, C]`; a row without batch norm has mean 0 and variance 1."""

    mean: Tensor
    variance: Tensor
    eps: Tensor  # `[rows, 1]`
    through: Tensor  # `[rows, 1]`: 1 where the gradient goes through mean and variance, as they are the batch's own
    of_batch: bool
    partial: dict[int, PartialMoments] = field(default_factory=dict)  # row -> what a family has left to be added up

    @classmethod
    def of(
        cls, norms: Sequence[BatchNorm | None], columns: Tensor, channels: int, kernels: Kernels, *, of_batch: bool
    ) -> Self:
        """Rows for these norms (None: no batch norm): to be written if `of_batch`, else the running statistics.

        `columns` are ε and whether there is a norm, `[2, rows, 1]`.
        """
        if of_batch and kernels.FILLS_STATISTICS:
            mean, variance = columns.new_empty(2, len(norms), channels)
        else:
            mean = columns.new_zeros(len(norms), channels)
            variance = mean + 1
        made = cls(mean, variance, columns[0], columns[1] if of_batch else torch.zeros_like(columns[1]), of_batch)
        if not of_batch:
            for row, norm in enumerate(norms):
                if norm is not None:
                    assert norm.running_mean is not None
                    assert norm.running_var is not None
                    made.mean[row], made.variance[row] = norm.running_mean, norm.running_var
        return made

    def moments(self, rows: Sequence[int]) -> Moments | None:
        """Where the moments of values with these rows belong; None if the rows hold running statistics."""
        return Moments(rows, self.mean, self.variance, self.partial) if self.of_batch else None

    def measure(self, kernels: Kernels, rows: Sequence[int], y: Tensor) -> None:
        """Write the moments of `y` to each of `rows`, if the batch's own are used."""
        if (into := self.moments(rows)) is not None:
            kernels.moments(y, into)

    def norms(self, rows: slice) -> Norms:
        """These rows."""
        partial = [self.partial.get(row) for row in range(rows.start, rows.stop)] if self.of_batch else ()
        return Norms(self.mean[rows], self.variance[rows], self.eps[rows], self.through[rows], partial)


@torch.no_grad()
def move_running(norms: Sequence[BatchNorm], means: Sequence[Tensor], variances: Sequence[Tensor]) -> None:
    """Move the running statistics of `norms` by the batch's (unbiased) `[C]`, as torch's batch norm does."""
    rows = [*means, *variances]
    running: list[Tensor] = [norm.running_mean for norm in norms]  # type: ignore[misc]
    running += [norm.running_var for norm in norms]  # type: ignore[misc]
    momentum = norms[0].momentum
    assert momentum is not None
    torch._foreach_lerp_(running, rows, momentum)
    torch._foreach_add_([norm.num_batches_tracked for norm in norms], 1)  # type: ignore[misc]
