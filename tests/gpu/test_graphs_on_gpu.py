"""CUDA graphs give the bits of eager passes, by every engine, on both families of supernets and in every mode."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spaces import get_space
from spaces.engine import kernel_choice
from spaces.engine.cuda_graphs import Graphs
from spaces.engine.ways import Way, using, ways

PASSES = 5  # two are eager, the third is replayed and compared, the others are replayed


@pytest.mark.parametrize("way", ways("cuda", "fp32"), ids=str)
@pytest.mark.parametrize("space", ["nats-tss", "s1"])
def test_bits_are_equal(gpu: torch.device, space: str, way: Way) -> None:
    if reason := kernel_choice.obstacle(way, gpu, torch.float32, 16):
        pytest.skip(reason)
    searched = get_space(space)
    tables = {kind: torch.rand(mask.shape) for kind, mask in searched.mask.items()}
    batches = [torch.randn(8, 3, 16, 16) for _ in range(PASSES)]

    def passes(graphs: bool) -> list[Tensor]:
        torch.manual_seed(0)
        net = searched.supernet(16, 1 if space == "nats-tss" else 3, classes=3, engine=way.engine).on(gpu)
        compute: Any = Graphs(net) if graphs else net
        found: list[Tensor] = []
        for images in batches:
            weights = {kind: table.to(gpu).requires_grad_() for kind, table in tables.items()}
            loss = F.cross_entropy(compute(images.to(gpu), weights), torch.arange(8, device=gpu) % 3)
            found += [loss.detach(), *torch.autograd.grad(loss, [*weights.values(), *net.parameters()])]
        return found + [buffer.clone() for buffer in net.buffers()]

    with using(way):
        assert all(torch.equal(*both) for both in zip(passes(graphs=True), passes(graphs=False), strict=True))
