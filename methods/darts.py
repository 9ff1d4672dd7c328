"""DARTS: Differentiable Architecture Search (Liu, Simonyan & Yang, ICLR 2019).

    min_α L_val(w*(α), α)   with   w*(α) = argmin_w L_train(w, α)                                  (eqs. 3-4)

is descended by alternating steps; ∇α is taken at one unrolled weight step

    w' = w - ξ ∇_w L_train(w, α)                                                                    (eq. 6, inside)
    ∇α ≈ ∇_α L_val(w', α) - ξ ∇²_{α,w} L_train(w, α) ∇_{w'} L_val(w', α)                             (eq. 7)

with ξ = 0 (first order: ∇_α L_val(w, α)) or ξ the weights' learning rate (second order).
"""

from dataclasses import replace

import torch
from torch import Tensor

from methods.search.options import Option
from methods.search.recipe import Recipe
from methods.search.step import Alpha, Step, StepContext, Weights, gradients

RADIUS = Option(
    "radius",
    0.01,  # section 2.3, in a footnote
    "Radius of the finite difference, times ‖∇w' L_val(w', α)‖: ε = radius / ‖∇w' L_val(w', α)‖ (eq. 8).",
    above=0,
    at_most=1e3,
)


def softmax(alpha: Alpha, at: StepContext, split: str) -> Weights:
    """Softmax over the operations that an edge has (eq. 2)."""
    tables = at.tables(alpha)
    absent = {kind: (~at.space.mask[kind]).to(a.device, non_blocking=True) for kind, a in tables.items()}
    return {kind: a.masked_fill(absent[kind], -torch.inf).softmax(-1) for kind, a in tables.items()}


def first_order(step: Step) -> Alpha:
    """The validation loss's gradient with respect to alpha, weights held (eq. 7 with ξ = 0)."""
    return step.alpha_gradient(step.loss(step.valid))


def unroll(step: Step, training: tuple[Tensor, ...]) -> dict[str, Tensor]:
    """The weights after the optimiser's next step on the gradient `training`, with its weight decay and momentum."""
    s = step.settings
    moved = {}
    for (name, w), gradient, momentum in zip(step.parameters().items(), training, step.momenta(), strict=True):
        decayed = gradient + s.weight_decay * w.detach()
        velocity = s.momentum * momentum + decayed
        direction = decayed + s.momentum * velocity if s.nesterov else velocity
        moved[name] = w.detach() - step.learning_rate * direction
    return moved


def second_order(step: Step) -> Alpha:
    """One unrolled step, its Hessian product by a central difference of radius / ‖v‖ (eqs. 7-8)."""
    parameters = step.parameters()
    held = {kind: a.detach() for kind, a in step.alpha.items()}
    training = gradients(step.loss(step.train, alpha=held), list(parameters.values()))
    moved = {name: w.requires_grad_() for name, w in unroll(step, training).items()}

    loss = step.loss(step.valid, parameters=moved)
    both = gradients(loss, [*step.alpha.values(), *moved.values()])
    outer, vector = both[: len(step.alpha)], both[len(step.alpha) :]

    norm = torch.stack([v.square().sum() for v in vector]).sum().sqrt()
    # Where v is zero so is the product, which any finite radius gives.
    radius = RADIUS.of(step.settings) / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    sides = []
    for sign in (1, -1):
        shifted = {n: w.detach() + sign * radius * v for (n, w), v in zip(parameters.items(), vector, strict=True)}
        sides.append(step.alpha_gradient(step.loss(step.train, parameters=shifted)))
    plus, minus = sides
    # Nesterov's step adds the newest gradient once more, so w' moves by that much more along it.
    reach = step.learning_rate * (1 + step.settings.momentum if step.settings.nesterov else 1)
    return {
        kind: g - reach * (plus[kind] - minus[kind]) / (2 * radius)
        for (kind, _), g in zip(step.alpha.items(), outer, strict=True)
    }


def second_order_exact(step: Step) -> Alpha:
    """One unrolled step, differentiated exactly by double backward (eq. 7 without eq. 8's difference)."""
    parameters = step.parameters()
    training = gradients(step.loss(step.train), list(parameters.values()), create_graph=True)
    return step.alpha_gradient(step.loss(step.valid, parameters=unroll(step, training)))


SOURCE = "Liu, Simonyan & Yang, DARTS: Differentiable Architecture Search, ICLR 2019"

DARTS_1ST = Recipe(
    name="darts-1st",
    title="DARTS, first order",
    source=SOURCE,
    relaxation=softmax,
    gradient=first_order,
)

DARTS_2ND = replace(
    DARTS_1ST,
    name="darts-2nd",
    title="DARTS, second order (finite differences)",
    gradient=second_order,
    options=(RADIUS,),
)

DARTS_2ND_EXACT = replace(
    DARTS_1ST,
    name="darts-2nd-exact",
    title="DARTS, second order (double backward)",
    gradient=second_order_exact,
)
