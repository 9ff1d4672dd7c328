"""Λ-DARTS: Mitigating Performance Collapse by Harmonizing Operation Selection among Cells (Movahedi et al., ICLR 2023).

The cells of a kind share alpha, so ∇_p L is a sum over layers ℓ (eq. 3). Where the layers' gradients are orthogonal
that sum cannot vanish, and DARTS converges only where its softmax saturates (proposition 1), to the liking of the
layers nearest to the output. Λ-DARTS aligns them: the weights descend

    L_train(ω, α) - λ_t Λ_train(ω, α)   with   λ_t = λ t / T                                        (eq. 8)

where Λ (eq. 5) is the mean cosine between the gradients of two layers, or Λ± (eq. 7) the agreement of their signs.
∇_ω Λ is a difference of two gradients of the loss, at operation weights that are moved in each layer (eq. 13).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from methods.core.settings import Value
from methods.core.step import Alpha, Batch, Step
from methods.darts import DARTS_1ST, NATS
from methods.p_darts import P_DARTS_NO_PRIORS
from methods.sdarts import SDARTS_RS
from spaces.core.errors import InputError, unknown
from spaces.core.space import Space

# --- The gradients of the layers (section 3.1) -----------------------------------------------------------------------


def aligned_kind(space: Space) -> str:
    """The kind of cell that is aligned: of normal and reduction cells only the normal ones.

    "We only apply the regularization term to the normal cell, since the performance collapse is not usually
    associated with the reduction cell" (A.9.2).
    """
    return next(kind for kind in space.kinds if kind != "reduce")


def no_shift(step: Step) -> Tensor:
    """Zeros [cells, edges, operations], one table for each layer of the aligned kind.

    Raises `InputError` where there is no pair of layers to align.
    """
    kind, size = aligned_kind(step.space), step.settings.cells
    layers = step.space.cells_of(kind, size)
    if layers < 2:
        needed = next(n for n in count(size) if step.space.cells_of(kind, n) >= 2)
        raise InputError(
            f"cells = {size}: layer alignment needs two {kind} cells and a supernet of {step.space.name} of that size "
            f"has {layers}; set cells to {needed} or more"
        )
    return step.alpha[kind].new_zeros((layers, *step.alpha[kind].shape))


def loss_at(step: Step, batch: Batch, shift: Tensor) -> Tensor:
    """L(ω, P + shift): the loss where each layer has operation weights of its own, P their common ones (eq. 11)."""
    weights = step.relaxation(step.alpha, step, batch.half)
    kind = aligned_kind(step.space)
    return step.loss(batch, weights={**weights, kind: weights[kind] + shift})


def layer_gradients(step: Step, batch: Batch) -> Tensor:
    """∇_{ℓp} L (eq. 16) for each layer ℓ, [cells, edges, operations]; zero for operations that an edge lacks."""
    shift = no_shift(step).requires_grad_()
    (gradients,) = torch.autograd.grad(loss_at(step, batch, shift), [shift])
    return gradients


# --- Layer alignment (eqs. 5, 7) and its derivative (eqs. 10, 12) ----------------------------------------------------
# The paper assumes that no gradient is zero. Where one is, dividing by infinity makes its terms 0, as if orthogonal.


def _divisor(x: Tensor) -> Tensor:
    return x.masked_fill(x == 0, torch.inf)


def _norm(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def cosine(own: Tensor, other: Tensor) -> Tensor:
    """The summand of eq. 5 for gradients [..., n]: their cosine, [...]."""
    return (own / _divisor(_norm(own)) * other / _divisor(_norm(other))).sum(-1)


def cosine_delta(own: Tensor, other: Tensor) -> Tensor:
    """δ_Λ (eq. 10): the derivative of `cosine` for `own`, [..., n]."""
    unit, pull = own / _divisor(_norm(own)), other / _divisor(_norm(own)) / _divisor(_norm(other))
    return pull - unit * (unit * pull).sum(-1, keepdim=True)


def sign_agreement(own: Tensor, other: Tensor) -> Tensor:
    """The summand of eq. 7 for gradients [..., n]: ownᵀ other / |own|ᵀ|other|, [...]."""
    return (own * other).sum(-1) / _divisor((own * other).abs().sum(-1))


def sign_agreement_delta(own: Tensor, other: Tensor) -> Tensor:
    """δ_Λ± (eq. 10): the derivative of `sign_agreement` for `own`, [..., n]."""
    pull = other / _divisor((own * other).abs().sum(-1, keepdim=True))
    return pull - sign_agreement(own, other)[..., None] * own.sign() * other.sign() * pull


class Measure(NamedTuple):
    """How well two layers agree, and the derivative of that for the first of them."""

    of: Callable[[Tensor, Tensor], Tensor]
    delta: Callable[[Tensor, Tensor], Tensor]


COSINE = Measure(cosine, cosine_delta)
SIGN = Measure(sign_agreement, sign_agreement_delta)


def mean_over_pairs(gradients: Tensor, measure: Measure) -> Tensor:
    """The mean of a measure over the binom(L, 2) pairs of layer gradients [cells, n]."""
    first, second = torch.triu_indices(len(gradients), len(gradients), offset=1, device=gradients.device)
    return measure.of(gradients[first], gradients[second]).mean()


def alignment(gradients: Tensor) -> Tensor:
    """Layer alignment Λ (eq. 5) of layer gradients [cells, edges * operations]: a scalar from -1 to 1."""
    return mean_over_pairs(gradients, COSINE)


def sign_alignment(gradients: Tensor) -> Tensor:
    """Sign alignment Λ± (eq. 7) of layer gradients [cells, edges * operations]: a scalar from -1 to 1."""
    return mean_over_pairs(gradients, SIGN)


def directions(gradients: Tensor, measure: Measure) -> Tensor:
    """Δ (eq. 12), [cells, n]: row ℓ is Σ_{ℓ' ≠ ℓ} δ^{ℓ,ℓ'}, so Δ / binom(L, 2) is the derivative of the mean."""
    deltas = measure.delta(gradients[:, None], gradients[None])
    itself = torch.eye(len(gradients), dtype=torch.bool, device=gradients.device)
    return deltas.masked_fill(itself[..., None], 0).sum(1)


# --- The gradient of the alignment (section 4.2, A.8) ----------------------------------------------------------------
# By the chain rule (eq. 9) it is ∇ of L's derivative along Δ, divided by binom(L, 2), for weights as for alpha.


def _derivatives(loss: Tensor, leaves: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """∇ of `loss`; zero for a leaf that it does not depend on, such as a convolution that feeds nothing but `none`."""
    return torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)


def _step_along(gradients: Tensor, measure: Measure) -> tuple[Tensor, Tensor]:
    """Δ / ‖Δ‖_F [cells, edges, operations], and ‖Δ‖_F / binom(L, 2).

    A step of ε = ε0 / ‖Δ‖_F along Δ is one of ε0 along the first, and dividing by ε is multiplying by the norm and
    dividing by ε0. Written so, layers that agree already (Δ = 0) give 0, and no device is waited for.
    """
    delta = directions(gradients.flatten(1), measure).view_as(gradients)
    norm = torch.linalg.vector_norm(delta)
    return delta / _divisor(norm), norm / comb(len(delta), 2)


def central(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: Measure) -> list[Tensor]:
    """A central difference (eq. 13) of radius ε0 / ‖Δ‖_F."""
    unit, scale = _step_along(layer_gradients(step, batch), measure)
    radius = float(step.settings.options["epsilon0"])
    plus, minus = (_derivatives(loss_at(step, batch, side * radius * unit), leaves) for side in (1, -1))
    return [scale * (p - m) / (2 * radius) for p, m in zip(plus, minus, strict=True)]


def interleaved(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: Measure) -> list[Tensor]:
    """A forward (eq. 24) and a backward difference (eq. 25) in turn, from one mini-batch to the next."""
    side = step.memory.get("lambda-darts side", 1)
    step.memory["lambda-darts side"] = -side
    shift = no_shift(step).requires_grad_()
    gradients, *here = _derivatives(loss_at(step, batch, shift), [shift, *leaves])
    unit, scale = _step_along(gradients, measure)
    radius = float(step.settings.options["epsilon0"])
    there = _derivatives(loss_at(step, batch, side * radius * unit), leaves)
    return [scale * side * (t - h) / radius for t, h in zip(there, here, strict=True)]


def exact(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: Measure) -> list[Tensor]:
    """Double backward through the layer gradients: what the differences approximate."""
    shift = no_shift(step).requires_grad_()
    (gradients,) = torch.autograd.grad(loss_at(step, batch, shift), [shift], create_graph=True)
    return list(_derivatives(mean_over_pairs(gradients.flatten(1), measure), leaves))


DIFFERENCES = {"central": central, "interleaved": interleaved, "exact": exact}


# --- The regulariser (eq. 8) -----------------------------------------------------------------------------------------


def strength(step: Step) -> float:
    """λ_t = λ t / T, t the epochs that lie behind: the first epoch is plain DARTS, as in the authors' code."""
    return float(step.settings.options["lambda"]) * step.epoch / step.settings.epochs


def regulariser(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: Measure) -> list[Tensor]:
    """The gradient of -λ_t Λ on `batch` for `leaves`, by the difference that the settings name."""
    name = str(step.settings.options["difference"])
    if name not in DIFFERENCES:
        raise unknown("difference", name, DIFFERENCES)
    no_shift(step)  # says at once, and not in the second epoch, where there is nothing to align
    if strength(step) == 0:
        return [leaf.new_zeros(()) for leaf in leaves]
    return [-strength(step) * gradient for gradient in DIFFERENCES[name](step, batch, leaves, measure)]


def aligned_layers(step: Step) -> list[Tensor]:
    """Minus λ_t times layer alignment Λ, on the training batch (eqs. 5, 8)."""
    return regulariser(step, step.train, list(step.net.parameters()), COSINE)


def aligned_signs(step: Step) -> list[Tensor]:
    """Minus λ_t times sign alignment Λ±, on the training batch (eqs. 7, 8)."""
    return regulariser(step, step.train, list(step.net.parameters()), SIGN)


def aligned_layers_of_alpha(step: Step) -> Alpha:
    """Minus λ_t times layer alignment Λ, on the validation batch, for alpha (A.4)."""
    gradients = regulariser(step, step.valid, list(step.alpha.values()), COSINE)
    return dict(zip(step.alpha, gradients, strict=True))


# --- What the paper watches ------------------------------------------------------------------------------------------


def gradient_bound(gradients: Tensor, weights: Tensor) -> Tensor:
    """Proposition 1's lower bound of ‖∇_α L‖² (eq. 6), for layer gradients [cells, edges, operations], in float64.

    It holds where the layer gradients are orthogonal to one another and to the null space of the softmax's Jacobian
    J at `weights` [edges, operations]. An edge whose operations with a weight number m has m - 1 eigenvalues of J
    that are not zero; the smallest over all edges counts.
    """
    p = weights.double()
    eigenvalues = torch.linalg.eigvalsh(torch.diag_embed(p) - p[:, :, None] * p[:, None])  # ascending on each edge
    null = p.shape[-1] - (p > 0).sum(-1, keepdim=True) + 1
    positive = torch.arange(p.shape[-1], device=p.device) >= null
    smallest = eigenvalues.masked_fill(~positive, torch.inf).min()
    return smallest.square() * len(gradients) * gradients.double().flatten(1).square().sum(1).min()


def first_and_last(gradients: Tensor, mask: Tensor, cells: int = 5) -> Tensor:
    """What Figures 2 and 7 average over time: [2, operations] of layer gradients [cells, edges, operations].

    The sum over the first `cells` layers, then over the last, each a mean over the edges that have the operation by
    `mask` [edges, operations]; 0 for an operation that none has. Descent raises alpha where it is negative.
    """
    sums = torch.stack([gradients[:cells].sum(0), gradients[-cells:].sum(0)])
    return (sums * mask).sum(1) / mask.sum(0).clamp(min=1)


def running_average(average: Tensor | None, value: Tensor, decay: float = 0.999) -> Tensor:
    """The exponential average of Figure 2; it begins with the first value, the paper not saying where."""
    return value if average is None else decay * average + (1 - decay) * value


# --- Recipes ---------------------------------------------------------------------------------------------------------

SOURCE = "Movahedi et al., Λ-DARTS: Mitigating Performance Collapse by Harmonizing Operation Selection, ICLR 2023"

# A.9.1. Weight decay 5e-4 and Nesterov momentum are those of DARTS on this space. (Its alpha step follows the weight
# step, as in the code that the paper builds on.)
ON_NATS: dict[str, Value] = {**NATS, "epochs": 100, "alpha_learning_rate": 1e-4, "lambda": 0.125}

# A.9.2: the DARTS space with 7 operations, which lacks `none`; S3, which is made of it, keeps it. A.9.3: S1 to S4 as
# the DARTS space, on CIFAR-10. On CIFAR-100 and SVHN the paper sets batch_size to 96 and epsilon0 to 1e-3; settings
# do not depend on the data set, so there the user does.
LAMBDA_DARTS = replace(
    DARTS_1ST,
    name="lambda-darts",
    title="Λ-DARTS, layer alignment",
    source=SOURCE,
    inner=(aligned_layers,),
    without={"darts": ("none",)},
    options={"lambda": 0.25, "epsilon0": 1e-4, "difference": "central"},
    per_space={"nats-tss": ON_NATS},
)

LAMBDA_DARTS_SIGN = replace(
    LAMBDA_DARTS,
    name="lambda-darts-sign",
    title="Λ-DARTS, alignment of signs",
    inner=(aligned_signs,),
    options={**LAMBDA_DARTS.options, "lambda": 0.125},
)

# Table 5: 50 epochs on NATS-Bench. Alpha's learning rate is that which A.9.4 gives for 50 epochs, A.4 not saying.
LAMBDA_DARTS_OUTER = replace(
    LAMBDA_DARTS,
    name="lambda-darts-outer",
    title="Λ-DARTS, layer alignment in the outer objective",
    inner=(),
    outer=(aligned_layers_of_alpha,),
    per_space={"nats-tss": {**ON_NATS, "epochs": 50, "alpha_learning_rate": 3e-4}},
)

# A.5.2, Table 7: "without any adjustment to the hyperparameters of Λ-DARTS".
LAMBDA_SDARTS_RS = replace(
    LAMBDA_DARTS,
    name="lambda-sdarts-rs",
    title="Λ-DARTS with SmoothDARTS's random smoothing",
    perturbation=SDARTS_RS.perturbation,
    options={**LAMBDA_DARTS.options, **SDARTS_RS.options},
)

# A.5.1, Table 6: Λ in the place of P-DARTS's priors on skip-connections.
LAMBDA_P_DARTS = replace(
    P_DARTS_NO_PRIORS,
    name="lambda-p-darts",
    title="P-DARTS with Λ-DARTS's layer alignment for its priors",
    source=SOURCE,
    inner=LAMBDA_DARTS.inner,
    options=LAMBDA_DARTS.options,
)
