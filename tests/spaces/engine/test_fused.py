"""The Triton kernels: on a GPU where there is one, else by Triton's interpreter; and whether they are trusted."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from spaces.common.streams import generator
from spaces.engine import fast_engine, kernel_choice, self_test, torch_kernels, trust
from spaces.engine.kernel_values import BackwardCoefficients, Moments, Norms, PoolGradient
from spaces.engine.self_test.precision import in_precision
from spaces.engine.triton_kernels import triton_kernels, triton_launch
from spaces.engine.ways import Way
from suite.environment import engine_name

HERE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module", autouse=True)
def triton() -> None:
    pytest.importorskip("triton")


@pytest.fixture
def loops() -> None:
    """Triton 3.6 interprets no loop to a bound that is not constant where numpy is 2.4 or newer; a GPU takes it."""
    rows = torch.zeros(2, 1, 1, dtype=torch.float64, device=HERE)
    try:
        triton_kernels.moments(torch.ones(1, 1, 1, 1, device=HERE), Moments([0], rows[0], rows[1], {}))
    except Exception as error:
        if "only 0-dimensional arrays can be converted to Python scalars" in str(error):
            pytest.skip(f"this Triton's interpreter cannot loop with this numpy: {error}")
        raise


@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    ("dtype", "within"),
    [
        (torch.float64, 1e-13),
        pytest.param(torch.float32, 2e-6, marks=pytest.mark.slow),
    ],  # the interpreter takes seconds
    ids=str,
)
def test_every_piece_is_what_float64_gives_on_the_cpu(dtype: torch.dtype, within: float) -> None:
    names = set()
    plain = (case(torch_kernels) for _, case in self_test.cases(HERE, dtype))
    for (name, results, exact), same in zip(self_test.compared(triton_kernels, HERE, dtype), plain, strict=True):
        assert [found.dtype for found in results] == [found.dtype for found in same]
        for found, expected in zip(results, exact, strict=True):
            scale = float(expected.abs().max())
            found = found.cpu().double()
            assert_close(found, expected, rtol=0, atol=within * scale, msg=lambda text, name=name: f"{name}: {text}")
        names.add(name)
    of_kernels = [
        name for name, piece in vars(torch_kernels).items() if callable(piece) and hasattr(triton_kernels, name)
    ]
    pieces = {
        "moments", "reduce", "combine", "pools", "dense", "factorized", "separable", "backward_coefficients",
        "normalization", "running_rows",
    }  # fmt: skip
    assert pieces == names <= set(of_kernels)


def whole(*shape: int, purpose: str) -> Tensor:
    """Whole numbers, small enough that float32 sums them without rounding."""
    return torch.randint(-8, 9, shape, generator=generator(0, purpose)).float().to(HERE)


@pytest.mark.parametrize("channels", [1, 16, 80])
def test_whole_numbers_are_summed_exactly(channels: int) -> None:
    """Over several tiles of pixels, and of channels where they are many: in any order the same."""
    shape = (2, 15, 13, channels)
    terms = [whole(*shape, purpose=f"term {number}") for number in range(3)]
    g, coefficients, bias = whole(*shape, purpose="g"), whole(3, channels, purpose="k"), whole(channels, purpose="b")
    assert torch.equal(self_test.added(triton_kernels.reduce(g, terms)[0]), torch_kernels.reduce(g, terms)[0])
    assert torch.equal(self_test.added(triton_kernels.reduce(g, [])[0]), torch_kernels.reduce(g, [])[0])
    for count, accumulate in ((3, False), (2, True), (0, False), (0, True)):
        outs = [whole(*shape, purpose="out") for _ in range(2)]
        for family, out in zip((triton_kernels, torch_kernels), outs, strict=True):
            family.combine(terms[:count], coefficients[:count], bias, out, accumulate=accumulate)
        assert torch.equal(*outs)


@pytest.mark.parametrize("stride", [1, 2])
def test_pools_choose_as_torch_does(stride: int) -> None:
    """Where several are the largest (few whole numbers are many ties), and where some are no number."""
    x = whole(2, 6, 5, 4, purpose="x")
    x[0, 2, 2] = x[1, 0, 0] = x[1, 1, 0] = torch.nan
    both = []
    for family in (triton_kernels, torch_kernels):
        (value,), (saved,) = family.pools([x], [True], stride, None)
        grad_output, gx = whole(*value.shape, purpose="slope"), torch.zeros_like(x)
        by = BackwardCoefficients(*torch.eye(3, 1, device=HERE).expand(3, 4).contiguous().unbind())  # 1, 0, 0
        family.pools_backward([PoolGradient([grad_output], [by], x, value.nan_to_num(), saved, True, gx)], stride)
        both.append((value, gx))
    for found, expected in zip(*both, strict=True):
        assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.usefixtures("loops")
def test_a_node_without_any_norm() -> None:
    """Skip-connections alone, in a cell whose other nodes have norms: mean 0 and variance 1 are written."""
    weights, columns = whole(2, 1, purpose="w").double(), torch.zeros(2, 2, 1, dtype=torch.float64, device=HERE)
    mean, variance = torch.full((2, 2, 5), torch.nan, dtype=torch.float64, device=HERE)
    norms = Norms(mean, variance, columns[0], columns[1], [None, None])
    found, bias = triton_kernels.forward_coefficients(norms, weights, columns[0] + 1, columns[1], torch.float32)
    assert torch.equal(found, weights.float().expand(2, 5))
    assert not bias.any()
    assert torch.equal(mean, torch.zeros_like(mean))
    assert torch.equal(variance, torch.ones_like(variance))


@pytest.mark.slow  # the interpreter takes half a minute
@pytest.mark.usefixtures("loops")
@pytest.mark.parametrize(
    ("space", "options"),
    [
        ("nats-tss", {"affine": True, "node_norm": True, "per_cell": True}),
        ("nats-tss", {"zeros": 0.8, "auxiliary_weight": 0.7, "batch": 1, "size": (7, 6)}),
        ("darts", {"affine": True, "size": (7, 9)}),
        ("s4", {"skip_dropout": 0.4}),
    ],
    ids=str,
)
def test_supernets(pair: Any, agree: Any, monkeypatch: pytest.MonkeyPatch, space: str, options: dict[str, Any]) -> None:
    if HERE.type == "cuda":
        pytest.skip("supernets in double on a GPU: the two engines' convolutions add up in other orders")
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", triton_kernels))
    both = pair(space, **options)
    agree(*(both.gradients(net) for net in both.nets))
    agree(*(dict(net.named_buffers()) for net in both.nets))


def test_a_wrong_kernel_is_found() -> None:
    assert self_test.disagreement(torch_kernels, HERE) == ""
    pieces = {name: piece for name, piece in vars(torch_kernels).items() if callable(piece)}

    def reduce(g: Tensor, terms: list[Tensor]) -> Tensor:
        found = torch_kernels.reduce(g, terms)
        found[0][-1] *= 1.001
        return found

    assert self_test.disagreement(SimpleNamespace(**{**pieces, "reduce": reduce}), HERE) == "reduce"  # type: ignore[arg-type]

    def running_rows(*given: Any) -> Any:
        return [[row * torch.nan for row in rows] for rows in torch_kernels.running_rows(*given)]

    assert self_test.disagreement(SimpleNamespace(**{**pieces, "running_rows": running_rows}), HERE) == "running_rows"  # type: ignore[arg-type]


@pytest.fixture
def reason(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Why a process has no Triton kernels, with things as they are set; whatever computes is right."""
    monkeypatch.delenv("DARTBOARD_KERNELS", raising=False)
    monkeypatch.setattr(trust, "TRUSTED", frozenset({"cuda"}))

    def ask() -> str:
        triton_kernels.library.cache_clear()
        found = triton_kernels.library()
        assert isinstance(found, str)
        assert engine_name("fast", "fp32", "cuda") == f"fast, fp32, in plain torch: {found}"
        assert triton_kernels.obstacle("cuda", torch.float32, 16) == found
        return found

    yield ask
    triton_kernels.library.cache_clear()


def test_what_stands_in_the_way_is_named(reason: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DARTBOARD_KERNELS", "portable")
    assert reason() == "DARTBOARD_KERNELS=portable"
    monkeypatch.delenv("DARTBOARD_KERNELS")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert reason() == "no NVIDIA GPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert reason() == "no Triton kernels for compute capability 7.5"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    monkeypatch.setattr(triton_kernels, "compiled", lambda: "no Triton: No module named 'triton'")
    assert reason() == "no Triton: No module named 'triton'"


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spaces.engine.triton_kernels.image_kernels", None)
    monkeypatch.delattr("spaces.engine.triton_kernels.image_kernels", raising=False)
    triton_launch.compiled.cache_clear()
    try:
        assert str(triton_launch.compiled()).startswith("no Triton: ")
    finally:
        triton_launch.compiled.cache_clear()


def test_a_gpu_that_has_passed_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain torch where they do not take the images, and if float32 by TF32 is too inexact, plain products."""
    cuda, why = torch.device("cuda", 0), {"tf32x3": ""}
    monkeypatch.setattr(triton_kernels, "obstacle", lambda device, dtype, channels: "" if dtype.itemsize > 2 else "no")
    monkeypatch.setattr(kernel_choice, "why_not", lambda way, device, precision: why.get(way.products, ""))
    with in_precision("fp32"):
        try:
            x = SimpleNamespace(device=cuda, dtype=torch.float32, shape=(1, 1, 1, 16))
            assert kernel_choice.kernels_for(x) is triton_kernels  # type: ignore[arg-type]
            assert triton_launch.fp32_products() == "tf32x3"
            other = SimpleNamespace(**{**vars(x), "dtype": torch.bfloat16})
            assert kernel_choice.kernels_for(other) is torch_kernels  # type: ignore[arg-type]
            told = engine_name("fast", "fp32", "cuda")
            assert told == "fast, fp32, with Triton kernels, fp32 by three TF32 products"
            kernel_choice.forget()
            why["tf32x3"] = "too inexact"
            assert kernel_choice.kernels_for(x) is triton_kernels  # type: ignore[arg-type]
            assert triton_launch.fp32_products() == "ieee"
            told = engine_name("fast", "fp32", "cuda")
            reason = "fast, Triton, fp32 by three TF32 products: too inexact"
            assert told == f"fast, fp32, with Triton kernels, plain fp32 products: {reason}"
        finally:
            kernel_choice.forget()
            triton_launch.set_fp32_products("tf32x3")


def test_kernels_are_compiled_ahead_and_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All launches of a block at its end; what raises within it compiles nothing."""
    done: list[Any] = []

    class Kernel:
        def warmup(self, *arguments: Any, grid: Any, **more: Any) -> None:
            done.append((grid, more["each"]))

    monkeypatch.setattr(triton_launch, "compiled", lambda: SimpleNamespace(moments=Kernel()))
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    y, rows = torch.ones(1, 30, 30, 24), torch.zeros(2, 1, 24, dtype=torch.float64)
    with triton_launch.compiling_ahead(HERE):
        triton_kernels.moments(y, Moments([0], rows[0], rows[1], {}))
        assert not done
    assert done == [((8, 2), 1)]

    def fails() -> None:
        with triton_launch.compiling_ahead(HERE):
            triton_kernels.moments(y, Moments([0], rows[0], rows[1], {}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert len(done) == 1
    with pytest.raises(TypeError):  # outside a block it is launched, which this stand-in cannot be
        triton_kernels.moments(y, Moments([0], rows[0], rows[1], {}))


@pytest.mark.slow  # some half a minute of compiling
@pytest.mark.parametrize("capability", ["80", "90"])
def test_every_kernel_compiles_for_gpus_that_are_not_here(capability: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("ahead_of_time.py")), capability],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout)[capability]
    assert set(made) == {
        "backward_coefficients", "combine", "dense", "dense_backward", "dense_weights", "depthwise_backward",
        "depthwise_backward_each", "depthwise_weights", "forward_coefficients", "moments", "normalization",
        "pointwise_backward", "pointwise_weights", "pool", "pool_backward", "reduce", "running_rows", "separable",
        "sum_of_weights",
    }  # fmt: skip
