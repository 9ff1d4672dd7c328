"""Pooling's gradient where torch's own is wrong: as torch 2.11 has it on CUDA, channels innermost (pytorch #188344).

A stand-in computes that on the CPU, so that nothing here needs a GPU. What is right is computed outside it.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from spaces.cells import operations
from spaces.cells.mixed_cell import MixedCell
from spaces.cells.operations import build, frozen_statistics
from spaces.common.streams import NoiseStream, generator
from spaces.engine import fast_engine, kernel_values, self_test, torch_kernels, torch_reductions
from spaces.engine.ways import Way

aten = torch.ops.aten
CPU = torch.device("cpu")
SHAPES = [(2, 9, 7, 4), (3, 8, 8, 1), (2, 1, 1, 4), (2, 3, 1, 4), (1, 1, 5, 1)]


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU counts as a device on which torch's pooling is not right in every layout."""
    monkeypatch.setattr(operations, "POOLS_IN_ANY_LAYOUT", frozenset())


def numbers(*shape: int, purpose: str) -> Tensor:
    return torch.randn(shape, generator=generator(0, purpose), dtype=torch.float64)


def gradient(pool: nn.Module, x: Tensor, grad_output: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    (found,) = torch.autograd.grad(pool(leaf), leaf, grad_output)
    return found


def plain(stride: int, *, largest: bool) -> nn.Module:
    """torch's own pooling."""
    if largest:
        return nn.MaxPool2d(3, stride, padding=1)
    return nn.AvgPool2d(3, stride, padding=1, count_include_pad=False)


def test_the_stand_in_is_wrong_with_channels_innermost_and_padding_alone(torch211: Any) -> None:
    """By hand: of windows of 2 x 2 with slopes of 1, every pixel lies in four, at 1/4 each; padded by 1, on 3 x 3."""
    x = numbers(1, 2, 3, 3, purpose="x")
    pool, grad_output = nn.AvgPool2d(2, 1, padding=1), torch.ones(1, 2, 4, 4, dtype=torch.float64)
    inner = x.contiguous(memory_format=torch.channels_last)
    assert_close(gradient(pool, inner, grad_output), torch.ones_like(x))
    with torch211() as faulty:
        assert_close(gradient(pool, x, grad_output), torch.ones_like(x))
        expected = torch.tensor([[0.25, 0.5, 0.5], [0.5, 1.0, 1.0], [0.5, 1.0, 1.0]], dtype=torch.float64)
        found = gradient(pool, inner, grad_output)
        unpadded = nn.AvgPool2d(2, 1)
        of_unpadded = [gradient(unpadded, image, grad_output[..., :2, :2]) for image in (x, inner)]
    assert faulty.wrong == 1
    # A corner of the padded image lies in one window, a pixel at its edge in two.
    assert_close(found, expected.expand_as(x))
    assert_close(*of_unpadded)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("largest", [False, True], ids=["mean", "max"])
@pytest.mark.parametrize("sliced", [False, True], ids=["whole", "sliced"])
def test_the_engines_pooling_is_right(
    torch211: Any, shape: tuple[int, ...], stride: int, largest: bool, sliced: bool
) -> None:
    """The very bits, too, that torch has in the usual layout. Images of one channel or pixel are in both layouts."""
    *outer, channels = shape
    x = numbers(*outer, 2 * channels, purpose="x")[..., channels:] if sliced else numbers(*shape, purpose="x")
    (value,), (saved,) = torch_kernels.pools([x], [largest], stride, None)
    by = kernel_values.BackwardCoefficients(*torch.eye(3, 1, dtype=x.dtype).expand(3, channels).unbind())  # 1, 0, 0
    grad_output, before = numbers(*value.shape, purpose="slope"), numbers(*shape, purpose="before")
    usual, back = (
        kernel_values.channels_first(image).clone(memory_format=torch.contiguous_format) for image in (x, grad_output)
    )
    expected = before + kernel_values.channels_last(gradient(plain(stride, largest=largest), usual, back))
    gx = before.clone()
    with torch211() as faulty:
        pool = kernel_values.PoolGradient([grad_output], [by], x, value, saved, largest, gx)
        torch_kernels.pools_backward([pool], stride)
    assert faulty.wrong == 0
    assert torch.equal(gx, expected)


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("operation", ["avg_pool_3x3", "max_pool_3x3"])
def test_an_operations_pooling_is_right_in_every_layout(
    torch211: Any, operation: str, stride: int, channels: int
) -> None:
    x = kernel_values.channels_first(numbers(2, 9, 7, channels, purpose="x"))
    pool = build(operation, channels, stride, nn.Identity, NoiseStream())
    grad_output = numbers(*pool(x).shape, purpose="slope")
    usual = x.clone(memory_format=torch.contiguous_format)
    expected = gradient(plain(stride, largest=operation.startswith("max")), usual, grad_output)
    with torch211():
        assert_close(gradient(pool, x, grad_output), expected, rtol=0, atol=1e-15)
        if operation.startswith("avg"):  # which is the stand-in's doing
            assert not torch.allclose(gradient(plain(stride, largest=False), x, grad_output), expected)


def test_on_a_cpu_an_operations_pooling_is_torchs_own() -> None:
    x = kernel_values.channels_first(numbers(2, 9, 7, 4, purpose="x"))
    assert operations.pool_input(x) is x


@pytest.mark.parametrize("space", ["nats-tss", "s1", pytest.param("darts", marks=pytest.mark.slow)])
def test_gradients_of_a_supernet_are_right(
    torch211: Any, pair: Any, agree: Any, monkeypatch: pytest.MonkeyPatch, space: str
) -> None:
    """In plain torch, which is what a GPU without Triton has; the truth is the reference's, outside the stand-in."""
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
    both = pair(space, affine=True)
    expected = both.gradients(both.reference)
    with torch211():
        agree(both.gradients(both.fast), expected)


def made_with_a_graph(both: Any, net: Any) -> dict[str, Tensor]:
    """Gradients that are differentiated once more, and what comes of that."""
    leaves = both.leaves(net)
    ends = list(leaves.values())
    with frozen_statistics(net):
        loss = both.loss_of(net, leaves)
    first = torch.autograd.grad(loss, ends, create_graph=True, allow_unused=True, materialize_grads=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), ends, allow_unused=True, materialize_grads=True)
    both_orders = zip(leaves, first, second, strict=True)
    return {f"{order} {name}": g for name, *each in both_orders for order, g in zip("12", each, strict=True)}


class Pooled(nn.Module):
    """An operation that no engine was told of, and that pools by torch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.pool(x))


@pytest.mark.usefixtures("accelerator")
@pytest.mark.parametrize("space", ["nats-tss", pytest.param("darts", marks=pytest.mark.slow)])
@pytest.mark.parametrize("unknown", [False, True], ids=["known", "unknown"])
def test_gradients_that_are_differentiated_once_more_are_right(
    torch211: Any, pair: Any, agree: Any, monkeypatch: pytest.MonkeyPatch, space: str, unknown: bool
) -> None:
    """The reference serves these, from states of the fast engine, which have channels innermost."""
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
    both = pair(space, cells=2 if space == "nats-tss" else 3)
    if unknown:
        for net in both.nets:
            for searched in (module for module in net.modules() if isinstance(module, MixedCell)):
                searched.edges[-1]["avg_pool_3x3"] = Pooled()
    expected = made_with_a_graph(both, both.reference)
    once = both.gradients(both.reference)
    with torch211():
        agree(made_with_a_graph(both, both.fast), expected)
        agree(both.gradients(both.fast), once)


def innermost(pools: Sequence[kernel_values.PoolGradient], stride: int) -> None:
    """`torch_kernels.pools_backward` as torch has it with channels innermost."""
    for gradients, coefficients, x, value, _, largest, gx in pools:
        total = torch_reductions.summed_gradient(torch_kernels, gradients, coefficients, value)  # type: ignore[arg-type]
        pool = plain(stride, largest=largest)
        gx.add_(
            kernel_values.channels_last(
                gradient(pool, kernel_values.channels_first(x), kernel_values.channels_first(total))
            )
        )


def test_the_proof_knows_a_wrong_pooling_from_a_right_one(torch211: Any) -> None:
    """On a device whose torch is wrong, kernels that are right are trusted, and what torch computes is not."""
    wrong = SimpleNamespace(**{**vars(torch_kernels), "pools_backward": innermost})
    assert self_test.disagreement(wrong, CPU) == ""  # type: ignore[arg-type]
    with torch211():
        assert self_test.disagreement(torch_kernels, CPU) == ""
        assert self_test.disagreement(wrong, CPU) == "pools"  # type: ignore[arg-type]


class SingleIsWrong(TorchDispatchMode):
    """What an operation gives in float32 is a thousandth off: as of a device, beside the CPU's float64."""

    def __init__(self, operation: Any) -> None:
        super().__init__()
        self.operation = operation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for result in found if isinstance(found, tuple) else [found]:
            if func is self.operation and result is not None and result.dtype == torch.float32:
                result.mul_(1.001)
        return found


@pytest.mark.parametrize(
    ("operation", "piece"),
    [
        (aten.addcmul_.default, "combine"),
        (aten.var_mean.correction, "moments"),
        (aten.avg_pool2d.default, "pools"),
        (aten.max_pool2d_with_indices_backward.default, "pools"),
        (aten.convolution_backward.default, "dense"),
    ],
    ids=str,
)
def test_what_a_devices_own_torch_gives_is_not_the_proofs_truth(operation: Any, piece: str) -> None:
    with SingleIsWrong(operation):
        assert self_test.disagreement(torch_kernels, CPU) == piece
