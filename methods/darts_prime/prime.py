"""DARTS-PRIME: Regularization and Scheduling Improve Constrained Optimization in Differentiable NAS (AAAI 2022).

DARTS is taken as an optimisation under a constraint, alpha in S, the set of discrete architectures (eqs. 1-4):

    min_α L_val(w*(α), α)   with   w*(α) = argmin_w L_train(w, α),   α ∈ S                          (eq. 5)

Two pieces serve it, each a row of the paper's tables, and both together are DARTS-PRIME (algorithm 1):

- **FIMT**: alpha moves when the weights are near an optimum: when a moving average of the Fisher information's trace is
  below a threshold that adapts (section 3.1);
- **PR**: alpha is pulled towards its own discretization, ever more strongly (section 3.2).

CS10 moves alpha at every tenth step: FIMT's schedule without its information. The pieces of the supplement (ADMM, CRB)
are in `methods/darts_prime/supplement.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, inf, log
from typing import Any

import torch
from torch import Tensor

from methods.darts import DARTS_1ST
from methods.search.options import Option
from methods.search.step import Alpha, Step, Weights
from spaces.base import Space
from spaces.common.settings import Value

# Section 4.2: r, h_0, h_i and λ.
RATIO = Option(
    "ratio",
    10,
    "r: steps of the weights alone for each step that moves alpha too (4.2).",
    at_least=1,
    at_most=1_000_000,
)
THRESHOLD = Option(
    "threshold", 1.0, "h_0: threshold of the Fisher trace in the first step (algorithm 1).", above=0, at_most=1e12
)
THRESHOLD_RISE = Option(
    "threshold_rise",
    1.05,
    "h_i: factor of the threshold in a step that does not move alpha (algorithm 1).",
    at_least=1,
    at_most=1e3,
)
EWMA = Option("ewma", 0.2, "λ: share of the newest trace in the moving average (eq. 7).", above=0, at_most=1)
# Section 4.2: 0.1 on images, 1.0 on text.
RHO_P = Option("rho_p", 0.1, "ρ_p: strength of proximity regularization (eq. 8).", at_least=0, at_most=1e6)


# Section 3.1: the schedule.
def fisher_trace(gradients: Sequence[Tensor]) -> float:
    """tr(G Gᵀ) of the network weights' gradient G: the sum of its squares (eq. 6)."""
    return float(torch.stack([g.square().sum() for g in gradients]).sum())


def moving_trace(step: Step, gradients: Sequence[Tensor]) -> None:
    """The Fisher information's trace on each training batch, as a moving average (eq. 7; algorithm 1, line 5).

    Of the training loss alone: neither clipped nor with weight decay. The average begins at the first trace, since the
    paper names no value before it (its public code does the same).
    """
    share = EWMA.of(step.settings)
    trace = fisher_trace(gradients)
    average = share * trace + (1 - share) * step.memory.get("fimt.trace", trace)
    step.memory["fimt.trace"] = average
    _tally(step, steps=1, trace=trace, average=average)


def fimt(step: Step) -> bool:
    """Where the trace is below a threshold, which falls if it was and rises if not (algorithm 1, lines 6-11).

    On a constant trace the threshold returns to itself after r rises and one fall, h_i^r · h_d = 1: r steps of the
    weights alone for each step that moves alpha too.
    """
    rise = THRESHOLD_RISE.of(step.settings)
    fall = exp(-RATIO.of(step.settings) * log(rise))
    threshold = step.memory.get("fimt.threshold", THRESHOLD.of(step.settings))
    below = step.memory.get("fimt.trace", inf) < threshold  # inf: no trace is known yet, where alpha moves first
    step.memory["fimt.threshold"] = threshold * (fall if below else rise)
    _tally(step, threshold=threshold, moves=below)
    return bool(below)


def _tally(step: Step, **values: float) -> None:
    sums = step.memory.setdefault("fimt.sums", {})
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + value


def decisions(memory: dict[str, Any]) -> dict[str, float]:
    """Of each epoch: mean trace, moving average and threshold (before it changes), and the steps that moved alpha."""
    sums = memory.pop("fimt.sums")
    means = {f"fimt.{name}": sums[name] / sums["steps"] for name in ("trace", "average", "threshold")}
    return {**means, "fimt.moves": sums["moves"]}


def constant(step: Step) -> bool:
    """At every r-th weight step of the search, whatever the epochs' length (CS10: r = 10; section 4)."""
    taken = step.memory.get("constant.steps", 0) + 1
    step.memory["constant.steps"] = taken
    return bool(taken % RATIO.of(step.settings) == 0)


# Section 3.2: proximity regularization.
def projection(space: Space, weights: Mapping[str, Tensor]) -> Weights:
    """Π_S: the 0/1 weights `[edges, operations]` of the architecture that the search would derive from `weights`."""
    corner = space.encode(space.discretize(weights))
    return {kind: corner[kind].to(w) for kind, w in weights.items()}


def proximity(step: Step) -> Alpha:
    """∇α of (c ρ_p / 2) ‖a - Π_S(a)‖₂, a the relaxed alpha and c the share of the search that lies behind (eq. 8).

    The norm is not squared, as printed in eq. 8 and algorithm 1: the pull does not fade near an architecture. S is
    the set for one kind of cell (eqs. 1-4), so each kind has its own norm. Π_S is locally constant.
    """
    relaxed = step.relaxation(step.alpha, step, "select")
    corner = projection(step.space, relaxed)
    distance = torch.stack([torch.linalg.vector_norm(a - corner[kind]) for kind, a in relaxed.items()]).sum()
    return step.alpha_gradient(step.progress * RHO_P.of(step.settings) / 2 * distance)


# Section 4: the settings, and the rows of Tables 1 and 2.
SOURCE = (
    "Maile, Lecarpentier, Luga & Wilson, DARTS-PRIME: Regularization and Scheduling Improve Constrained Optimization "
    "in Differentiable NAS, AAAI 2022"
)

# Section 4.3: with r weight steps for one of alpha the images are split r : 1; rows that alternate keep 1 : 1.
# Algorithm 1 moves the weights first.
SCHEDULED: dict[str, Value] = {"weights_share": 10 / 11, "order": "weights-alpha"}

FIMT = (RATIO, THRESHOLD, THRESHOLD_RISE, EWMA)

DARTS_CS10 = replace(
    DARTS_1ST,
    name="darts+cs10",
    title="DARTS, first order, alpha at every tenth step (CS10)",
    source=SOURCE,
    schedule=constant,
    options=(RATIO,),
    settings=SCHEDULED,
)

DARTS_FIMT = replace(
    DARTS_1ST,
    name="darts+fimt",
    title="DARTS, first order, with the dynamic FIMT schedule",
    source=SOURCE,
    watch=(moving_trace,),
    schedule=fimt,
    log=(decisions,),
    options=FIMT,
    settings=SCHEDULED,
)

DARTS_PR = replace(
    DARTS_1ST,
    name="darts+pr",
    title="DARTS, first order, with proximity regularization",
    source=SOURCE,
    outer=(proximity,),
    options=(RHO_P,),
)

DARTS_PRIME = replace(
    DARTS_FIMT,
    name="darts-prime",
    title="DARTS-PRIME: FIMT schedule and proximity regularization",
    outer=(proximity,),
    options=(*FIMT, RHO_P),
)
