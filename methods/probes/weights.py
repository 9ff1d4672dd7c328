"""The operation weights: entropy and saturation of each edge, and their change since the epoch before."""

import torch
from torch import Tensor

from methods.search.probe import Number, Probe, View


def entropy(weights: Tensor) -> Tensor:
    """The entropy (natural logarithm) of each edge's weights [edges, operations], normalised to a sum of 1: [edges].

    0 where all weights are zero.
    """
    total = weights.sum(-1, keepdim=True)
    p = weights / total.masked_fill(total == 0, 1)
    return torch.special.entr(p).sum(-1)


def saturation(weights: Tensor, mask: Tensor) -> Tensor:
    """1 - H / log m on each edge of weights [edges, operations], m its operations by `mask`: [edges].

    0 where all m weights are equal; 1 where one weight is all, at which the softmax's Jacobian is zero; 1 for m = 1.
    """
    most = mask.sum(-1).to(weights).log()
    return torch.where(most > 0, 1 - entropy(weights) / most.clamp(min=torch.finfo(most.dtype).tiny), 1.0)


def certainty(view: View) -> dict[str, Number]:
    """Entropy of each edge's weights, their saturation, and the L1 norm of their change since the epoch before.

    The change is ‖Δp‖₁ of Λ-DARTS's Figure 3, over all edges of a kind and, where cells have weights of their own, the
    mean over these.
    """
    columns: dict[str, Number] = {}
    for kind, weights in view.weights.items():
        now = weights.detach().to("cpu", torch.float64)
        mean = now.mean(0) if now.dim() == 3 else now
        columns[f"entropy.{kind}"] = entropy(mean).tolist()
        columns[f"saturation.{kind}"] = float(saturation(mean, view.space.mask[kind]).mean())
        if view.before is not None:
            moved = now - torch.tensor(view.before[kind], dtype=torch.float64).view_as(now)
            columns[f"change.{kind}"] = float(moved.abs().sum((-2, -1)).mean())
    return columns


WEIGHTS = Probe("weights", certainty, supernet=False)
