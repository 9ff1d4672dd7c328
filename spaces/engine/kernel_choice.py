"""The one place that chooses a family of kernels."""

import torch
from torch import Tensor

from spaces.engine import torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.triton_kernels import triton_kernels

ACCELERATED: dict[str, Kernels] = {"cpu": cpp_kernels, "cuda": triton_kernels}
"""Device type -> the family that is faster there than plain torch, where it can compute."""

PLAIN: Kernels = torch_kernels


def kernels_for(x: Tensor) -> Kernels:
    """The fastest family that can compute images like `x` [N, H, W, C]."""
    device = x.device.type
    family = ACCELERATED.get(device)
    return PLAIN if family is None or family.obstacle(device, x.dtype, x.shape[-1]) else family


def kernels_in_words(device: str, dtype: torch.dtype = torch.float32, channels: int = 16) -> str:
    """The kernels for such images in words: "with C++ kernels", or "in plain torch" and why."""
    family = ACCELERATED.get(device)
    if family is None:
        return f"in plain torch: no kernels for {device}"
    obstacle = family.obstacle(device, dtype, channels)
    return f"in plain torch: {obstacle}" if obstacle else f"with {family.NAME} kernels"
