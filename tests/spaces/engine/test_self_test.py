"""The self-test itself: what it asks, of which numbers, and that its tolerances tell right from wrong."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from spaces import IMAGE_SPACES
from spaces.cells.supernet import Supernet
from spaces.engine.self_test import whole_nets
from spaces.engine.self_test.checks import checks
from spaces.engine.self_test.examples import examples, examples_of, operations
from spaces.engine.self_test.kernel_checks import kernel_findings
from spaces.engine.self_test.margins import Margin
from spaces.engine.self_test.module_cases import modules
from spaces.engine.self_test.tolerances import error
from spaces.engine.ways import PLAIN, REFERENCE, Way, ways

CPU = torch.device("cpu")
aten = torch.ops.aten
OPERANDS = {aten.convolution.default: (0, 1), aten.convolution_backward.default: (0, 1, 2), aten.mm.default: (0, 1)}
BY_TF32, BY_TORCH = Way("fast", PLAIN, "tf32x3"), Way("fast", PLAIN)


def tf32(x: Tensor) -> Tensor:
    """Float32 rounded to TF32's ten bits, to nearest even."""
    bits = x.contiguous().view(torch.int32)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & ~0x1FFF).view(torch.float32)


class Tensorcores(TorchDispatchMode):
    """Float32 products as `terms` TF32 products (1, or 3: high x high + high x low + low x high)."""

    def __init__(self, terms: int) -> None:
        super().__init__()
        self.terms = terms

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        places = OPERANDS.get(func)
        if places is None or args[places[0]].dtype != torch.float32:
            return func(*args, **(kwargs or {}))
        high = {place: tf32(args[place]) for place in places}
        low = {place: tf32(args[place] - high[place]) for place in places}

        def product(one: dict[int, Tensor], other: dict[int, Tensor]) -> list[Tensor | None]:
            if func is not aten.convolution_backward.default:
                return [func(one[0], other[1], *args[2:])]
            slope, rest, (of_x, of_weight, _) = one[0], args[3:10], args[10]
            gx = func(slope, args[1], other[2], *rest, [True, False, False])[0] if of_x else None
            weight = func(slope, other[1], args[2], *rest, [False, True, False])[1] if of_weight else None
            return [gx, weight, None]

        pairs = [(low, high), (high, low), (high, high)] if self.terms == 3 else [(high, high)]
        parts = zip(*(product(*pair) for pair in pairs), strict=True)
        found = [None if part[0] is None else sum(part[1:], part[0]) for part in parts]
        return tuple(found) if len(found) > 1 else found[0]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two spaces stand for all."""
    monkeypatch.setattr(whole_nets, "examples", lambda: [*examples_of("nats-tss"), *examples_of("s1")])


def test_every_space_and_every_operation_is_asked_for() -> None:
    supernets = {example.name for example in examples() if isinstance(example.net, Supernet)}
    assert supernets == set(IMAGE_SPACES)
    named = {name.removesuffix(" /2") for name, _ in modules(operations())}
    assert operations() - named == {"none", "noise"}


def test_numbers_keep_clear_of_ties() -> None:
    assert all(example.is_clear_of_ties() for example in examples())


def test_a_margin_is_the_distance_of_the_nearest_value_from_a_tie() -> None:
    x = torch.tensor([[[[3.0, -0.5], [0.0, 4.0]]]])  # of size 2.525
    size = float(x.square().mean().sqrt())
    with Margin() as seen:
        torch.relu(x)
    assert seen.least == pytest.approx(0.5 / size)
    with Margin() as seen:
        torch.nn.functional.max_pool2d(x, 3, 1, 1)
    assert seen.least == pytest.approx(1 / size)


def test_an_error_is_relative_and_not_a_number_is_the_largest() -> None:
    exact = [torch.tensor([2.0, -4.0]).double(), torch.zeros(2).double()]
    found = [torch.tensor([2.0, -4.04]), torch.tensor([0.0, 4e-6])]
    assert error(found, exact, "fp32") == pytest.approx(0.01)
    assert error([exact[0], torch.tensor([0.0, 4e-5])], exact, "fp32") == pytest.approx(0.01)
    assert error(found, exact, "tf32") == pytest.approx((0.04**2 / 2 / 10 / 2) ** 0.5, rel=0.01)
    for precision in ("fp32", "tf32"):
        assert not error([exact[0], torch.tensor([0.0, torch.nan])], exact, precision) <= 1e9  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ways("cpu", "fp32"), ids=str)
@pytest.mark.usefixtures("few")
def test_a_cpu_passes(way: Way) -> None:
    if way.kernels and way.kernels.obstacle("cpu", torch.float32, 16):
        pytest.skip(way.kernels.obstacle("cpu", torch.float32, 16))
    assert not [finding.words for finding in checks(way, CPU, "fp32") if not finding.right]


@pytest.mark.usefixtures("few")
def test_a_cpu_passes_in_bf16() -> None:
    assert not [finding.words for finding in checks(REFERENCE, CPU, "bf16") if not finding.right]


@pytest.mark.usefixtures("few")
def test_tf32_is_right_as_tf32_and_wrong_as_float32() -> None:
    with Tensorcores(1):
        assert not [finding.words for finding in checks(BY_TORCH, CPU, "tf32") if not finding.right]
        wrong = {finding.what for finding in kernel_findings(PLAIN, CPU, "fp32") if not finding.right}
    assert wrong == {"kernel dense", "kernel factorized", "kernel separable"}


@pytest.mark.usefixtures("few")
def test_three_tf32_products_are_as_exact_as_float32() -> None:
    with Tensorcores(3):
        found = list(checks(BY_TF32, CPU, "fp32"))
    assert not [finding.words for finding in found if not finding.right]
    assert found[-1].what == whole_nets.ACCURACY
    assert found[-1].error > 0.5
