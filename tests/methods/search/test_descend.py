"""The weights' step, against torch's own pieces one by one."""

import pytest
import torch
from torch import nn

from methods.search.learners.training import descend, sgd
from methods.search.settings import Settings


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_step_is_clipping_and_plain_sgd(layout: torch.memory_format, nesterov: bool) -> None:
    """Whatever way the gradients lie in memory."""
    settings = Settings(nesterov=nesterov, weight_decay=0.01)
    nets = [nn.Conv2d(3, 4, 3).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    ours = sgd(nets[0], settings)
    plain = torch.optim.SGD(
        nets[1].parameters(), lr=settings.learning_rate, momentum=0.9, nesterov=nesterov, weight_decay=0.01
    )
    for scale in (0.1, 10.0, 1.0):
        gradients = [scale * torch.randn_like(p) for p in nets[0].parameters()]
        gradients[0] = gradients[0].contiguous(memory_format=layout)
        descend(ours, gradients, 5.0)
        for parameter, gradient in zip(nets[1].parameters(), gradients, strict=True):
            parameter.grad = gradient.clone()
        nn.utils.clip_grad_norm_(nets[1].parameters(), 5.0)
        plain.step()
        for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
