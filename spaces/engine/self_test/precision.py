"""The precision of a device's float32 products, as torch's settings have it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spaces.cells.precision import CONVOLUTIONS, PRODUCTS, Precision, allow_tf32, float32_products


def in_use(device: str) -> Precision:
    """The precision in which a pass on a device of this type would run now."""
    if torch.is_autocast_enabled(device):
        return "bf16"
    if device == "cpu":
        return "fp32"
    return "fp32" if float32_products() == "fp32" else "tf32"


@contextmanager
def in_precision(precision: Precision) -> Iterator[None]:
    """In this block float32 products are exact to float32, or rounded to TF32; whatever block this one is in.

    Gradients are recorded, and no autocast or functional transform of the caller applies.
    """
    from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack  # no public way out of a transform

    before = [switch.fp32_precision for switch in (CONVOLUTIONS, PRODUCTS)]
    try:
        allow_tf32(precision == "tf32")
        with (
            temporarily_clear_interpreter_stack(),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast("cuda", enabled=False),
            torch.autocast("cpu", enabled=False),
        ):
            yield
    finally:
        CONVOLUTIONS.fp32_precision, PRODUCTS.fp32_precision = before
