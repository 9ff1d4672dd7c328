"""The ways in which a device can compute supernets, fastest first, and which of them computes them now."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision
from spaces.engine import torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.triton_kernels import triton_kernels, triton_launch
from spaces.engine.triton_kernels.triton_launch import Products

ACCELERATED: dict[str, Kernels] = {"cpu": cpp_kernels, "cuda": triton_kernels}
"""Device type -> the family that is faster there than plain torch, where it can compute."""

PLAIN: Kernels = torch_kernels

PRODUCTS: dict[Products, str] = {"tf32x3": "fp32 by three TF32 products", "ieee": "plain fp32 products"}
"""How float32 products can be computed, in words."""

MULTIPLIES: dict[str, tuple[Products, ...]] = {"cuda": ("tf32x3", "ieee")}
"""Device type -> how its accelerated family can compute float32 products, fastest first, if it has a choice."""


@dataclass(frozen=True)
class Way:
    """An engine, with the family of kernels that it computes by, and how that computes float32 products.

    The reference has no family. `products` is empty if the family has no choice.
    """

    engine: Engine
    kernels: Kernels | None = None
    products: Products | Literal[""] = ""

    def __str__(self) -> str:
        family = f", {self.kernels.NAME}" if self.kernels else ""
        return f"{self.engine}{family}" + (f", {PRODUCTS[self.products]}" if self.products else "")


REFERENCE = Way("reference")


def ways(device: str, precision: Precision) -> list[Way]:
    """The ways on a device of this type, fastest first; the reference is the last."""
    if precision == "bf16":
        return [REFERENCE]
    family = ACCELERATED.get(device)
    choices: Sequence[Products | Literal[""]] = MULTIPLIES.get(device, ()) if precision == "fp32" else ()
    fast = [Way("fast", family, products) for products in choices or ("",)] if family else []
    return [*fast, Way("fast", PLAIN), REFERENCE]


_forced: list[Way] = []


@contextmanager
def using(way: Way) -> Iterator[None]:
    """In this block the fast engine computes `way`'s way, right or wrong: for the self-test, and for measurements."""
    products = triton_launch.fp32_products()
    _forced.append(way)  # not a context variable: a GPU's backward passes run in a thread of their own
    take(way)
    try:
        yield
    finally:
        _forced.pop()
        triton_launch.set_fp32_products(products)


def forced() -> Way | None:
    """The way of the innermost `using`."""
    return _forced[-1] if _forced else None


def take(way: Way) -> None:
    """Let kernels compute float32 products as `way` says."""
    if way.products:
        triton_launch.set_fp32_products(way.products)
