"""The supernet as a pure function of (images, weights)."""

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from spaces import IMAGE_SPACES, Space, get_space
from spaces.cells.operations import BatchNorm, DroppedSkip, frozen_statistics
from spaces.cells.supernet import Supernet
from spaces.common.streams import NoiseStream

NAMES = sorted(IMAGE_SPACES)


def small(space: Space, **options: object) -> Supernet:
    cells = 1 if space.name == "nats-tss" else 3
    return space.supernet(channels=4, cells=cells, classes=5, in_channels=1, **options)  # type: ignore[arg-type]


def softmax(space: Space, seed: int = 0) -> dict[str, Tensor]:
    alpha = {kind: 1e3 * a for kind, a in space.alpha(seed).items()}
    return {kind: a.masked_fill(~space.mask[kind], -torch.inf).softmax(-1) for kind, a in alpha.items()}


def images(count: int = 6, size: int = 8) -> Tensor:
    return torch.randn(count, 1, size, size, generator=torch.Generator().manual_seed(7))


def logits(net: Supernet, x: Tensor, weights: Mapping[str, Tensor]) -> Tensor:
    net.random.reseed(0, "test")
    out: Tensor = net(x, weights)
    return out


def buffers(net: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in net.named_buffers()}


def test_cells_read_their_own_weights() -> None:
    space = get_space("nats-tss")
    net, x = small(space), images()
    weights = {"cell": softmax(space)["cell"].repeat(3, 1, 1).requires_grad_()}
    logits(net, x, weights)[:, 0].sum().backward()
    gradient = weights["cell"].grad
    assert gradient is not None
    assert not torch.allclose(gradient[0], gradient[1])


@pytest.mark.parametrize("size", [7, 9, 12])
@pytest.mark.parametrize("name", ["nats-tss", "darts", "s4"])
def test_any_size_of_image_passes(name: str, size: int) -> None:
    space = get_space(name)
    assert logits(small(space), images(size=size), softmax(space)).shape == (6, 5)


@pytest.mark.parametrize("name", NAMES)
def test_an_edge_has_modules_for_its_operations_alone(name: str) -> None:
    space = get_space(name, without=("skip_connect",) if name == "darts" else ())
    for module in small(space).cells:
        if hasattr(module, "edges"):
            for edge, row in zip(module.edges, space.mask[module.kind].tolist(), strict=True):
                names = {op for op, on in zip(space.operations, row, strict=True) if on}
                assert set(edge) == names - {"none"}


def test_weights_of_masked_operations_are_ignored() -> None:
    space = get_space("s1")
    net, x, weights = small(space), images(), softmax(space)
    noisy = {kind: table.masked_fill(~space.mask[kind], 3.0) for kind, table in weights.items()}
    assert torch.equal(logits(net, x, weights), logits(net, x, noisy))


def test_none_contributes_nothing() -> None:
    space = get_space("nats-tss")
    net, x, weights = small(space), images(), softmax(space)["cell"]
    assert torch.equal(
        logits(net, x, {"cell": weights}), logits(net, x, {"cell": weights.index_fill(1, torch.tensor(0), 9.0)})
    )
    nothing = logits(net, x, {"cell": torch.zeros(6, 5)})
    assert torch.equal(nothing, logits(net, torch.zeros_like(x), {"cell": torch.zeros(6, 5)}))


@pytest.mark.parametrize("name", ["nats-tss", "darts"])
def test_zero_weights_are_computed_only_where_a_derivative_passes(name: str) -> None:
    space = get_space(name)
    net, x = small(space, engine="reference"), images()  # whose operations are called one by one
    calls: list[str] = []
    for module_name, module in net.named_modules():
        if module_name.endswith("_3x3"):
            module.register_forward_hook(lambda *_, called=module_name: calls.append(called))
    weights = space.encode(space.random(torch.Generator().manual_seed(0)))
    out = logits(net, x, weights)
    assert {called.split(".")[-1] for called in calls} <= {
        op
        for kind, table in weights.items()
        for op, on in zip(space.operations, table.any(0).tolist(), strict=True)
        if on
    }
    sparse = len(calls)
    differentiable = {kind: table.clone().requires_grad_() for kind, table in weights.items()}
    dense = logits(net, x, differentiable)
    assert len(calls) - sparse > sparse
    assert torch.allclose(out, dense, atol=1e-5)
    dense[:, 0].sum().backward()
    for kind, table in differentiable.items():
        assert table.grad is not None
        assert table.grad[table.detach() == 0].abs().max() > 0, kind


def test_wrong_shapes_are_refused() -> None:
    space = get_space("nats-tss")
    with pytest.raises(ValueError, match=r"expected \[6, 5\] or \[3, 6, 5\]"):
        small(space)(images(), {"cell": torch.ones(2, 6, 5)})


@pytest.mark.parametrize("name", ["nats-tss", "darts"])
def test_frozen_statistics_are_bit_identical(name: str) -> None:
    space = get_space(name)
    net, x, weights = small(space), images(), softmax(space)
    free = logits(net, x, weights)
    before = buffers(net)
    with frozen_statistics(net):
        with frozen_statistics(net):
            pass
        frozen = logits(net, x, weights)
        after = buffers(net)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert torch.equal(free, frozen)
    logits(net, x, weights)
    assert any(not torch.equal(before[key], buffer) for key, buffer in net.named_buffers())


def test_batch_statistics_hold_in_evaluation_too() -> None:
    space = get_space("nats-tss")
    net, x, weights = small(space, batch_norm="batch"), images(), softmax(space)
    assert not list(net.buffers())
    assert torch.equal(logits(net, x, weights), logits(net.eval(), x, weights))
    running = small(space)
    assert not torch.allclose(logits(running, x, weights), logits(running.eval(), x, weights))


def test_affine_is_the_cells_batch_norm() -> None:
    space = get_space("darts")
    for affine in (False, True):
        net = small(space, affine=affine)
        pools = {m for name, m in net.named_modules() if "pool_3x3" in name and isinstance(m, BatchNorm)}
        norms = {m for m in net.cells.modules() if isinstance(m, BatchNorm)}
        assert all((norm.weight is not None) == affine for norm in norms - pools)
        assert all(norm.weight is None for norm in pools)
        assert net.stem[1].weight is not None


@pytest.mark.parametrize("name", NAMES)
def test_double_backward_is_finite(name: str) -> None:
    space = get_space(name)
    net, x = small(space).double(), images().double()
    weights = {kind: table.double().requires_grad_() for kind, table in softmax(space).items()}
    net.random.reseed(0)
    loss = nn.functional.cross_entropy(net(x, weights), torch.arange(6) % 5)
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(loss, parameters, create_graph=True, materialize_grads=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in gradients), list(weights.values()))
    assert all(torch.isfinite(g).all() for g in second)
    assert any(g.abs().max() > 0 for g in second)


def test_second_derivative_agrees_with_finite_differences() -> None:
    space = get_space("nats-tss", without=("none",))
    net, x = small(space).double(), images().double()
    weights = softmax(space)["cell"].double()
    direction = torch.randn(weights.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

    def gradient(at: Tensor, create_graph: bool = False) -> Tensor:
        with frozen_statistics(net):
            loss = nn.functional.cross_entropy(net(x, {"cell": at}), torch.arange(6) % 5)
        return torch.autograd.grad(loss, at, create_graph=create_graph)[0]

    at = weights.clone().requires_grad_()
    (exact,) = torch.autograd.grad((gradient(at, create_graph=True) * direction).sum(), at)
    step = 1e-6
    ahead, behind = (gradient((weights + sign * step * direction).requires_grad_()) for sign in (1, -1))
    assert torch.allclose(exact, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-7)


def test_works_with_functional_call_and_functional_gradients() -> None:
    loss, weights = functional_loss()
    at = weights.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(at), at)
    assert expected[0, 1] != 0.0
    assert torch.allclose(torch.func.grad(loss)(weights), expected)


@pytest.mark.slow  # torch's forward mode imports for seconds
def test_a_zero_that_carries_a_tangent_is_computed() -> None:
    loss, weights = functional_loss()
    tangent = torch.zeros_like(weights)
    tangent[0, 1] = 1.0
    _, slope = torch.func.jvp(loss, (weights,), (tangent,))
    assert torch.allclose(slope, torch.func.grad(loss)(weights)[0, 1])


def functional_loss() -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """A loss over given parameters as a function of the weights, and weights with a zero among them."""
    space = get_space("nats-tss")
    net, x, weights = small(space).double(), images(4, 4).double(), softmax(space)["cell"].double()
    weights[0, 1] = 0.0
    state = {name: p.detach() * 1.5 for name, p in net.named_parameters()}

    def loss(cell: Tensor) -> Tensor:
        with frozen_statistics(net):
            out: Tensor = functional_call(net, state, (x, {"cell": cell}))
        return out.square().sum()

    assert not torch.allclose(loss(weights), net(x, {"cell": weights}).square().sum())
    return loss, weights


def test_parameters_are_named_by_cell_edge_and_operation() -> None:
    names = set(small(get_space("darts")).state_dict())
    assert "cells.0.edges.3.sep_conv_3x3.1.weight" in names
    assert not any(".none." in name for name in names)


def test_noise_is_of_its_stream_and_carries_nothing() -> None:
    space = get_space("s4")
    net, x = small(space), images()
    noise = {kind: torch.tensor([1.0, 0.0]).expand(14, 2) for kind in space.kinds}
    state = torch.get_rng_state()
    first = logits(net, x, noise)
    assert torch.equal(torch.get_rng_state(), state)
    # With noise on every edge no image passes: another gives the same logits from the same stream.
    assert torch.equal(first, logits(net, images() + 1.0, noise))
    assert not torch.equal(first, net(x, noise))
    net.random.reseed(1, "test")
    assert not torch.equal(first, net(x, noise))


@pytest.mark.parametrize("name", NAMES)
def test_skip_dropout_is_drawn_in_training_alone(name: str) -> None:
    space = get_space(name)
    net, x, weights = small(space, batch_norm="batch"), images(), softmax(space)
    plain, keys = logits(net, x, weights), list(net.state_dict())
    net.skip_dropout = 0.5
    dropped = logits(net, x, weights)
    assert torch.equal(dropped, logits(net, x, weights))  # the same stream, the same draws
    assert torch.equal(dropped, plain) == ("skip_connect" not in space.operations)
    assert torch.equal(logits(net.eval(), x, weights), plain)
    net.train().skip_dropout = 0.0
    assert torch.equal(logits(net, x, weights), plain)
    assert list(net.state_dict()) == keys


def test_dropped_skips_keep_their_mean() -> None:
    skip = DroppedSkip(NoiseStream())
    skip.rate = 0.7
    out = skip(torch.full((10, 4, 100, 100), 2.0))
    assert out.unique().tolist() == pytest.approx([0.0, 2 / 0.3])
    assert float(out.mean()) == pytest.approx(2.0, rel=0.01)
    assert float((out == 0).double().mean()) == pytest.approx(0.7, rel=0.01)


def test_an_auxiliary_skip_is_a_skip_of_that_weight_more() -> None:
    """In closed form where no edge strides: β on every edge's weight of `skip_connect`."""
    space = get_space("nats-tss")
    net, plain = small(space, auxiliary_skip=True).double(), small(space).double()
    assert net.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(net.state_dict())
    x, weights = images().double(), softmax(space)["cell"].double()
    net.auxiliary_weight = 0.6
    raised = weights + 0.6 * torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0])
    torch.testing.assert_close(logits(net, x, {"cell": weights}), logits(plain, x, {"cell": raised}))


@pytest.mark.parametrize("name", ["nats-tss", "s1", "s4"])
def test_without_weight_an_auxiliary_skip_is_not_there(name: str) -> None:
    space = get_space(name)
    net, plain = small(space, auxiliary_skip=True), small(space)
    extra = net.state_dict().keys() - plain.state_dict().keys()
    assert all(".auxiliary_skip." in key for key in extra)
    striding = [edge for edge, (source, _) in enumerate(space.edges[space.kinds[-1]]) if source < 2]
    assert {int(key.split(".")[3]) for key in extra} == set(striding if name != "nats-tss" else [])
    plain.load_state_dict({key: value for key, value in net.state_dict().items() if key not in extra})
    x, weights = images(), softmax(space)
    net.auxiliary_weight = 0.0
    assert torch.equal(logits(net, x, weights), logits(plain, x, weights))
    net.auxiliary_weight = 1.0
    assert not torch.equal(logits(net, x, weights), logits(plain, x, weights))


@pytest.mark.parametrize("name", NAMES)
def test_node_norm_adds_statistics_of_each_nodes_sum_and_nothing_else(name: str) -> None:
    space = get_space(name)
    nets = []
    for options in ({}, {"node_norm": True}):
        torch.manual_seed(0)
        nets.append(small(space, **options, engine="reference"))
    plain, normed = (net.state_dict() for net in nets)
    added = {key for key in normed if ".node_norms." in key}
    assert normed.keys() - plain.keys() == added
    assert not plain.keys() - normed.keys()
    assert all(torch.equal(plain[key], normed[key]) for key in plain)
    assert len(added) == 3 * 3 * space.notation.nodes  # three buffers, three searched cells
    sums: list[Tensor] = []
    for key, module in nets[1].named_modules():
        if ".node_norms." in key:
            module.register_forward_hook(lambda _, inputs, out: sums.append(out))
    logits(nets[1], images(), softmax(space))
    assert len(sums) == len(added) // 3
    for out in sums:
        assert out.mean((0, 2, 3)).abs().max() < 1e-5
