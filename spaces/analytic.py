"""Bilevel problems that can be solved on paper: one weight w, one architecture parameter alpha, quadratic losses.

    min_α L_val(w*(α), α)   with   w*(α) = argmin_w L_train(w, α)

`RARTS_MODEL` is that of Xue, Qi & Xin, "RARTS" (IEEE Access 2022), section III-D, `AMENDED_TOY` that of
"Stabilizing DARTS with amended gradient estimation on architectural parameters", appendix A.1. As a search space it
is one edge with one operation, whose weight is alpha itself: there is nothing to discretize, and a "supernet" whose
only parameter is w. A "batch" is the coefficients of a loss, so that both losses are one function of (batch, w, alpha).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from spaces.base import Space
from spaces.cells.genotype import Edge, Genotype
from spaces.cells.mixed_cell import Engine
from spaces.cells.network import Network, Stem
from spaces.cells.supernet import BatchNormMode, Cells, Supernet
from spaces.common.errors import InputError


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
    """Two losses and where a search of them starts, with the total derivative of the outer one in closed form.

    The names g, g1, g2 are those of Amended-DARTS, eqs. 2 and 5: g = g1 + g2 = dL_val(w*(α), α) / dα.
    """

    train: Quadratic
    valid: Quadratic
    start: tuple[float, float, float]  # alpha, w, y

    def inner(self, alpha: float) -> float:
        """w*(α), where the training loss is least."""
        return -(self.train.w + self.train.wa * alpha) / (2 * self.train.ww)

    def g1(self, alpha: float) -> float:
        """∂L_val/∂α at (w*(α), α): what first-order DARTS takes for the gradient."""
        w, v = self.inner(alpha), self.valid
        return v.alpha + v.wa * w + 2 * v.aa * alpha

    def g2(self, alpha: float) -> float:
        """dw*/dα · ∂L_val/∂w at (w*(α), α): -∇²_{αw}L_train · H⁻¹ · ∇_w L_val with H = ∇²_w L_train."""
        return -self.train.wa / (2 * self.train.ww) * self._outer_slope(alpha)

    def g(self, alpha: float) -> float:
        """dL_val(w*(α), α)/dα."""
        return self.g1(alpha) + self.g2(alpha)

    def g2_amended(self, alpha: float, eta: float) -> float:
        """g2' = -η · ∇²_{αw}L_train · H · ∇_w L_val at (w*(α), α) (Amended-DARTS, eq. 6)."""
        return -eta * self.train.wa * 2 * self.train.ww * self._outer_slope(alpha)

    def _outer_slope(self, alpha: float) -> float:
        w, v = self.inner(alpha), self.valid
        return v.w + 2 * v.ww * w + v.wa * alpha


# L_t = w² - 2αw + α², L_v = αw - 2α + 1: the true minimum is (w, α) = (1, 1). The searches of Figure 1 start from
# (α, w, y) = (2, -2, y0), y0 = 0 in its first two panels.
RARTS_MODEL = Problem(Quadratic(ww=1, wa=-2, aa=1), Quadratic(constant=1, alpha=-2, wa=1), start=(2.0, -2.0, 0.0))

# (ωx - α)² at x = 1 for training, x = 2 for validation: the true minimum is (0, 0). The paper names no start.
AMENDED_TOY = Problem(Quadratic(ww=1, wa=-2, aa=1), Quadratic(ww=4, wa=-4, aa=1), start=(1.0, 0.0, 0.0))

Point = dict[str, float]  # alpha, w and, where the method has it, y


# Where methods come to rest on RARTS_MODEL: each zero of their update, derived from ∇_w L_t = 2(w - α),
# ∇_α L_t = 2(α - w), ∇_w L_v = α and ∇_α L_v = w - 2.


def rest_of_amended(eta: float) -> Point:
    """Amended-DARTS: w = α and g1 + g2' = w - 2 + 4ηα = 0. The truth is η = H⁻² = 1/4, first-order DARTS is η = 0."""
    alpha = 2 / (1 + 4 * eta)
    return {"alpha": alpha, "w": alpha}


def rest_of_first_order() -> Point:
    """First-order DARTS: w = α and w - 2 = 0, the spurious (2, 2)."""
    return rest_of_amended(0.0)


def rest_of_second_order(rate: float) -> Point:
    """Second-order DARTS: w = α, so the unrolled step of `rate` stays there, and w - 2 + 2·rate·α = 0."""
    return rest_of_amended(rate / 2)


def rest_of_mixed_level() -> Point:
    """MiLeNAS: w = α, where ∇_α L_t = 0, so that λ drops out and w - 2 = 0: the spurious (2, 2) again."""
    return rest_of_first_order()


def rest_of_relaxed(penalty: float, coupling: float) -> Point:
    """RARTS with λ = `penalty` and β = `coupling`, the zero of RARTS eqs. 13-15.

    Eqs. 13 and 14 add up to 2λ(w - α) + α = 0, eqs. 13 and 15 to α + y = 2, and eq. 14 says β(w - y) = α; so
    α·(2 - 1/(2λ) - 1/β) = 2. There the Lagrangian is convex, and the search comes to rest, where its Hessian's
    determinant 4βλ - β - 2λ is positive; the paper's λ > 1/2 and β > 3/2 is enough for that.

    Raises `InputError` where it is not.
    """
    determinant = 4 * coupling * penalty - coupling - 2 * penalty
    if not (penalty > 0 and coupling > 0 and determinant > 0):
        raise InputError(
            f"lambda = {penalty:g}, beta = {coupling:g}: rarts has no minimum on analytic, "
            "take lambda > 1/2 and beta > 3/2"
        )
    alpha = 4 * coupling * penalty / determinant
    return {"alpha": alpha, "w": alpha * (1 - 1 / (2 * penalty)), "y": 2 - alpha}


class Scalar(Supernet):
    """The weight w (a float64 scalar): coefficients `[N, 6]` and alpha `[1, 1]` to values of the loss `[N]`."""

    def __init__(self, mask: Mapping[str, Tensor], w: float) -> None:
        super().__init__(ScalarGenotype.operations, mask, dict.fromkeys(mask, 1), auxiliary_skip=False)
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, images: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
        """The same, in double whatever the precision."""
        return self.logits(images, self.read(weights, images.device))

    def logits(self, images: Tensor, cells: Cells) -> Tensor:
        """The loss that each row of `images` has the coefficients of."""
        alpha, w = cells["cell"][0].table.reshape(()), self.w
        return images @ torch.stack([torch.ones_like(w), w, alpha, w * w, w * alpha, alpha * alpha])


@dataclass(frozen=True, eq=False, repr=False)
class ScalarGenotype(Genotype):
    """The only architecture that there is."""

    kinds: ClassVar[tuple[str, ...]] = ("cell",)
    inputs: ClassVar[int] = 1
    nodes: ClassVar[int] = 1
    outputs: ClassVar[tuple[int, ...]] = (1,)
    operations: ClassVar[tuple[str, ...]] = ("scalar",)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `|scalar~0|`."""
        if text.strip() != str(cls()):
            raise InputError(f"analytic has one architecture, {cls()}")
        return cls()

    def edges(self, kind: str) -> tuple[Edge, ...]:
        """The one edge."""
        return {"cell": ((0, 1, "scalar"),)}[kind]

    def __str__(self) -> str:
        return "|scalar~0|"

    __repr__ = __str__


class Split:
    """One of the two losses, served as a loader serves its split of the images: one step an epoch, always the same."""

    def __init__(self, loss: Quadratic) -> None:
        self.row = loss.row()

    def __len__(self) -> int:
        return 1

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The coefficients `[1, 6]`, and a label that means nothing."""
        return self.row, torch.zeros(1, dtype=torch.int64)

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The same, once."""
        yield self.batch(0, 0)


class Analytic(Space):
    """A `Problem` as a search space."""

    name = "analytic"
    notation = ScalarGenotype
    operations: ClassVar[tuple[str, ...]] = ScalarGenotype.operations
    scalar: ClassVar[bool] = True

    def __init__(self, without: Iterable[str] = (), problem: Problem = RARTS_MODEL) -> None:
        super().__init__(without)
        self.problem = problem

    def splits(self) -> tuple[Split, Split]:
        """What stands for the two splits of a training set."""
        return Split(self.problem.train), Split(self.problem.valid)

    def alpha(self, seed: int) -> dict[str, Tensor]:
        """Alpha at its start, float64 `[1, 1]`, whatever the seed."""
        return {"cell": torch.tensor([[self.problem.start[0]]], dtype=torch.float64)}

    def supernet(
        self,
        channels: int = 1,
        cells: int = 1,
        classes: int = 1,
        in_channels: int = 1,
        *,
        affine: bool = False,
        batch_norm: BatchNormMode = "running",
        node_norm: bool = False,
        auxiliary_skip: bool = False,
        engine: Engine = "fast",
    ) -> Scalar:
        """The weight at its start. It has no size."""
        return Scalar(self.mask, self.problem.start[1])

    def second_weights(self, net: Supernet) -> Scalar:
        """The second weight (y of RARTS) at a start of its own."""
        return Scalar(self.mask, self.problem.start[2])

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The mean of the supernet's outputs, which are losses already."""
        return outputs.mean()

    def hits(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """Not a number: nothing is classified."""
        return outputs.new_full((), torch.nan)

    def cells_of(self, kind: str, cells: int) -> int:
        """One."""
        return 1

    def network(
        self,
        genotype: Genotype,
        channels: int,
        cells: int,
        classes: int,
        in_channels: int = 3,
        *,
        stem: Stem = "cifar",
        auxiliary: bool = False,
    ) -> Network:
        """None: raises `InputError`."""
        raise InputError("analytic has no networks: it is a problem in two numbers, with nothing to train or count")

    def select(self, kind: str, weights: Tensor) -> list[tuple[int, int]]:
        """The only edge and operation."""
        return [(0, 0)]

    def assemble(self, chosen: Mapping[str, Sequence[tuple[int, int]]]) -> ScalarGenotype:
        """The only architecture."""
        return ScalarGenotype()

    def draw(self, kind: str, random: torch.Generator) -> list[tuple[int, int]]:
        """The only edge and operation."""
        return [(0, 0)]
