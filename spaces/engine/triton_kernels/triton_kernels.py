"""The kernels for NVIDIA GPUs, in Triton, which compiles them when they are first called. They implement `Kernels`.

`image_kernels.py`, `pool_kernels.py`, `dense_kernels.py`, `separable_kernels.py` and `statistics_kernels.py` have the
kernels; the modules `triton_*.py` launch them.
"""

import os
from functools import cache
from types import SimpleNamespace

import torch

from spaces.engine.triton_kernels.triton_dense import dense as dense  # the rest of the family
from spaces.engine.triton_kernels.triton_dense import dense_backward as dense_backward
from spaces.engine.triton_kernels.triton_dense import factorized as factorized
from spaces.engine.triton_kernels.triton_dense import factorized_backward as factorized_backward
from spaces.engine.triton_kernels.triton_images import combine as combine
from spaces.engine.triton_kernels.triton_images import reduce as reduce
from spaces.engine.triton_kernels.triton_launch import MEMBERS, compiled
from spaces.engine.triton_kernels.triton_pools import mean as mean
from spaces.engine.triton_kernels.triton_pools import pools as pools
from spaces.engine.triton_kernels.triton_pools import pools_backward as pools_backward
from spaces.engine.triton_kernels.triton_separable import separable as separable
from spaces.engine.triton_kernels.triton_separable import separable_backward as separable_backward
from spaces.engine.triton_kernels.triton_statistics import backward_coefficients as backward_coefficients
from spaces.engine.triton_kernels.triton_statistics import forward_coefficients as forward_coefficients
from spaces.engine.triton_kernels.triton_statistics import moments as moments
from spaces.engine.triton_kernels.triton_statistics import normalization as normalization
from spaces.engine.triton_kernels.triton_statistics import running_rows as running_rows
from spaces.engine.triton_kernels.weight_gradients import CollectedGradients

NAME = "Triton"
OLDEST = (8, 0)  # the lowest compute capability for which the kernels are known to compile
FILLS_STATISTICS = True
JOINS_INPUTS = True
AT_ONCE = MEMBERS


@cache
def library() -> SimpleNamespace | str:
    """The kernels for this process's GPU, or the reason why there are none. Triton compiles one when it is called."""
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "no NVIDIA GPU"
    if (capability := torch.cuda.get_device_capability()) < OLDEST:
        return f"no Triton kernels for compute capability {'.'.join(map(str, capability))}"
    return compiled()


def obstacle(device: str, dtype: torch.dtype, channels: int) -> str:
    """See `Kernels.obstacle`."""
    if device != "cuda":
        return f"no Triton kernels for {device}"
    if isinstance(found := library(), str):
        return found
    return "" if dtype == torch.float32 else f"no Triton kernels for {dtype}"


def weight_gradients() -> CollectedGradients:
    """See `Kernels.weight_gradients`."""
    return CollectedGradients()
