"""What tensor cores make of the Triton kernels' products, emulated by Triton's interpreter on a CPU.

A tensor core rounds the factors of a float32 product to TF32 (ten bits) and adds up in float32. `tf32x3` takes a factor
apart into a TF32 number and the TF32 number nearest to the rest, and adds up three of the four products.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from spaces.engine import torch_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.self_test.kernel_cases import cases
from spaces.engine.self_test.precision import in_precision
from spaces.engine.triton_kernels import triton_kernels, triton_launch

CPU = torch.device("cpu")
PRODUCTS = ("dense", "factorized", "separable")

pytestmark = [
    pytest.mark.slow,  # the interpreter takes half a minute
    pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes them itself: tests/gpu"),
]


def tf32(x: np.ndarray) -> np.ndarray:
    """`x` rounded to ten bits, half away from zero, as the GPU's conversion does."""
    return ((x.view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two TF32 numbers that stand for `x`."""
    high = tf32(x)
    return high, tf32(x - high)


@pytest.fixture
def tensor_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Products of float32 are computed as on a GPU; the set has the ways in which they were asked for."""
    interpreter = pytest.importorskip("triton.runtime.interpreter")
    usual, asked = interpreter.InterpreterBuilder.create_dot, set[str]()

    def create_dot(self: Any, a: Any, b: Any, d: Any, precision: Any, *more: Any) -> Any:
        how = str(precision).rpartition(".")[2].lower()
        asked.add(how)
        if how == "ieee" or a.data.dtype != np.float32:
            return usual(self, a, b, d, precision, *more)
        (one, rest), (other, others) = parts(a.data), parts(b.data)
        total = d.data + one @ other
        if how == "tf32x3":
            total = d.data + ((rest @ other + one @ others) + one @ other)
        return interpreter.TensorHandle(total, d.dtype.scalar)

    monkeypatch.setattr(interpreter.InterpreterBuilder, "create_dot", create_dot)
    yield asked
    triton_launch.set_fp32_products("tf32x3")


def errors(kernels: Kernels) -> dict[str, float]:
    """Of the products in float32, by name: the root mean square over all results, each beside its own spread.

    Statistics and sums in float64 are no products.
    """
    squares: dict[str, list[float]] = {}
    exact = cases(CPU, torch.float64, torch.float32)
    for (name, case), (_, same) in zip(cases(CPU, torch.float32), exact, strict=True):
        if name in PRODUCTS:
            results = zip(case(kernels), same(torch_kernels), strict=True)
            squares.setdefault(name, []).extend(
                float((found.double() - other).square().mean() / other.var())
                for found, other in results
                if found.dtype == torch.float32
            )
    return {name: (sum(each) / len(each)) ** 0.5 for name, each in squares.items()}


def test_three_products_are_as_exact_as_float32(tensor_cores: set[str]) -> None:
    """Every kernel, beside plain torch in float32 on the CPU: by the median at most 1.3 times as far off."""
    with in_precision("fp32"):
        triton_launch.set_fp32_products("tf32x3")
        three = errors(triton_kernels)
        assert tensor_cores == {"tf32x3", "ieee"}  # of reductions
        triton_launch.set_fp32_products("ieee")
        plain = errors(triton_kernels)
    usual = errors(torch_kernels)
    for name in PRODUCTS:
        assert three[name] <= 1.3 * usual[name], name
        assert plain[name] <= 1.3 * usual[name], name


def test_one_product_is_a_thousand_times_less_exact(tensor_cores: set[str]) -> None:
    """So that the other test can fail; and `--precision tf32` reaches the kernels."""
    with in_precision("tf32"):
        one = errors(triton_kernels)
    assert tensor_cores == {"tf32"}
    assert min(one.values()) > 1e-4
