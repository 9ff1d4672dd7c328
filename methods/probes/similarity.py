"""The similarity of the cells of one stage: of their outputs, and of the gradients there (Λ-DARTS, Figure 6)."""

from collections import defaultdict

import torch
from torch import Tensor

from methods.search.layer_gradients import aligned_kind, alignment
from methods.search.probe import Number, Probe, View
from methods.search.step import Step


def outputs_and_gradients(step: Step) -> list[tuple[Tensor, Tensor]]:
    """Each cell's output on the validation batch and the loss's gradient there, [N, C, H, W], first cell first.

    Cells of the aligned kind alone. The paper compares single operations and nodes within a cell; the output (of
    `nats-tss` the last node, of the DARTS spaces all nodes) is what every engine of a supernet has.
    """
    outputs: list[Tensor] = []
    cells = [cell for cell in step.net.cells if getattr(cell, "kind", None) == aligned_kind(step.space)]  # type: ignore[union-attr]
    hooks = [cell.register_forward_hook(lambda module, given, output: outputs.append(output)) for cell in cells]
    try:
        loss = step.loss(step.valid)
    finally:
        for hook in hooks:
            hook.remove()
    gradients = torch.autograd.grad(loss, outputs)
    return [(output.detach(), gradient) for output, gradient in zip(outputs, gradients, strict=True)]


def likeness(view: View) -> dict[str, Number]:
    """Cosine similarity of cell outputs, and of the gradients there: mean over images and pairs of a stage's cells.

    A stage is what has one shape; they are numbered from 1, and one with a single cell has no pair and no number.
    """
    stages: defaultdict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for output, gradient in outputs_and_gradients(view.at):
        stages[output.shape].append((output, gradient))
    columns: dict[str, Number] = {}
    for number, pairs in enumerate(stages.values(), 1):
        if len(pairs) < 2:
            continue
        for name, tensors in zip(("outputs", "gradients"), zip(*pairs, strict=True), strict=True):
            columns[f"{name}.{number}"] = float(alignment(torch.stack(tensors).flatten(2)))
    return columns


SIMILARITY = Probe("similarity", likeness)
