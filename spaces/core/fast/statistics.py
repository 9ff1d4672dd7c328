"""Batch norm that is never materialised: its mean and deviation go into the coefficients of a node's sum.

A node is Σ w (γ (Y - m) s + β) over the values Y that reach it, with m the mean and s = (var + ε)^-½ of each channel:
one sum of the Y with coefficients A = w γ s, and a constant. Back from the node's gradient g, with q = Σ g and
d = Σ g Y over the N pixels of the batch, and p = (d - m q) s:

    ∂L/∂w = Σ_c (γ p + β q)      ∂L/∂γ = w p      ∂L/∂β = w q
    ∂L/∂Y = A g + B Y + K   with   B = -A s p / N,   K = -A q / N - B m

and B = K = 0 where m and s are running statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Self

import torch
from torch import Tensor

from spaces.core.fast.portable import Slope
from spaces.core.operations import BatchNorm


@dataclass
class Statistics:
    """Mean and variance of values, float64 `[rows, C]`; a row without batch norm has mean 0 and variance 1."""

    mean: Tensor
    variance: Tensor
    eps: Tensor  # `[rows, 1]`
    through: Tensor  # `[rows, 1]`: 1 where the gradient goes through mean and variance, as they are the batch's own
    of_batch: bool

    @classmethod
    def of(cls, norms: Sequence[BatchNorm | None], columns: Tensor, channels: int, *, of_batch: bool) -> Self:
        """Rows for these norms (None: no batch norm), to be written; running statistics unless `of_batch`.

        `columns` are ε and whether there is a norm, `[2, rows, 1]`.
        """
        blank = columns.new_zeros(len(norms), channels)
        made = cls(blank, blank + 1, columns[0], columns[1] if of_batch else torch.zeros_like(columns[1]), of_batch)
        if not of_batch:
            for row, norm in enumerate(norms):
                if norm is not None:
                    assert norm.running_mean is not None
                    assert norm.running_var is not None
                    made.mean[row], made.variance[row] = norm.running_mean, norm.running_var
        return made

    def written(self, row: int) -> tuple[Tensor | None, Tensor | None]:
        """Where the mean and variance of a row `[C]` are to be written; None where running statistics stand there."""
        return (self.mean[row], self.variance[row]) if self.of_batch else (None, None)

    def measure(self, kernels: ModuleType, row: int, y: Tensor, same: Sequence[int] = ()) -> None:
        """Write the moments of `y` to `row`, and to the rows that are the `same`, if they are wanted."""
        if self.of_batch:
            kernels.moments(y, self.mean[row], self.variance[row])
            for other in same:
                self.mean[other], self.variance[other] = self.mean[row], self.variance[row]

    def spread(self, rows: slice) -> Tensor:
        """1 / standard deviation `[rows, C]`."""
        return (self.variance[rows] + self.eps[rows]).rsqrt()

    def slopes(
        self, rows: slice, q: Tensor, d: Tensor, scale: Tensor, count: int, dtype: torch.dtype
    ) -> tuple[list[Slope], Tensor]:
        """∂L/∂Y of each row, and p `[rows, C]`, for q `[C]`, d `[rows, C]`, scale = w γ and `count` pixels."""
        mean, spread, through = self.mean[rows], self.spread(rows), self.through[rows] / count
        p = (d - mean * q) * spread
        of_gradient = scale * spread
        of_value = -of_gradient * spread * p * through
        constant = -of_gradient * q * through - of_value * mean
        parts = torch.stack([of_gradient, of_value, constant], 1).to(dtype).flatten(0, 1).unbind()
        return [Slope(*parts[first : first + 3]) for first in range(0, len(parts), 3)], p


@torch.no_grad()
def move_running(norms: Sequence[BatchNorm], mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics of `norms` by the batch's rows `[norms, C]`, as torch's batch norm does."""
    if not norms:
        return
    dtype = norms[0].running_mean.dtype  # type: ignore[union-attr]
    rows = [*mean.to(dtype).unbind(), *(variance * (count / max(count - 1, 1))).to(dtype).unbind()]
    running: list[Tensor] = [norm.running_mean for norm in norms]  # type: ignore[misc]
    running += [norm.running_var for norm in norms]  # type: ignore[misc]
    momentum = norms[0].momentum
    assert momentum is not None
    torch._foreach_lerp_(running, rows, momentum)
    torch._foreach_add_([norm.num_batches_tracked for norm in norms], 1)  # type: ignore[misc]
