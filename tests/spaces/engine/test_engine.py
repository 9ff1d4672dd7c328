"""Engines share parameters, survive copies, compute active operations alone, give equal bits, know their limits."""

import inspect
import io
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces import IMAGE_SPACES
from spaces.cells.mixed_cell import MixedCell
from spaces.cells.operations import BatchNorm
from spaces.engine import fast_engine, torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.op_groups import groups
from spaces.engine.op_groups.separable import Separable
from spaces.engine.triton_kernels import triton_kernels
from spaces.engine.ways import Way


@pytest.mark.parametrize(
    "space", [pytest.param(s, marks=[] if s in ("nats-tss", "s1") else pytest.mark.slow) for s in sorted(IMAGE_SPACES)]
)
def test_a_reference_shares_parameters_and_statistics(pair: Any, agree: Any, space: str) -> None:
    net = pair(space, affine=True).fast
    twin = net.reference()
    assert (net.engine, twin.engine) == ("fast", "reference")
    mine, its = net.state_dict(keep_vars=True), twin.state_dict(keep_vars=True)
    assert mine.keys() == its.keys()
    assert all(its[name] is tensor for name, tensor in mine.items())
    both = pair(space, affine=True)
    agree(both.gradients(net), both.gradients(twin))
    moved = next(iter(net.buffers())).clone()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    agree(both.gradients(net), both.gradients(twin))
    assert not torch.equal(moved, next(iter(twin.buffers())))


def test_states_load_across_engines_and_one_net_changes_them(pair: Any, agree: Any) -> None:
    both, other = pair("s1", affine=True), pair("s1", affine=True, seed=1)
    for source, target in ((both.fast, other.reference), (both.reference, other.fast)):
        target.load_state_dict(source.state_dict())
    agree(both.gradients(other.fast), both.gradients(other.reference))
    net, start = both.fast, both.fast.state_dict()
    start = deepcopy(start)
    outcomes = []
    for engine in ("fast", "reference", "fast"):
        net.load_state_dict(start)
        net.engine = engine
        assert {cell.engine for cell in net.modules() if isinstance(cell, MixedCell)} == {engine}
        outcomes.append({**both.gradients(net), **{k: v.clone() for k, v in net.named_buffers()}})
    agree(outcomes[1], outcomes[0])
    assert all(torch.equal(outcomes[0][name], found) for name, found in outcomes[2].items())


def saved(net: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("copy", [deepcopy, saved])
@pytest.mark.parametrize("space", ["nats-tss", "s4"])
def test_copies_after_a_pass(pair: Any, space: str, copy: Callable[[Any], Any]) -> None:
    both = pair(space, affine=True, skip_dropout=0.2)
    both.gradients(both.fast)
    again = copy(both.fast)
    assert again.engine == "fast"
    first, second = both.gradients(both.fast), both.gradients(again)
    assert all(torch.equal(second[name], found) for name, found in first.items())
    with torch.no_grad():
        for parameter in again.parameters():
            parameter.mul_(1.5)
    third = both.gradients(both.fast)
    assert all(torch.equal(third[name], found) for name, found in first.items())
    assert not torch.equal(both.gradients(again)["loss"], first["loss"])


def test_another_precision_after_a_pass(pair: Any, agree: Any) -> None:
    both = pair("nats-tss", affine=True)
    expected = both.gradients(both.fast)
    single = deepcopy(both.fast).float()
    half = {kind: table.float() for kind, table in both.weights.items()}
    out = single(both.images.float(), half)
    assert out.dtype == torch.float32
    agree(both.gradients(both.fast), expected)
    both.fast.float().double()
    assert both.fast(both.images, both.weights).dtype == torch.float64


@pytest.mark.parametrize(
    ("space", "threads"),
    [
        *(("nats-tss", 1), ("nats-tss", 2), ("nats-tss", 3), ("s1", 3)),
        *(pytest.param(space, threads, marks=pytest.mark.slow) for space in ("darts", "s4") for threads in (1, 2, 3)),
    ],
)
def test_the_same_bits_twice(pair: Any, agree: Any, kernels: str, space: str, threads: int) -> None:
    """With more threads than images or processors too. Their number changes rounding at most."""
    both = pair(space, affine=True, batch=2 if space == "darts" else 5)
    one = both.gradients(both.fast)
    torch.set_num_threads(threads)
    try:
        first, second = both.gradients(both.fast), both.gradients(both.fast)
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(found, second[name]) for name, found in first.items())
    agree(first, one, within=1e-10)


class Odd(nn.Module):
    """An operation with parameters and statistics of its own that no engine was told of."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, stride, padding=1, groups=channels)
        self.norm = BatchNorm(channels, affine=True, running=True)
        self.power = nn.Parameter(torch.tensor(1.3, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.power * torch.tanh(self.norm(self.convolution(x)))


def lookalikes(channels: int) -> list[nn.Module]:
    """Modules that resemble those that kernels exist for, of stride 1."""

    def conv(kernel: int, channels: int = channels, **options: Any) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, kernel, **{"padding": kernel // 2, "bias": False, **options})

    def norm() -> BatchNorm:
        return BatchNorm(channels, affine=False, running=True)

    depthwise = {"groups": channels}
    return [
        nn.Sequential(nn.ReLU(), conv(5), norm()),
        nn.Sequential(nn.ReLU(), conv(3, bias=True), norm()),
        nn.Sequential(nn.ReLU(), conv(3, padding_mode="circular"), norm()),
        nn.Sequential(nn.ReLU(), conv(3), conv(1), norm()),
        nn.Sequential(nn.ReLU(), conv(7, **depthwise), conv(1), norm()),
        nn.Sequential(nn.ReLU(), conv(3, **depthwise, padding_mode="reflect"), conv(1), norm()),
        nn.Sequential(nn.ReLU(), conv(3, **depthwise), conv(3), norm()),
        nn.Sequential(nn.ReLU(), conv(3, **depthwise), conv(1, bias=True), norm()),
        nn.Sequential(
            nn.ReLU(), conv(3, **depthwise), conv(1), norm(), nn.ReLU(), conv(3), conv(1), norm()
        ),
        nn.Sequential(nn.GELU(), conv(3), norm()),
        nn.Sequential(nn.ReLU(), conv(3), nn.GroupNorm(1, channels)),
        nn.MaxPool2d(3, 1, padding=1, dilation=1, ceil_mode=True),
        nn.MaxPool2d(5, 1, padding=2),
        nn.AvgPool2d(3, 1, padding=1),
        nn.AvgPool2d(3, 1, padding=1, count_include_pad=False, divisor_override=5),
        nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), nn.Tanh()),
        nn.Sequential(nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), norm(), nn.Tanh()),
    ]  # fmt: skip


def replaced(both: Any, edge: int, name: str, make: Callable[[int, int], nn.Module]) -> None:
    """Puts equal modules in place of an operation, in all cells of both nets."""
    cells = [[cell for cell in net.modules() if isinstance(cell, MixedCell)] for net in both.nets]
    for one, other in zip(*cells, strict=True):
        module = make(width(one), one.stride if edge == 0 else 1).double()
        one.edges[edge][name] = module
        other.edges[edge][name] = deepcopy(module)


def width(cell: MixedCell) -> int:
    """The channels of a searched cell, read off its first convolution."""
    return next(module.in_channels for module in cell.edges.modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("space", ["nats-tss", pytest.param("darts", marks=pytest.mark.slow)])
def test_an_unknown_operation_computes_itself(pair: Any, agree: Any, kernels: str, space: str) -> None:
    both = pair(space, channels=4)
    operation = "nor_conv_3x3" if space == "nats-tss" else "dil_conv_5x5"
    for edge in (0, 4):
        replaced(both, edge, operation, Odd)
    agree(*(both.gradients(net) for net in both.nets))
    agree(*(dict(net.named_buffers()) for net in both.nets))
    made = [group for cell in both.fast.cells if isinstance(cell, MixedCell) for p in cell.plans for group in p.groups]
    assert sum(isinstance(group, groups.Module) for group in made) == 2 * 3
    graphs = []
    for net in both.nets:  # and once more by the reference
        leaves = both.leaves(net)
        at = list(leaves.values())
        first = torch.autograd.grad(both.loss_of(net, leaves), at, create_graph=True, allow_unused=True)
        second = torch.autograd.grad(
            sum(g.square().sum() for g in first if g is not None), at, allow_unused=True, materialize_grads=True
        )
        graphs.append(dict(zip(leaves, second, strict=True)))
    agree(*graphs)


@pytest.mark.parametrize("number", range(len(lookalikes(4))))
def test_what_only_looks_known_computes_itself(pair: Any, agree: Any, number: int) -> None:
    both = pair("nats-tss", channels=4)
    torch.manual_seed(3)
    replaced(both, 1, "nor_conv_1x1", lambda channels, stride: lookalikes(channels)[number])
    agree(*(both.gradients(net) for net in both.nets))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many values of each kind the groups compute."""
    count: Counter[str] = Counter()
    for group in (groups.Convolutions, groups.Reductions, groups.Pooling, Separable):
        forward = group.forward

        def spy(self: Any, *args: Any, forward: Callable[..., Any] = forward) -> Any:
            outputs = forward(self, *args)
            count[type(self).__name__] += len(outputs.values)
            return outputs

        monkeypatch.setattr(group, "forward", spy)
    return count


@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_a_sampled_architecture_computes_its_own_operations_alone(
    pair: Any, agree: Any, computed: Counter[str], space: str
) -> None:
    both = pair(space)
    genotype = both.space.random(torch.Generator().manual_seed(4))
    both.weights = {kind: table.double() for kind, table in both.space.encode(genotype).items()}
    agree(*(both.gradients(net, table=False) for net in both.nets))
    expected: Counter[str] = Counter()
    for kind, cells in both.fast.cells_of.items():
        for source, _, operation in genotype.edges(kind):
            strides = kind == "reduce" and source < 2
            match operation.split("_")[0]:
                case "nor":
                    expected["Convolutions"] += cells
                case "avg" | "max":
                    expected["Pooling"] += cells
                case "sep" | "dil":
                    expected["Separable"] += cells
                case "skip" if strides:
                    expected["Reductions"] += cells
    assert computed == expected
    computed.clear()
    both.gradients(both.fast)  # where alpha is differentiated, all of them count
    assert sum(computed.values()) > 3 * sum(expected.values())


def test_plans_of_samples_do_not_pile_up(pair: Any) -> None:
    both = pair("nats-tss")
    source = torch.Generator().manual_seed(0)
    for _ in range(40):
        both.fast(both.images, {k: w.double() for k, w in both.space.encode(both.space.random(source)).items()})
    assert all(len(cell.plans) <= 16 for cell in both.fast.cells if isinstance(cell, MixedCell))


@pytest.mark.parametrize("operation", ["nor_conv_3x3", "avg_pool_3x3", "max_pool_3x3", "sep_conv_3x3"])
def test_what_is_not_a_number_does_not_vanish(pair: Any, kernels: str, operation: str) -> None:
    """A search that diverges must be seen to."""
    both = pair("darts" if operation.startswith(("max", "sep")) else "nats-tss")
    column = both.space.operations.index(operation)
    both.images[0, 0, 3, 3] = torch.nan
    both.weights = {kind: torch.zeros_like(w) for kind, w in both.weights.items()}
    for table in both.weights.values():
        table[:, column] = 1.0
    for net in both.nets:
        net.eval()
        found = both.gradients(net, table=False)
        assert found["loss"].isnan()
        assert found["images"][0].isnan().any()


@pytest.mark.parametrize("at_once", [3, 16])
def test_how_many_convolutions_go_back_at_once_changes_no_bit(
    pair: Any, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(fast_engine, "way_for", lambda *where: Way("fast", torch_kernels))
    both = pair("s2", affine=True)
    expected = both.gradients(both.fast)
    monkeypatch.setattr(torch_kernels, "AT_ONCE", at_once)
    found = both.gradients(both.fast)
    assert all(torch.equal(found[name], x) for name, x in expected.items())


def test_every_family_of_kernels_has_the_signatures_of_the_protocol() -> None:
    """The type checker holds their types; a keyword that one family spells otherwise fails on its machine alone."""
    functions = {name: f for name, f in vars(Kernels).items() if inspect.isfunction(f) and not name.startswith("_")}
    assert {"moments", "reduce", "combine", "dense_backward", "separable", "backward_coefficients"} <= functions.keys()
    for family in (cpp_kernels, triton_kernels, torch_kernels):
        for name, function in functions.items():
            _, *expected = inspect.signature(function).parameters
            assert list(inspect.signature(getattr(family, name)).parameters) == expected, (family, name)
