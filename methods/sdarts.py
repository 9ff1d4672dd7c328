"""SmoothDARTS with random smoothing, SDARTS-RS (Chen & Hsieh, ICML 2020).

The network weights are trained for a neighbourhood of the architecture, not for one point,

    min_A L_val(w̄(A), A)   with   w̄(A) = argmin_w E_{δ ~ U[-ε, ε]} L_train(w, A + δ),

by one draw of δ a weight step; the alpha step sees A itself. A are the operation weights after the softmax: its
authors' code adds the noise there and brings the sum back to a distribution, since a radius of 0.3 hardly moves
a softmax whose alpha are near zero.
"""

from dataclasses import replace

import torch
from torch import Tensor

from methods.darts import DARTS_1ST
from methods.search.options import Option
from methods.search.pieces import unperturbed
from methods.search.step import Alpha, Step

NOISE_START = Option("noise_start", 0.03, "Radius ε of the noise in the first epoch.", at_least=0, at_most=1e3)
NOISE_END = Option(
    "noise_end", 0.3, "Radius ε of the noise that the epochs approach linearly.", at_least=0, at_most=1e3
)


def noise_radius(step: Step) -> float:
    """ε of this epoch: linear from `noise_start` towards `noise_end`, 0.03 to 0.3."""
    start, end = NOISE_START.of(step.settings), NOISE_END.of(step.settings)
    return start + (end - start) * step.epoch / step.settings.epochs


def distribution(rows: Tensor, mask: Tensor) -> Tensor:
    """Rows [edges, operations] clipped to [0, 1] and normalised; a row of no positive entry is 1 at its largest."""
    clipped = rows.clamp(0, 1).masked_fill(~mask, 0)
    total = clipped.sum(-1, keepdim=True)
    largest = rows.masked_fill(~mask, -torch.inf).argmax(-1)
    alone = torch.nn.functional.one_hot(largest, rows.shape[-1]).to(rows.dtype)
    return torch.where(total > 0, clipped / total, alone)


def random_smoothing(step: Step) -> Alpha:
    """Alpha whose softmax is the operation weights plus uniform noise of radius ε, brought back to a distribution."""
    radius = noise_radius(step)
    if radius == 0:
        return unperturbed(step)
    perturbed = unperturbed(step)
    for kind, weights in step.relaxation(unperturbed(step), step, step.train.split).items():
        # Drawn in float32 on the host, for the same noise on every device and in every precision.
        drawn = torch.rand(weights.shape, generator=step.generator("sdarts noise", kind), dtype=torch.float32)
        noise = (radius * (2 * drawn - 1)).to(weights, non_blocking=True)
        mask = step.space.mask[kind].to(weights.device, non_blocking=True)
        perturbed[kind] = distribution(weights + noise, mask).log()
    return perturbed


# The paper has no search on NATS-Bench: there the settings are those that DARTS has in this suite.
# Its DARTS space lacks `none`; S3, which is made of it, keeps it.
SDARTS_RS = replace(
    DARTS_1ST,
    name="sdarts-rs",
    title="SmoothDARTS, random smoothing",
    source="Chen & Hsieh, Stabilizing Differentiable Architecture Search via Perturbation-based Regularization, "
    "ICML 2020",
    perturbation=random_smoothing,
    without={"darts": ("none",)},
    options=(NOISE_START, NOISE_END),
)
