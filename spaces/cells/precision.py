"""The precision of a pass, and torch's two switches for TF32.

TF32 keeps parameters and values in float32 and rounds the factors of products to ten bits. It is not a supernet's own
choice: torch's switches hold for the whole process, in backward passes too, and every kernel on a GPU follows them.
"""

from typing import Any, Literal

import torch

Precision = Literal["fp32", "tf32", "bf16"]
"""The precision of a pass: single throughout, products rounded to TF32, or bfloat16 wherever autocast uses it."""

# The older switches, `allow_tf32`, cannot be read once one of these was set.
CONVOLUTIONS: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]
PRODUCTS: Any = torch.backends.cuda.matmul


def allow_tf32(allowed: bool) -> None:
    """Let all float32 products of this process on a GPU be rounded to TF32, or none."""
    CONVOLUTIONS.fp32_precision = PRODUCTS.fp32_precision = "tf32" if allowed else "ieee"


def float32_products() -> str:
    """How products of float32 are computed on a GPU now: "fp32", "tf32", or which of them are rounded."""
    convolutions, others = (switch.fp32_precision == "tf32" for switch in (CONVOLUTIONS, PRODUCTS))
    if convolutions == others:
        return "tf32" if others else "fp32"
    return f"fp32, torch's {'convolutions' if convolutions else 'matrix products'} in tf32"


def check_switches(precision: Precision) -> None:
    """Raise `ValueError` for TF32 while torch's switches do not allow it."""
    if precision == "tf32" and float32_products() != "tf32":
        raise ValueError("precision 'tf32' is a matter of the whole process: call allow_tf32(True) first")
