"""PR-DARTS: Theory-Inspired Path-Regularized Differential Network Architecture Search (Zhou et al., NeurIPS 2020).

    min_β F_val(W*(β), β) + λ1 L_skip(β) + λ2 L_non-skip(β) - λ3 L_path(β)                          (section 4.2)

Every operation has a gate of its own instead of a share of one softmax, so a skip-connection does not gain weight at
the cost of a convolution. Two regularisers keep the gates sparse, more strongly those of skip-connections; the third
favours the deep path. The paper's β is our alpha; its X^(l) are our nodes.

The paper's appendix (details of the optimisers, algorithm 1) is not part of its published text. What the text does not
say follows the authors' code, github.com/salesforce/PR-DARTS, and is marked so.
"""

from dataclasses import replace
from math import log

import torch
from torch import Tensor

from methods.darts import first_order
from methods.search.options import Option
from methods.search.recipe import Recipe
from methods.search.step import Alpha, Step, StepContext, Weights
from spaces.base import Space
from spaces.cells.genotype import PARAMETRIC, Genotype

# Section 5.1.
LAMBDA1 = Option("lambda1", 0.01, "λ1: strength of the sparsity of skip-connections (4.2).", at_least=0, at_most=1e6)
LAMBDA2 = Option("lambda2", 0.005, "λ2: strength of the sparsity of other operations (4.2).", at_least=0, at_most=1e6)
LAMBDA3 = Option("lambda3", 0.005, "λ3: strength of the path regulariser L_path (eq. 8).", at_least=0, at_most=1e6)
TAU_START = Option("tau_start", 10.0, "τ: temperature of the gates in the first epoch (5.1).", above=0, at_most=1e6)
TAU_END = Option("tau_end", 0.1, "τ: temperature of the gates in the last epoch (5.1).", above=0, at_most=1e6)
GATE_LOW = Option("gate_low", -0.1, "a: lower end to which gates are stretched (4.1).", at_least=-1e3, below=0)
GATE_HIGH = Option("gate_high", 1.1, "b: upper end to which gates are stretched (4.1).", above=1, at_most=1e3)
SAMPLED = Option(
    "sampled_operations",
    2,
    "Operations on each edge that a pass computes, drawn uniformly (5.1).",
    at_least=1,
    at_most=100,
)

# 4.1 Group-structured sparse operation gates


def temperature(at: StepContext) -> float:
    """τ of an epoch: linear from its start in the first to its end in the last (section 5.1).

    The paper does not say whether τ moves by epochs or by steps; by epochs in the authors' code, as in GDAS.
    """
    start, end = TAU_START.of(at.settings), TAU_END.of(at.settings)
    return start + (end - start) * at.epoch / max(at.settings.epochs - 1, 1)


def stretch(at: StepContext) -> tuple[float, float]:
    """(a, b), the interval that gates are stretched to before they are cut back to [0, 1]."""
    return GATE_LOW.of(at.settings), GATE_HIGH.of(at.settings)


def gate(alpha: Tensor, noise: Tensor, tau: float, low: float, high: float) -> Tensor:
    """The hard-concrete gate g in [0, 1] of each entry of `alpha`; `noise` δ is uniform on (0, 1), of the same shape.

    ḡ = Θ((ln δ - ln(1-δ) + β) / τ), stretched from (0, 1) to (`low`, `high`) and cut back to [0, 1] (section 4.1,
    after Louizos et al., ICLR 2018). Reparameterised: the gradient reaches alpha wherever a gate is not cut.
    """
    relaxed = ((noise.logit().to(alpha, non_blocking=True) + alpha) / tau).sigmoid()
    return (low + (high - low) * relaxed).clamp(0, 1)


def activation(alpha: Tensor, at: StepContext) -> Tensor:
    """P(g ≠ 0) = Θ(β - τ ln(-a/b)) for each entry of `alpha` (Theorem 3), float64.

    (The theorem's intervals are those of ḡ, though it prints g̃.) At τ = 10 all probabilities lie within 1e-10 of
    one: in float32 they would all be one, their gradients zero, and a genotype would be a matter of ties.
    """
    low, high = stretch(at)
    return (alpha.double() - temperature(at) * log(-low / high)).sigmoid()


def two_operations(kind: str, at: StepContext, split: str) -> Tensor:
    """The operations, bool [edges, operations], that a pass computes: on each edge so many of its own, uniformly.

    "We randomly select only two operations on each edge to update" (section 5.1). An edge of two keeps both. The
    authors' code takes the two largest of the sampled gates instead, after dropping some at random.
    """
    mask = at.space.mask[kind]
    count = SAMPLED.of(at.settings)
    order = torch.rand(mask.shape, generator=at.generator("pr-darts operations", split, kind), device="cpu")
    drawn = order.masked_fill(~mask, -1).topk(min(count, mask.shape[1])).indices
    return torch.zeros_like(mask).scatter(1, drawn, True) & mask


def sampled_gates(alpha: Alpha, at: StepContext, split: str) -> Weights:
    """Hard-concrete gates on two operations an edge (eq. 7); to select: activation probabilities (Theorem 3).

    (Eq. 7 sums over 1 ≤ i; node 0 is an input too, as eq. 1 has it.) Within a step, passes on one split share their
    draws. Drawn in float64 on the host, so that every device and precision sees the same gates.
    """
    if split == "select":
        return {
            kind: activation(a, at).masked_fill(~at.space.mask[kind].to(a.device), 0)
            for kind, a in at.tables(alpha).items()
        }
    low, high = stretch(at)
    weights = {}
    for kind, a in at.tables(alpha).items():
        stream = at.generator("pr-darts gates", split, kind)
        noise = torch.rand(a.shape, generator=stream, dtype=torch.float64, device="cpu").clamp_min(1e-12)
        gates = gate(a, noise, temperature(at), low, high)
        weights[kind] = gates * two_operations(kind, at, split).to(a.device, non_blocking=True)
    return weights


def group(at: StepContext, kind: str, *, skip: bool) -> Tensor:
    """Bool [edges, operations]: the skip-connections that the edges have, or all their other operations."""
    columns = torch.tensor([(name == "skip_connect") == skip for name in at.space.operations], device="cpu")
    return at.space.mask[kind] & columns


def group_sparsity(alpha: Alpha, at: StepContext, *, skip: bool) -> Tensor:
    """L_skip or L_non-skip: the mean activation probability of a group of operations (section 4.1), scalar.

    The mean is over what edges have, so 1 / (number of edges) stands for ζ = 2 / (h(h-1)): they are equal where
    every pair of nodes is an edge (`nats-tss`, 6); the DARTS cell has 14 edges, one fewer, its inputs not being
    connected. `none` and `noise` are of the non-skip group. A group without members (S4 has no skip-connection)
    costs nothing. Kinds of cells count alike: the paper regularises "the cell"; the mean over both is its code's.
    """
    means = []
    for kind, a in at.tables(alpha).items():
        # The mask's places are computed on the host, so that no device is waited for.
        members = [place.to(a.device, non_blocking=True) for place in group(at, kind, skip=skip).nonzero().unbind(1)]
        means.append(activation(a, at)[*members].sum() / max(len(members[0]), 1))
    return torch.stack(means).mean()


# 4.2 Path-depth-wise regularizer on operation gates


def deep_path(space: Space, kind: str) -> list[int]:
    """The numbers of the edges of the path through all neighbouring nodes, from the previous cell's output on.

    That output is the last input node: node 1 of a DARTS cell, whose path is 1 → 2 → 3 → 4 → 5 (its node X^(h-1) only
    concatenates, without operations), node 0 of a `nats-tss` cell, whose path is 0 → 1 → 2 → 3.
    """
    first = space.notation.inputs - 1
    steps = [(node, node + 1) for node in range(first, first + space.notation.nodes)]
    return [space.edges[kind].index(step) for step in steps]


def path_probability(alpha: Alpha, at: StepContext) -> Tensor:
    """L_path (eq. 8): ∏ over the deep path's edges of Σ P(g ≠ 0) over their parameterised operations, scalar.

    (The product ends at the last pair of neighbours; as printed it asks for a node X^(h).) The paper calls the sums
    probabilities; gates being independent, they are expected numbers of active convolutions, and L_path is the
    expected number of convolution-only paths of full depth: up to 4^4 in the DARTS cell. Mean over kinds of cells.
    """
    columns = torch.tensor([name in PARAMETRIC for name in at.space.operations], device="cpu")
    products = []
    for kind, a in at.tables(alpha).items():
        rows = deep_path(at.space, kind)
        convolutions = (at.space.mask[kind][rows] & columns).to(a.device, non_blocking=True)
        products.append((activation(a, at)[rows] * convolutions).sum(1).prod())
    return torch.stack(products).mean()


# The regularisers' gradients: outer terms of a recipe. All are exact, by differentiation of the closed forms.


def skip_sparsity(step: Step) -> Alpha:
    """∇α of λ1 L_skip: the mean activation probability of the skip-connections (section 4.1)."""
    return step.alpha_gradient(LAMBDA1.of(step.settings) * group_sparsity(step.alpha, step, skip=True))


def non_skip_sparsity(step: Step) -> Alpha:
    """∇α of λ2 L_non-skip: the mean activation probability of all other operations (section 4.1)."""
    return step.alpha_gradient(LAMBDA2.of(step.settings) * group_sparsity(step.alpha, step, skip=False))


def path_depth(step: Step) -> Alpha:
    """∇α of -λ3 L_path: convolutions along the deepest path are encouraged (eq. 8)."""
    return step.alpha_gradient(-LAMBDA3.of(step.settings) * path_probability(step.alpha, step))


def most_active(space: Space, weights: Weights) -> Genotype:
    """The space's discretization of the activation probabilities, `none` left out (section 5.1).

    "We compare the gate activation probabilities of all non-zero operations" on every space: the loss does not
    depend on the gate of `none`, so on `nats-tss` its probability says nothing about the edge.
    """
    columns = torch.tensor([name == "none" for name in space.operations], device="cpu")
    return space.discretize({kind: w.masked_fill(columns.to(w.device), -1) for kind, w in weights.items()})


# λ, τ, (a, b), epochs, batch and two operations an edge: section 5.1. Silent there and as in the authors' code: the
# order of the steps, Nesterov momentum, weight decay, batch statistics (gates make each pass another mixture, whose
# statistics would say little about the one that is measured).
PR_DARTS = Recipe(
    name="pr-darts",
    title="PR-DARTS",
    source="Zhou, Xiong, Socher & Hoi, Theory-Inspired Path-Regularized Differential NAS, NeurIPS 2020",
    relaxation=sampled_gates,
    gradient=first_order,
    outer=(skip_sparsity, non_skip_sparsity, path_depth),
    selection=most_active,
    options=(LAMBDA1, LAMBDA2, LAMBDA3, TAU_START, TAU_END, GATE_LOW, GATE_HIGH, SAMPLED),
    settings={
        "epochs": 200,
        "batch_size": 128,
        "weight_decay": 5e-4,
        "nesterov": True,
        "order": "weights-alpha",
        "batch_norm": "batch",
    },
)

# Figure 1's ablation. Eq. 8 is made of gates, so the path regulariser alone is gates without sparsity.
PR_DARTS_GATES = replace(
    PR_DARTS,
    name="pr-darts-gates",
    title="PR-DARTS, group-structured sparse gates alone",
    outer=(skip_sparsity, non_skip_sparsity),
)
PR_DARTS_PATH = replace(
    PR_DARTS,
    name="pr-darts-path",
    title="PR-DARTS, path-depth-wise regulariser alone",
    outer=(path_depth,),
)
