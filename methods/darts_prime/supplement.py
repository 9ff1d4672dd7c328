"""The supplement of DARTS-PRIME (AAAI 2022): CRB activation (S1.1), ADMM regularization (S1.2), Table S1's rows.

**CRB**, clipped ReLU with batch norm: operations do not compete. A weight is alpha itself, clipped to 0 … 1; a batch
norm after each node's sum compensates for weights that do not add to one; an operation whose alpha is not positive is
pruned for the rest of the search.

**ADMM** pulls alpha towards a discrete architecture as proximity regularization does, and accumulates the distance of
alpha from it in a dual variable u:

    α^{k+1} = argmin_α L_val(w*(α), α) + ρ_a/2 ‖α - z^k + u^k‖²,   w*(α) = argmin_w L_train(w, α)      (S1, S2)
    z^{k+1} = Π_S(α^{k+1} + u^k)                                                                       (S3)
    u^{k+1} = λ_u u^k + α^{k+1} - z^{k+1}                                              (S5; S4 has λ_u = 1)
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from methods.darts import DARTS_1ST
from methods.darts_prime.prime import DARTS_FIMT, DARTS_PRIME, SOURCE, projection
from methods.search.options import Option
from methods.search.recipe import Recipe
from methods.search.step import Alpha, Step, StepContext, Weights
from spaces.base import Space


# S1.1: CRB activation.
def computing(space: Space) -> dict[str, Tensor]:
    """Kind → bool `[edges, operations]`: the operations that an edge has, but for `none`.

    Without a softmax `none` has no influence on the others, "the operator can be removed": its weight is zero.
    """
    columns = torch.tensor([name != "none" for name in space.operations])
    return {kind: mask & columns for kind, mask in space.mask.items()}


def clipped(alpha: Alpha, at: StepContext, split: str) -> Weights:
    """Alpha clipped to 0 … 1, the weight of `none` zero (S1.1)."""
    return {
        kind: alpha[kind].clamp(0, 1).masked_fill(~present.to(alpha[kind].device, non_blocking=True), 0)
        for kind, present in computing(at.space).items()
    }


def even(space: Space, seed: int) -> Alpha:
    """1 / (number of the edge's operations) plus 1e-4 times standard normal; 0 for `none` and what an edge lacks.

    The paper gives no start; DARTS's, around zero, would prune half of all operations at once. This is the public
    code's.
    """
    around = {kind: 0.1 * noise for kind, noise in space.alpha(seed).items()}
    return {
        kind: (1 / present.sum(-1, keepdim=True) + around[kind]) * present for kind, present in computing(space).items()
    }


@torch.no_grad()
def pruned(step: Step) -> None:
    """An operation whose alpha is not positive is pruned: its alpha is zero from then on (S1.1)."""
    alive = step.memory.get("crb.alive") or computing(step.space)
    tables = step.tables(step.alpha)
    alive = {kind: alive[kind].to(alpha.device, non_blocking=True) & (alpha > 0) for kind, alpha in tables.items()}
    for kind, alpha in tables.items():
        alpha.masked_fill_(~alive[kind], 0)
    step.memory["crb.alive"] = alive


def with_crb(recipe: Recipe, name: str, title: str) -> Recipe:
    """`recipe` with CRB activation; alpha's weight decay, which would prune by itself, is off (S3)."""
    return replace(
        recipe,
        name=name,
        title=title,
        source=SOURCE,
        relaxation=clipped,
        start=even,
        constraint=pruned,
        settings={**recipe.settings, "node_norm": True, "alpha_weight_decay": 0.0},
    )


# S1.2: ADMM regularization. S3: ρ_a, λ_u, and alpha's steps between two updates of z and u.
RHO_A = Option("rho_a", 0.1, "ρ_a: strength of ADMM regularization (S1).", at_least=0, at_most=1e6)
LAMBDA_U = Option("lambda_u", 0.8, "λ_u: share of u that an update keeps (S5).", at_least=0, at_most=1)
ADMM_STEPS = Option(
    "admm_steps", 10, "Steps of alpha between two updates of z and u (S3, S5).", at_least=1, at_most=1_000_000
)
ADMM = (RHO_A, LAMBDA_U, ADMM_STEPS)


def admm(step: Step) -> Alpha:
    """∇α of ρ_a/2 ‖a - z + u‖², a the relaxed alpha (S1)."""
    relaxed = step.relaxation(step.alpha, step, "select")
    z, u = multipliers(step, {kind: a.detach() for kind, a in relaxed.items()})
    penalty = torch.stack([(a - z[kind] + u[kind]).square().sum() for kind, a in relaxed.items()]).sum()
    return step.alpha_gradient(RHO_A.of(step.settings) / 2 * penalty)


def multipliers(step: Step, relaxed: Mapping[str, Tensor]) -> tuple[Weights, Weights]:
    """The variables z and u, renewed after every `admm_steps` steps of alpha (S3 and S5; S3 Supplementary Results).

    The paper names no start: z begins at the relaxed alpha and u at zero, so that the term begins at zero. A weight of
    exactly zero belongs to an operation that is pruned or that the edge lacks: z does not choose it and its u is zero.
    """
    memory = step.memory
    taken = memory.get("admm.steps", 0)
    memory["admm.steps"] = taken + 1
    if taken == 0:
        memory["admm.z"] = dict(relaxed)
        memory["admm.u"] = {kind: torch.zeros_like(a) for kind, a in relaxed.items()}
    elif taken % ADMM_STEPS.of(step.settings) == 0:
        u = memory["admm.u"]
        least = torch.finfo(torch.float32).min
        z = projection(step.space, {kind: (a + u[kind]).masked_fill(a == 0, least) for kind, a in relaxed.items()})
        decay = LAMBDA_U.of(step.settings)
        memory["admm.z"] = z
        memory["admm.u"] = {kind: (decay * u[kind] + a - z[kind]).masked_fill(a == 0, 0) for kind, a in relaxed.items()}
    return memory["admm.z"], memory["admm.u"]


def with_admm(recipe: Recipe, name: str, title: str) -> Recipe:
    """`recipe` with ADMM regularization."""
    return replace(
        recipe,
        name=name,
        title=title,
        source=SOURCE,
        outer=(*recipe.outer, admm),
        options=(*recipe.options, *ADMM),
    )


# The rows of Table S1.
DARTS_CRB = with_crb(DARTS_1ST, "darts+crb", "DARTS, first order, with CRB activation")
DARTS_FIMT_CRB = with_crb(DARTS_FIMT, "darts+fimt+crb", "DARTS, FIMT schedule and CRB activation")
PRIME_CRB = with_crb(DARTS_PRIME, "prime+crb", "DARTS-PRIME with CRB activation")
DARTS_ADMM = with_admm(DARTS_1ST, "darts+admm", "DARTS, first order, with ADMM regularization")
DARTS_ADMM_FIMT = with_admm(DARTS_FIMT, "darts+admm+fimt", "DARTS, FIMT schedule and ADMM regularization")
DARTS_ADMM_FIMT_CRB = with_crb(
    DARTS_ADMM_FIMT, "darts+admm+fimt+crb", "DARTS, FIMT schedule, ADMM regularization and CRB activation"
)
