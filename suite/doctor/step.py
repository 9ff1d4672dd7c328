"""A search's step as its passes alone, for whatever measures them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from spaces import get_space
from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision
from spaces.engine.cuda_graphs import Graphs

Step = Callable[[], None]


@dataclass(frozen=True)
class StepSize:
    """Channels, cells as the space counts them, images of a batch, and pixels of an image's side."""

    channels: int
    cells: int
    batch: int
    side: int


def make_step(
    space: str,
    engine: Engine,
    size: StepSize,
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    graphs: bool = False,
) -> Step:
    """Weight gradients, then the first-order gradient of alpha, of a supernet at softmax weights, on random images."""
    searched = get_space(space)
    torch.manual_seed(0)
    net = searched.supernet(size.channels, size.cells, classes=10, engine=engine, precision=precision)
    net.on(torch.device(device))
    alpha = {kind: table.to(device).requires_grad_() for kind, table in searched.alpha(seed=0).items()}
    images = torch.randn(size.batch, 3, size.side, size.side).to(device)
    labels = (torch.arange(size.batch) % 10).to(device)
    parameters = list(net.parameters())
    compute = Graphs(net) if graphs else net

    def take() -> None:
        fixed = {kind: a.detach().softmax(-1) for kind, a in alpha.items()}
        torch.autograd.grad(F.cross_entropy(compute(images, fixed), labels), parameters, allow_unused=True)
        weights = {kind: a.softmax(-1) for kind, a in alpha.items()}
        torch.autograd.grad(F.cross_entropy(compute(images, weights), labels), list(alpha.values()))

    return take
