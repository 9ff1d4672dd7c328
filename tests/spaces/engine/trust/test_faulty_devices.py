"""Devices that compute something wrong: the next engine that is right computes there, or the run ends with a line.

Whatever computes gives the CPU's numbers but for rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from pandas import read_parquet
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from typer.testing import CliRunner, Result

from spaces import get_space
from spaces.cells import operations
from spaces.common.errors import InputError
from spaces.engine import kernel_choice, torch_kernels, torch_reductions, ways
from spaces.engine.kernel_values import PoolGradient, channels_first, channels_last
from spaces.engine.self_test.examples import examples_of
from spaces.engine.triton_kernels import triton_launch
from suite import commands

CPU = torch.device("cpu")
aten = torch.ops.aten
THREE, PLAIN_PRODUCTS = "fast, Triton, fp32 by three TF32 products", "fast, Triton, plain fp32 products"
TORCH = "fast, plain torch"


def innermost(pools: Sequence[PoolGradient], stride: int) -> None:
    """`pools_backward` by torch's own gradient, channels innermost."""
    for gradients, coefficients, x, value, _, largest, gx in pools:
        total = torch_reductions.summed_gradient(torch_kernels, gradients, coefficients, value)  # type: ignore[arg-type]
        pool = (
            torch.nn.MaxPool2d(3, stride, 1) if largest else torch.nn.AvgPool2d(3, stride, 1, count_include_pad=False)
        )
        leaf = channels_first(x).detach().requires_grad_()
        with torch.enable_grad():
            (found,) = torch.autograd.grad(pool(leaf), leaf, channels_first(total))
        gx.add_(channels_last(found))


def raises(*_: Any, **__: Any) -> Any:
    raise RuntimeError("Failed to find C compiler.\nmore lines")


def sloppy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Three TF32 products that keep 17 bits of the weights: in a piece, float32's tolerance allows that."""

    def rounded(x: Tensor, weights: list[Tensor], *more: Any, **others: Any) -> Any:
        if triton_launch.fp32_products() == "tf32x3" and x.dtype == torch.float32:
            weights = [(w.view(torch.int32) & ~0x3F).view(torch.float32) for w in weights]
        return function(x, weights, *more, **others)

    return rounded


class SingleIsWrong(TorchDispatchMode):
    """A convolution's gradients in float32 are a hundredth off, in whatever engine."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is aten.convolution_backward.default and found[0] is not None and found[0].dtype == torch.float32:
            found[0].mul_(1.01)
        return found


def scaled(by: float, wrong: Any, name: str) -> dict[str, Any]:
    def values(found: Any) -> Any:
        return ([value * by for value in found[0]], *found[1:])

    return {name: wrong(values, getattr(torch_kernels, name))}


@pytest.fixture
def faulty(device: Any, wrong: Any, torch211: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes the device one with the fault of that name."""
    with ExitStack() as stack:

        def make(fault: str) -> None:
            match fault:
                case "torch 2.11":
                    device()
                    stack.enter_context(torch211(torch.float32))
                case "torch 2.11, and kernels in plain torch that use it":
                    device()
                    monkeypatch.setattr(torch_kernels, "pools_backward", innermost)
                    stack.enter_context(torch211(torch.float32))
                case "torch 2.11, and a reference that uses it":
                    device()
                    monkeypatch.setattr(operations, "POOLS_IN_ANY_LAYOUT", frozenset({"cpu"}))
                    stack.enter_context(torch211(torch.float32))
                case "a wrong kernel":
                    device(**scaled(1.001, wrong, "pools"))
                case "a kernel that fails":
                    device(running_rows=raises)
                case "not a number":
                    device(**scaled(float("nan"), wrong, "running_rows"))
                case "three products too inexact":
                    device(dense=sloppy(torch_kernels.dense))
                case "a wrong reference":
                    device()
                    stack.enter_context(SingleIsWrong())

        yield make


FALLS_BACK = {
    "torch 2.11": (THREE, ""),
    "a wrong kernel": (TORCH, "kernel pools is 1.1e-03 off float64 on the CPU, 1.0e-05 is allowed"),
    "a kernel that fails": (TORCH, "kernel running_rows fails (RuntimeError: Failed to find C compiler.)"),
    "not a number": (TORCH, "kernel running_rows is nan off"),
    "three products too inexact": (PLAIN_PRODUCTS, "accuracy beside float32 on the CPU is "),
}


def gradients(engine: str = "fast") -> list[Tensor]:
    """Of a supernet that pools, in float32, on the device as it is."""
    return examples_of("s1")[0].results(CPU, torch.float32, training=True, engine=engine)  # type: ignore[arg-type]


def assert_right(found: list[Tensor], exact: list[Tensor]) -> None:
    """Equal but for float32's rounding."""
    least = 1e-3 * max(float(each.abs().max()) for each in exact)
    for one, other in zip(found, exact, strict=True):
        assert float((one.double() - other).abs().max()) < 2e-4 * max(float(other.abs().max()), least)


@pytest.mark.parametrize("fault", FALLS_BACK)
def test_the_next_way_that_is_right_computes(faulty: Any, fault: str) -> None:
    expected = examples_of("s1")[0].exact(True)
    faulty(fault)
    chosen, reason = FALLS_BACK[fault]
    with torch.no_grad():  # as of a first pass that has no gradient
        assert str(kernel_choice.way_for(CPU, torch.float32, 16)) == chosen
    said = kernel_choice.kernels_in_words("cpu")
    assert reason in said
    assert "\n" not in said
    assert_right(gradients(), expected)


def test_the_reference_computes_where_no_kernels_are_right(faulty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU without Triton, whose torch is 2.11, before `pool_backward` took channels outermost."""
    expected = examples_of("s1")[0].exact(True)
    faulty("torch 2.11, and kernels in plain torch that use it")
    monkeypatch.delitem(ways.ACCELERATED, "cpu")
    assert kernel_choice.way_for(CPU, torch.float32, 16) is ways.REFERENCE
    told = get_space("s1").supernet(16, 3, classes=3).computed_by()
    assert told.startswith("fast, fp32, by the reference's operations: ")
    assert "kernel pools is " in told
    assert_right(gradients("fast"), expected)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("fault", ["a wrong reference", "torch 2.11, and a reference that uses it"])
def test_a_wrong_reference_ends_the_run(faulty: Any, fault: str, engine: str) -> None:
    faulty(fault)
    for ask in (lambda: gradients(engine), lambda: kernel_choice.require_reference(CPU)):
        with pytest.raises(InputError, match=r"^cpu is not right in fp32: .* off float64") as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.fixture
def search(tiny_images: Path, tmp_path: Path) -> Callable[..., Result]:
    """A search of one epoch on the device, from the command line."""
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    sizes = "epochs=1 batch_size=20 channels=4 cells=1 evaluate.epochs=1 evaluate.channels=4 evaluate.cells=1"
    chosen = [word for size in sizes.split() for word in ("--set", size)]
    where = ["--dataset", f"npz:{tiny_images}", "--space", "nats-tss", "--json"]

    def run(name: str, *more: str) -> Result:
        return CliRunner().invoke(app, ["search", "darts-1st", *where, "--out", str(tmp_path / name), *chosen, *more])

    return run


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 + 20 grey images of 8 x 8 pixels."""
    import numpy as np

    random, path = np.random.default_rng(0), tmp_path_factory.mktemp("data") / "tiny.npz"
    images = random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(60) % 4
    np.savez(path, x_train=images[:40], y_train=labels[:40], x_test=images[40:], y_test=labels[40:])
    return path


def test_a_search_on_a_device_that_is_wrong_falls_back(faulty: Any, search: Any, document: Any, tmp_path: Path) -> None:
    usual = document(search("usual", "--engine", "reference"))
    faulty("a wrong kernel")
    found = document(search("faulty"))
    assert found["engine"].startswith(f"fast, fp32, in plain torch: {THREE}: kernel pools is 1.1e-03 off")
    assert found["genotype"] == usual["genotype"]
    assert found["score"] == pytest.approx(usual["score"])
    losses = [read_parquet(path)["train_loss"].tolist() for path in sorted(tmp_path.rglob("history.parquet"))]
    assert len(losses) == 2
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_search_on_a_device_whose_reference_is_wrong_ends_with_a_line(faulty: Any, search: Any, engine: str) -> None:
    faulty("a wrong reference")
    result = search(engine, "--engine", engine)
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("dartboard: ")]
    assert "is not right in fp32" in line


@pytest.fixture(scope="session")
def document() -> Callable[[Result], Any]:
    """The record that a command printed."""
    import json

    def read(result: Result) -> Any:
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return read
