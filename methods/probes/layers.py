"""The gradients of the layers that Λ-DARTS monitors (Movahedi et al., ICLR 2023); equation numbers are the paper's.

All of them are of the aligned kind of cell (`methods.search.layer_gradients.aligned_kind`) and need two such cells:
where a supernet has fewer, nothing is measured.
"""

import torch
from torch import Tensor

from methods.search.layer_gradients import (
    aligned_kind,
    alignment,
    first_and_last,
    gradient_bound,
    layer_gradients,
    running_average,
    second_order_layer_gradients,
    sign_alignment,
)
from methods.search.probe import Memory, Number, Probe, View
from methods.search.step import Step

ENDS = 5
"""Layers in each of Figure 2's two sums, of fifteen in all. In a shallower supernet as many as do not overlap."""


def layers(step: Step) -> int:
    """The number of cells of the aligned kind."""
    return step.space.cells_of(aligned_kind(step.space), step.settings.cells)


def agreement(view: View) -> dict[str, Number]:
    """Layer alignment Λ (eq. 5) and Λ± (eq. 7), of the validation loss and of the training loss."""
    if layers(view.at) < 2:
        return {}
    columns: dict[str, Number] = {}
    for batch in (view.at.valid, view.at.train):
        gradients = layer_gradients(view.at, batch).flatten(1)
        columns[f"cosine.{batch.split}"] = float(alignment(gradients))
        columns[f"sign.{batch.split}"] = float(sign_alignment(gradients))
    return columns


def second_order_agreement(view: View) -> dict[str, Number]:
    """Layer alignment Λ (eq. 5) and Λ± (eq. 7) of the second-order layer gradients (eq. 20; Figure 5)."""
    if layers(view.at) < 2:
        return {}
    gradients = second_order_layer_gradients(view.at).detach().flatten(1)
    return {"cosine": float(alignment(gradients)), "sign": float(sign_alignment(gradients))}


def watch_ends(step: Step, memory: Memory) -> None:
    """Sum the gradients of the first and last layers over steps, and average them with decay 0.999 (Figures 2, 7)."""
    count = layers(step)
    if count < 2:
        return
    mask = step.space.mask[aligned_kind(step.space)].to(step.valid.images.device)
    ends = first_and_last(layer_gradients(step, step.valid), mask, cells=min(ENDS, count // 2)).double()
    memory["average"] = running_average(memory.get("average"), ends)
    memory["sum"] = memory.get("sum", torch.zeros_like(ends)) + ends


def ends_so_far(view: View) -> dict[str, Number]:
    """Per operation, the running average and sum of the first and of the last layers' gradients."""
    columns: dict[str, Number] = {}
    for name, kept in view.memory.items():
        first, last = kept.tolist()
        columns |= {f"{name}.first": first, f"{name}.last": last}
    return columns


def bounded(view: View) -> dict[str, Number]:
    """Proposition 1's lower bound of ‖∇_α L_val‖² (eq. 6), and what it bounds, both of the aligned kind.

    The bound holds for a softmax's weights and is left out where alpha is relaxed in another way.
    """
    step, kind = view.at, aligned_kind(view.space)
    gradient = step.alpha_gradient(step.loss(step.valid))[kind].double()
    columns: dict[str, Number] = {"measured": float(gradient.square().sum())}
    weights = step.relaxation(step.alpha, step, step.valid.split)[kind].detach()
    if layers(step) >= 2 and _is_softmax(weights, step.alpha[kind].detach(), step.space.mask[kind]):
        columns["bound"] = float(gradient_bound(layer_gradients(step, step.valid), weights))
    return columns


def _is_softmax(weights: Tensor, alpha: Tensor, mask: Tensor) -> bool:
    softmax = alpha.masked_fill(~mask.to(alpha.device), -torch.inf).softmax(-1)
    return weights.shape == softmax.shape and torch.allclose(weights, softmax, rtol=1e-5, atol=1e-7)


ALIGNMENT = Probe("alignment", agreement)
ALIGNMENT_2ND = Probe("alignment-2nd", second_order_agreement)
LAYER_GRADIENTS = Probe("layer-gradients", ends_so_far, follow=watch_ends)
BOUND = Probe("bound", bounded)
