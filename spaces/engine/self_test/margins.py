"""How near a pass comes to a tie, where rounding decides what a ReLU or a maximum lets through."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten

CLEAR = 3e-6
"""A margin that float32 does not cross: before a ReLU it is off by some 5e-7 of the values' size."""


class Margin(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """In this block `least` becomes the smallest distance of any value from a tie, relative to the values' size."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.least = float("inf")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is aten.relu.default:
            self._see(args[0].abs(), args[0])
        elif func is aten.max_pool2d_with_indices.default:
            x, kernel, stride, padding = args[:4]
            padded = F.pad(x, [padding[1]] * 2 + [padding[0]] * 2, value=torch.finfo(x.dtype).min)
            windows = padded.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1]).flatten(4)
            first, second = windows.topk(2).values.unbind(-1)
            self._see(first - second, x)
        return func(*args, **(kwargs or {}))

    def _see(self, gaps: Tensor, of: Tensor) -> None:
        gaps = gaps[gaps > 0]  # a zero is exact, whatever the rounding
        if gaps.numel():
            self.least = min(self.least, float(gaps.min() / of.square().mean().sqrt()))
