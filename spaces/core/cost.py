"""What a network computes for one image."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def multiply_adds(net: nn.Module, image: Tensor) -> int:
    """The multiply-adds of the convolutions and linear layers that `net` runs on one image `[1, C, H, W]`.

    Biases, batch norms, poolings and sums are not counted. The image is really computed: it takes a fraction of a
    second, while torch's own counter and its meta device spend several on their first imports.
    """
    total = 0

    def convolution(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output.numel() * module.weight[0].numel()

    def linear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Linear)
        total += module.weight.numel()

    counted = {nn.Conv2d: convolution, nn.Linear: linear}
    hooks = [m.register_forward_hook(counted[type(m)]) for m in net.modules() if type(m) in counted]
    try:
        net(image)
    finally:
        for hook in hooks:
            hook.remove()
    return total
