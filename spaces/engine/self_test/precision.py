"""The precision of a device's float32 products, as torch's settings have it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Offered = Literal["fp32", "tf32", "bf16"]
"""Float32 throughout; float32 whose products are rounded to TF32 (ten bits); bfloat16 wherever autocast uses it."""


def in_use(device: str) -> Offered:
    """The precision in which a pass on a device of this type would run now."""
    if torch.is_autocast_enabled(device):
        return "bf16"
    if device == "cpu":
        return "fp32"
    return "tf32" if any(backend.fp32_precision == "tf32" for backend in _backends()) else "fp32"


@contextmanager
def in_precision(precision: Offered) -> Iterator[None]:
    """In this block float32 products are exact to float32, or rounded to TF32; whatever block this one is in.

    Gradients are recorded, and no autocast or functional transform of the caller applies.
    """
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack  # no public way out of a transform

    before = [backend.fp32_precision for backend in _backends()]
    try:
        for backend in _backends():
            backend.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        with (
            temporarily_clear_interpreter_stack(),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cuda", enabled=False),
            torch.autocast("cpu", enabled=False),
        ):
            yield
    finally:
        for backend, was in zip(_backends(), before, strict=True):
            backend.fp32_precision = was


def _backends() -> tuple[Any, ...]:
    return torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
