"""Λ-DARTS: Mitigating Performance Collapse by Harmonizing Operation Selection among Cells (Movahedi et al., ICLR 2023).

The cells of a kind share alpha, so ∇_p L is a sum over layers ℓ (eq. 3). Where the layers' gradients are orthogonal
that sum cannot vanish, and DARTS converges only where its softmax saturates (proposition 1), as the layers nearest to
the output prefer. Λ-DARTS aligns them: the weights descend

    L_train(ω, α) - λ_t Λ_train(ω, α)   with   λ_t = λ t / T                                        (eq. 8)

where Λ (eq. 5) is the mean cosine between the gradients of two layers, or Λ± (eq. 7) the agreement of their signs.
∇_ω Λ is a difference of two gradients of the loss, at operation weights that are moved in each layer (eq. 13).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import comb
from typing import NamedTuple

import torch
from torch import Tensor

from methods.darts import DARTS_1ST
from methods.p_darts import P_DARTS_NO_PRIORS
from methods.sdarts import SDARTS_RS
from methods.search.layer_gradients import (
    aligned_kind,
    cosine,
    divisor,
    loss_at,
    mean_over_pairs,
    no_shift,
    norm,
    sign_agreement,
)
from methods.search.options import Option
from methods.search.step import Alpha, Batch, Step, gradients
from spaces.common.settings import Value

# --- The derivative of layer alignment (eqs. 10, 12) ------------------------------------------------------------------
# The gradients of the layers, Λ (eq. 5) and Λ± (eq. 7) are in methods/search/layer_gradients.py: probes use them too.


def cosine_delta(own: Tensor, other: Tensor) -> Tensor:
    """δ_Λ (eq. 10): the derivative of `cosine` for `own`, [..., n]."""
    unit, pull = own / divisor(norm(own)), other / divisor(norm(own)) / divisor(norm(other))
    return pull - unit * (unit * pull).sum(-1, keepdim=True)


def sign_agreement_delta(own: Tensor, other: Tensor) -> Tensor:
    """δ_Λ± (eq. 10): the derivative of `sign_agreement` for `own`, [..., n]."""
    pull = other / divisor((own * other).abs().sum(-1, keepdim=True))
    return pull - sign_agreement(own, other)[..., None] * own.sign() * other.sign() * pull


class LayerAgreement(NamedTuple):
    """How well two layers agree, and the derivative of that for the first of them."""

    of: Callable[[Tensor, Tensor], Tensor]
    delta: Callable[[Tensor, Tensor], Tensor]


COSINE = LayerAgreement(cosine, cosine_delta)
SIGN = LayerAgreement(sign_agreement, sign_agreement_delta)


def directions(gradients: Tensor, measure: LayerAgreement) -> Tensor:
    """Δ (eq. 12), [cells, n]: row ℓ is Σ_{ℓ' ≠ ℓ} δ^{ℓ,ℓ'}, so Δ / binom(L, 2) is the derivative of the mean."""
    deltas = measure.delta(gradients[:, None], gradients[None])
    itself = torch.eye(len(gradients), dtype=torch.bool, device=gradients.device)
    return deltas.masked_fill(itself[..., None], 0).sum(1)


EPSILON0 = Option(
    "epsilon0", 1e-4, "ε0: step of the differences along Δ / ‖Δ‖_F (eqs. 13, 24, 25).", above=0, at_most=1e3
)

# --- The gradient of the alignment (section 4.2, A.8) ----------------------------------------------------------------
# By the chain rule (eq. 9) it is ∇ of L's derivative along Δ, divided by binom(L, 2), for weights as for alpha.


def _step_along(gradients: Tensor, measure: LayerAgreement) -> tuple[Tensor, Tensor]:
    """Δ / ‖Δ‖_F [cells, edges, operations], and ‖Δ‖_F / binom(L, 2).

    A step of ε = ε0 / ‖Δ‖_F along Δ is one of ε0 along the first, and dividing by ε is multiplying by the norm and
    dividing by ε0. In this form layers that agree already (Δ = 0) give 0, without synchronising with the device.
    """
    delta = directions(gradients.flatten(1), measure).view_as(gradients)
    length = torch.linalg.vector_norm(delta)
    return delta / divisor(length), length / comb(len(delta), 2)


def _here(step: Step, batch: Batch, leaves: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
    """The layers' gradients on `batch`, and ∇L for `leaves`: those of the weight step, where that was its pass."""
    if step.cached_gradients is not None and batch is step.train:
        return step.cached_gradients.layers[aligned_kind(step.space)], step.cached_gradients.parameters
    shift = no_shift(step).requires_grad_()
    layers, *others = gradients(loss_at(step, batch, shift), [shift, *leaves])
    return layers, others


def central(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: LayerAgreement) -> list[Tensor]:
    """A central difference (eq. 13) of radius ε0 / ‖Δ‖_F."""
    layers, _ = _here(step, batch, ())
    unit, scale = _step_along(layers, measure)
    radius = EPSILON0.of(step.settings)
    plus, minus = (gradients(loss_at(step, batch, side * radius * unit), leaves) for side in (1, -1))
    return [scale * (p - m) / (2 * radius) for p, m in zip(plus, minus, strict=True)]


def interleaved(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: LayerAgreement) -> list[Tensor]:
    """A forward (eq. 24) and a backward difference (eq. 25) in turn, from one mini-batch to the next."""
    side = step.memory.get("lambda-darts side", 1)
    step.memory["lambda-darts side"] = -side
    layers, here = _here(step, batch, leaves)
    unit, scale = _step_along(layers, measure)
    radius = EPSILON0.of(step.settings)
    there = gradients(loss_at(step, batch, side * radius * unit), leaves)
    return [scale * side * (t - h) / radius for t, h in zip(there, here, strict=True)]


def exact(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: LayerAgreement) -> list[Tensor]:
    """Double backward through the layer gradients: what the differences approximate."""
    shift = no_shift(step).requires_grad_()
    (layers,) = gradients(loss_at(step, batch, shift), [shift], create_graph=True)
    return list(gradients(mean_over_pairs(layers.flatten(1), measure.of), leaves))


DIFFERENCES = {"central": central, "interleaved": interleaved, "exact": exact}

LAMBDA = Option(
    "lambda", 0.25, "λ: strength of the alignment at the end of the search (eq. 8).", at_least=0, at_most=1e6
)
DIFFERENCE = Option(
    "difference",
    "central",
    "Gradient of the alignment: by eq. 13, by eqs. 24 and 25 in turn, or by double backward.",
    choices=tuple(DIFFERENCES),
)


# --- The regulariser (eq. 8) -----------------------------------------------------------------------------------------


def strength(step: Step) -> float:
    """λ_t = λ t / T, t the epochs that lie behind: the first epoch is plain DARTS, as in the authors' code."""
    return LAMBDA.of(step.settings) * step.epoch / step.settings.epochs


def regulariser(step: Step, batch: Batch, leaves: Sequence[Tensor], measure: LayerAgreement) -> list[Tensor]:
    """The gradient of -λ_t Λ on `batch` for `leaves`, by the difference that the settings name."""
    difference = DIFFERENCES[DIFFERENCE.of(step.settings)]
    no_shift(step)  # raises in the first epoch, not in the second, if there is nothing to align
    if strength(step) == 0:
        return [leaf.new_zeros(()) for leaf in leaves]
    return [-strength(step) * gradient for gradient in difference(step, batch, leaves, measure)]


def aligned_layers(step: Step) -> list[Tensor]:
    """Minus λ_t times layer alignment Λ, on the training batch (eqs. 5, 8)."""
    return regulariser(step, step.train, list(step.net.parameters()), COSINE)


def aligned_signs(step: Step) -> list[Tensor]:
    """Minus λ_t times sign alignment Λ±, on the training batch (eqs. 7, 8)."""
    return regulariser(step, step.train, list(step.net.parameters()), SIGN)


def aligned_layers_of_alpha(step: Step) -> Alpha:
    """Minus λ_t times layer alignment Λ, on the validation batch, for alpha (A.4)."""
    each = regulariser(step, step.valid, list(step.alpha.values()), COSINE)
    return dict(zip(step.alpha, each, strict=True))


# --- Recipes ---------------------------------------------------------------------------------------------------------

SOURCE = "Movahedi et al., Λ-DARTS: Mitigating Performance Collapse by Harmonizing Operation Selection, ICLR 2023"

# A.9.1. Weight decay 5e-4, Nesterov momentum and the order of steps are those of every search on this space.
ON_NATS: dict[str, Value] = {"epochs": 100, "alpha_learning_rate": 1e-4, "lambda": 0.125}

# A.9.2: the DARTS space with 7 operations, which lacks `none`; S3, which is made of it, keeps it. A.9.3: S1 to S4 as
# the DARTS space, on CIFAR-10. On CIFAR-100 and SVHN the paper sets batch_size to 96 and epsilon0 to 1e-3; settings
# do not depend on the data set, so there the user does.
LAMBDA_DARTS = replace(
    DARTS_1ST,
    name="lambda-darts",
    title="Λ-DARTS, layer alignment",
    source=SOURCE,
    inner=(aligned_layers,),
    layerwise=True,
    without={"darts": ("none",)},
    options=(LAMBDA, EPSILON0, DIFFERENCE),
    per_space={"nats-tss": ON_NATS},
)

LAMBDA_DARTS_SIGN = replace(
    LAMBDA_DARTS,
    name="lambda-darts-sign",
    title="Λ-DARTS, alignment of signs",
    inner=(aligned_signs,),
    options=(replace(LAMBDA, default=0.125), EPSILON0, DIFFERENCE),
)

# Table 5: 50 epochs on NATS-Bench. Alpha's learning rate is that which A.9.4 gives for 50 epochs, A.4 not saying.
LAMBDA_DARTS_OUTER = replace(
    LAMBDA_DARTS,
    name="lambda-darts-outer",
    title="Λ-DARTS, layer alignment in the outer objective",
    inner=(),
    layerwise=False,
    outer=(aligned_layers_of_alpha,),
    per_space={"nats-tss": {**ON_NATS, "epochs": 50, "alpha_learning_rate": 3e-4}},
)

# A.5.2, Table 7: "without any adjustment to the hyperparameters of Λ-DARTS".
LAMBDA_SDARTS_RS = replace(
    LAMBDA_DARTS,
    name="lambda-sdarts-rs",
    title="Λ-DARTS with SmoothDARTS's random smoothing",
    perturbation=SDARTS_RS.perturbation,
    options=(*LAMBDA_DARTS.options, *SDARTS_RS.options),
)

# A.5.1, Table 6: Λ in the place of P-DARTS's priors on skip-connections.
LAMBDA_P_DARTS = replace(
    P_DARTS_NO_PRIORS,
    name="lambda-p-darts",
    title="P-DARTS with Λ-DARTS's layer alignment for its priors",
    source=SOURCE,
    inner=LAMBDA_DARTS.inner,
    layerwise=True,
    options=LAMBDA_DARTS.options,
    per_space={"nats-tss": {**P_DARTS_NO_PRIORS.per_space["nats-tss"], "lambda": ON_NATS["lambda"]}},
)
