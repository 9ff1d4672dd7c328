"""Bilevel problems in one weight w and one architecture parameter alpha, with quadratic losses.

    min_α L_val(w*(α), α)   with   w*(α) = argmin_w L_train(w, α)

`RARTS_MODEL` is that of Xue, Qi & Xin, "RARTS" (IEEE Access 2022), section III-D, `AMENDED_TOY` that of
"Stabilizing DARTS with amended gradient estimation on architectural parameters", appendix A.1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Quadratic:
    """A loss constant + w·w + alpha·α + ww·w² + wa·w·α + aa·α²."""

    constant: float = 0.0
    w: float = 0.0
    alpha: float = 0.0
    ww: float = 0.0
    wa: float = 0.0
    aa: float = 0.0

    def row(self) -> Tensor:
        """The coefficients as a batch of one, float64 `[1, 6]`, in the order of the fields."""
        return torch.tensor([list(vars(self).values())], dtype=torch.float64)


@dataclass(frozen=True)
class Problem:
    """A training and a validation loss, where a search starts, and the total derivative of the latter in closed form.

    The names g, g1, g2 are those of Amended-DARTS, eqs. 2 and 5: g = g1 + g2 = dL_val(w*(α), α) / dα.
    """

    train: Quadratic
    valid: Quadratic
    start: tuple[float, float, float]  # alpha, w, y

    def inner(self, alpha: float) -> float:
        """w*(α), the minimum of the training loss."""
        return -(self.train.w + self.train.wa * alpha) / (2 * self.train.ww)

    def g1(self, alpha: float) -> float:
        """∂L_val/∂α at (w*(α), α): the gradient of first-order DARTS."""
        w, v = self.inner(alpha), self.valid
        return v.alpha + v.wa * w + 2 * v.aa * alpha

    def g2(self, alpha: float) -> float:
        """dw*/dα · ∂L_val/∂w at (w*(α), α): -∇²_{αw}L_train · H⁻¹ · ∇_w L_val with H = ∇²_w L_train."""
        return -self.train.wa / (2 * self.train.ww) * self._outer_gradient(alpha)

    def g(self, alpha: float) -> float:
        """dL_val(w*(α), α)/dα."""
        return self.g1(alpha) + self.g2(alpha)

    def g2_amended(self, alpha: float, eta: float) -> float:
        """g2' = -η · ∇²_{αw}L_train · H · ∇_w L_val at (w*(α), α) (Amended-DARTS, eq. 6)."""
        return -eta * self.train.wa * 2 * self.train.ww * self._outer_gradient(alpha)

    def _outer_gradient(self, alpha: float) -> float:
        w, v = self.inner(alpha), self.valid
        return v.w + 2 * v.ww * w + v.wa * alpha


# L_t = w² - 2αw + α², L_v = αw - 2α + 1: the true minimum is (w, α) = (1, 1). The searches of Figure 1 start from
# (α, w, y) = (2, -2, y0), with y0 = 0 in its first two panels.
RARTS_MODEL = Problem(Quadratic(ww=1, wa=-2, aa=1), Quadratic(constant=1, alpha=-2, wa=1), start=(2.0, -2.0, 0.0))

# (ωx - α)² at x = 1 for training, x = 2 for validation: the true minimum is (0, 0). The paper names no start.
AMENDED_TOY = Problem(Quadratic(ww=1, wa=-2, aa=1), Quadratic(ww=4, wa=-4, aa=1), start=(1.0, 0.0, 0.0))
