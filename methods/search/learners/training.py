"""What learners share: optimisers, a step of descent, and the measurement of one split."""

from collections.abc import Sequence
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn

from methods.search.settings import Settings
from methods.search.step import Alpha, gradients
from methods.search.task import Batches, Task


def cosine_annealing(start: float, end: float, share: float) -> float:
    """Cosine annealing from `start` to `end` at `share` (0 … 1) of the way (Loshchilov & Hutter, 2017)."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


def sgd(net: nn.Module, settings: Settings) -> torch.optim.SGD:
    """The network weights' optimiser. It is fused: a supernet has over a thousand tensors of weights."""
    return torch.optim.SGD(
        net.parameters(),
        fused=True,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
    )


def alpha_optimiser(alpha: Alpha, settings: Settings) -> torch.optim.Optimizer:
    """Alpha's optimiser."""
    s = settings
    if s.alpha_optimiser == "sgd":
        return torch.optim.SGD(alpha.values(), lr=s.alpha_learning_rate, weight_decay=s.alpha_weight_decay)
    return torch.optim.Adam(
        alpha.values(),
        lr=s.alpha_learning_rate,
        betas=(s.alpha_beta1, s.alpha_beta2),
        weight_decay=s.alpha_weight_decay,
    )


def parameters_of(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """The optimiser's parameters, in its order. (Walking through a supernet's modules takes milliseconds.)"""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def weight_gradients(
    loss: Tensor, optimiser: torch.optim.Optimizer, others: Sequence[Tensor] = ()
) -> tuple[Tensor, ...]:
    """∇ of `loss` for the optimiser's parameters, in its order, then for `others`.

    It is zero for parameters without influence. A derived network may have such: of an operation whose output is not
    used, or whose input is `none`.
    """
    leaves = [*parameters_of(optimiser), *others]
    return gradients(loss, leaves)


def descend(optimiser: torch.optim.Optimizer, along: Sequence[Tensor], clip: float) -> None:
    """One optimiser step `along` gradients (in the order of `parameters_of`), clipped to the Euclidean norm `clip`."""
    norm = torch.stack(torch._foreach_norm(list(along))).norm()
    share = (clip / (norm + 1e-6)).clamp(max=1.0)  # as torch.nn.utils.clip_grad_norm_ has it
    clipped = torch._foreach_mul(list(along), share)
    for parameter, gradient in zip(parameters_of(optimiser), clipped, strict=True):
        parameter.grad = laid_out_as(parameter, gradient)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)


def laid_out_as(parameter: Tensor, tensor: Tensor) -> Tensor:
    """`tensor` in the memory layout of `parameter`, which a fused step does not check and relies on."""
    return tensor if tensor.stride() == parameter.stride() else torch.empty_like(parameter).copy_(tensor)


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load `state`, which may come from parameters that lay in memory in another way."""
    optimiser.load_state_dict(state)
    for parameter, held in optimiser.state.items():
        for name, value in held.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                held[name] = laid_out_as(parameter, value)


@torch.no_grad()
def measure(forward: Any, batches: Batches, batch_size: int, task: Task) -> tuple[float, float]:
    """Mean loss and metric of `forward(images, number)` over one split, by `task`."""
    loss: Tensor | float = 0.0  # summed on the device, as is the tally: no batch waits for the host
    tally: Tensor | float = 0.0
    count = 0
    for number, (images, targets) in enumerate(batches.all(batch_size)):
        outputs = forward(images, number)
        loss = loss + task.loss(outputs, targets, reduction="sum").double()
        tally = tally + task.tally(outputs, targets).double()
        count += len(targets)
    return float(loss) / count, task.score(float(tally), count)
