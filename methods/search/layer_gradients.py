"""The layers of a supernet: the gradient of the shared operation weights from each layer, and how these agree.

Cells of a kind share alpha, so the gradient of the operation weights p is a sum of ∇_{ℓp} L over the layers ℓ. Λ-DARTS
(Movahedi et al., ICLR 2023) regularises the agreement of the summands, and probes measure it in any search. Equation
and figure numbers are that paper's.
"""

from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor

from methods.search.step import Batch, Step, gradients
from spaces.base import Space
from spaces.common.errors import InputError

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
    """L(ω, P + shift): the loss with operation weights of its own for each layer; P are the shared ones (eq. 11)."""
    weights = step.relaxation(step.alpha, step, batch.split)
    kind = aligned_kind(step.space)
    return step.loss(batch, weights={**weights, kind: weights[kind] + shift})


def layer_gradients(step: Step, batch: Batch) -> Tensor:
    """∇_{ℓp} L (eq. 16) for each layer ℓ, [cells, edges, operations]; zero for operations that an edge lacks."""
    shift = no_shift(step).requires_grad_()
    return gradients(loss_at(step, batch, shift), [shift])[0]


def second_order_layer_gradients(step: Step) -> Tensor:
    """Eq. 20, the inverse Hessian replaced by the learning rate times the identity, [cells, edges, operations].

    ∇_{ℓp} L_val - ξ ∇²_{ℓp,ω} L_train ∇_ω L_val, the second term by double backward; the paper takes differences.
    """
    parameters = list(step.net.parameters())
    shift = no_shift(step).requires_grad_()
    first, *vector = gradients(loss_at(step, step.valid, shift), [shift, *parameters])
    training = gradients(loss_at(step, step.train, shift), parameters, create_graph=True)
    along = torch.stack([(g * v).sum() for g, v in zip(training, vector, strict=True)]).sum()
    (second,) = gradients(along, [shift])
    return first - step.learning_rate * second


# --- Layer alignment (eqs. 5, 7) -------------------------------------------------------------------------------------
# The paper assumes that no gradient is zero. Here the terms of a zero gradient are 0, as of orthogonal ones.


def divisor(x: Tensor) -> Tensor:
    """`x`, with infinity in place of zero."""
    return x.masked_fill(x == 0, torch.inf)


def norm(x: Tensor) -> Tensor:
    """The Euclidean norm over the last dimension, [..., 1]."""
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def cosine(own: Tensor, other: Tensor) -> Tensor:
    """The summand of eq. 5 for gradients [..., n]: their cosine, [...]."""
    return (own / divisor(norm(own)) * other / divisor(norm(other))).sum(-1)


def sign_agreement(own: Tensor, other: Tensor) -> Tensor:
    """The summand of eq. 7 for gradients [..., n]: ownᵀ other / |own|ᵀ|other|, [...]."""
    return (own * other).sum(-1) / divisor((own * other).abs().sum(-1))


def mean_over_pairs(gradients: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The mean over the binom(L, 2) pairs of layer gradients [cells, n] of the function `of` two layers."""
    first, second = torch.triu_indices(len(gradients), len(gradients), offset=1, device=gradients.device)
    return of(gradients[first], gradients[second]).mean()


def alignment(gradients: Tensor) -> Tensor:
    """Layer alignment Λ (eq. 5) of layer gradients [cells, edges * operations]: a scalar from -1 to 1."""
    return mean_over_pairs(gradients, cosine)


def sign_alignment(gradients: Tensor) -> Tensor:
    """Sign alignment Λ± (eq. 7) of layer gradients [cells, edges * operations]: a scalar from -1 to 1."""
    return mean_over_pairs(gradients, sign_agreement)


# --- What the paper monitors ------------------------------------------------------------------------------------------


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
