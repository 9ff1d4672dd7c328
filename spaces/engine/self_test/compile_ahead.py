"""Compiles the kernels of a way of computing, on all cores at once, before the self-test needs them one by one."""

from contextlib import suppress

import torch

from spaces.cells.supernet import Supernet
from spaces.engine.self_test.examples import examples
from spaces.engine.self_test.kernel_cases import cases
from spaces.engine.self_test.kernel_checks import SIZES
from spaces.engine.triton_kernels import triton_kernels, triton_launch
from spaces.engine.ways import Way


def compile_ahead(way: Way, device: torch.device) -> None:
    """Do so for Triton on a GPU: what small supernets of all spaces launch, and the cases of kernels."""
    if device.type != "cuda" or way.kernels is not triton_kernels:
        return
    with suppress(Exception), triton_launch.compiling_ahead(device):  # which recurs when the kernel is tested
        for size in SIZES:
            for _, case in cases(device, torch.float32, size=size):
                case(way.kernels)
        for example in examples():
            if isinstance(example.net, Supernet):
                for training in (True, False):
                    example.results(device, torch.float32, training=training, engine="fast")
