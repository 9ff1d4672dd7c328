"""Amended-DARTS: Stabilizing DARTS with Amended Gradient Estimation on Architectural Parameters (2019).

Where the weights are optimal, the gradient of DARTS's outer problem is g = g1 + g2 (eqs. 2 and 5),

    g1 = ∇_α L_val(ω, α),     g2 = -∇²_{α,ω} L_train · H⁻¹ · ∇_ω L_val,     H = ∇²_ω L_train .

H⁻¹ cannot be computed. First-order DARTS drops g2, second-order DARTS replaces H⁻¹ by the identity; this method by H,

    g2' = -η ∇²_{α,ω} L_train · H · ∇_ω L_val                                                             (eq. 6)

for which the paper argues ⟨g2', g2⟩ ≥ 0 (eq. 7). All at the current ω, for ω*(α).
"""

from dataclasses import replace

import torch
from torch import Tensor

from methods.darts import softmax
from methods.search.options import Option
from methods.search.recipe import Recipe
from methods.search.step import Alpha, Step, gradients
from spaces.common.settings import Value

Vector = tuple[Tensor, ...]  # one tensor a parameter, in the order of step.parameters()

ETA = Option("eta", 0.1, "η: factor of the amended term g2' (eq. 6).", at_least=0, at_most=1e3)
RADIUS = Option(
    "radius",
    0.001,
    "Radius of both central differences, times ‖v‖: ε = radius / ‖v‖ (appendix A.2, which names no value).",
    above=0,
    at_most=1e3,
)


def outer_gradients(step: Step) -> tuple[Alpha, Vector]:
    """g1 = ∇_α L_val and v = ∇_ω L_val, of one pass."""
    alpha, parameters = list(step.alpha.values()), list(step.parameters().values())
    both = gradients(step.loss(step.valid), [*alpha, *parameters])
    return dict(zip(step.alpha, both[: len(alpha)], strict=True)), both[len(alpha) :]


def shifted(step: Step, direction: Vector, by: float | Tensor) -> dict[str, Tensor]:
    """The weights at ω + by · direction, as leaves."""
    return {
        name: (w.detach() + by * d).requires_grad_()
        for (name, w), d in zip(step.parameters().items(), direction, strict=True)
    }


def weight_gradient_at(step: Step, parameters: dict[str, Tensor]) -> Vector:
    """∇_ω L_train at other weights."""
    held = {kind: a.detach() for kind, a in step.alpha.items()}
    return gradients(step.loss(step.train, alpha=held, parameters=parameters), list(parameters.values()))


def curved(step: Step, v: Vector) -> tuple[Vector, Tensor]:
    """ε · H v and ε by a central difference of ∇_ω L_train at ω1,2 = ω ± ε v (appendix A.2).

    The paper calls ε "a small scalar": ours is 0.001 / ‖v‖. DARTS's 0.01 / ‖v‖ would do for one difference, but the
    second one is taken over ε ‖H v‖, which is longer, and would be wrong by a fifth. Where v = 0 so is H v.
    """
    norm = torch.stack([d.square().sum() for d in v]).sum().sqrt()
    epsilon = RADIUS.of(step.settings) / norm.clamp_min(torch.finfo(norm.dtype).tiny)
    sides = (weight_gradient_at(step, shifted(step, v, sign * epsilon)) for sign in (1, -1))
    return tuple((plus - minus) / 2 for plus, minus in zip(*sides, strict=True)), epsilon


def g2_amended(step: Step, v: Vector) -> Alpha:
    """g2' (eq. 6) by two central differences, the second at ω3,4 = ω ± ε H v (appendix A.2).

    The appendix ends with a difference of ∇_ω L_val, a misprint: it has not alpha's shape. The mixed derivative of
    eq. 6 is one of L_train, so that g2' = -η (∇_α L_train(ω3, α) - ∇_α L_train(ω4, α)) / (2ε).
    """
    eta = ETA.of(step.settings)
    direction, epsilon = curved(step, v)
    plus, minus = (
        step.alpha_gradient(step.loss(step.train, parameters=shifted(step, direction, sign))) for sign in (1, -1)
    )
    return {kind: -eta * (plus[kind] - minus[kind]) / (2 * epsilon) for kind in plus}


def g2_amended_exact(step: Step, v: Vector) -> Alpha:
    """g2' (eq. 6) by double backward: H v, then its mixed product."""
    parameters = list(step.parameters().values())
    training = gradients(step.loss(step.train), parameters, create_graph=True)
    along = torch.stack([(g * d).sum() for g, d in zip(training, v, strict=True)]).sum()
    product = torch.autograd.grad(along, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    mixed = step.alpha_gradient(torch.stack([(g * d).sum() for g, d in zip(training, product, strict=True)]).sum())
    return {kind: -ETA.of(step.settings) * m for kind, m in mixed.items()}


def amended(step: Step) -> Alpha:
    """g1 + g2', its Hessian products by the central differences of appendix A.2 (eq. 6)."""
    g1, v = outer_gradients(step)
    g2 = g2_amended(step, v)
    return {kind: g1[kind] + g2[kind] for kind in g1}


def amended_exact(step: Step) -> Alpha:
    """g1 + g2', its Hessian products by double backward (eq. 6)."""
    g1, v = outer_gradients(step)
    g2 = g2_amended_exact(step, v)
    return {kind: g1[kind] + g2[kind] for kind in g1}


# Section 4.1.1: 16 channels, batches of 96, alpha's Adam as in DARTS, η = 0.1; 100 epochs, at which the architecture
# barely changes any more (500 "to arrive at convergence"). The weights' optimiser is not named: "similarly as DARTS".
# The paper counts seven operations an edge (4.1.3) but finds `none` dominating (3.3): `none` stays, as in DARTS.
# Its fixed edges, 36 channels, cutout, dropout and auxiliary head in the search (4.1.2) are no part of this recipe.
SETTINGS: dict[str, Value] = {"batch_size": 96, "epochs": 100}

AMENDED = Recipe(
    name="amended-darts",
    title="Amended-DARTS (finite differences)",
    source="Stabilizing DARTS with Amended Gradient Estimation on Architectural Parameters, 2019",
    relaxation=softmax,
    gradient=amended,
    options=(ETA, RADIUS),
    settings=SETTINGS,
)

AMENDED_EXACT = replace(
    AMENDED,
    name="amended-darts-exact",
    title="Amended-DARTS (double backward)",
    gradient=amended_exact,
    options=(ETA,),
)
