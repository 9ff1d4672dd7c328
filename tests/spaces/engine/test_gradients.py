"""Gradients asked for one by one, twice, batched, and differentiated once more."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call
from torch.testing import assert_close

from spaces import IMAGE_SPACES
from spaces.cells.operations import frozen_statistics
from spaces.common.streams import generator
from spaces.engine import torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.op_groups import groups

SPACES = [
    pytest.param(s, marks=[] if s in ("nats-tss", "s2", "s4") else pytest.mark.slow) for s in sorted(IMAGE_SPACES)
]


def random_like(tensors: Any, seed: int) -> list[Tensor]:
    source = generator(seed, "direction")
    return [torch.randn(t.shape, generator=source, dtype=t.dtype) for t in tensors]


@pytest.mark.parametrize("space", ["nats-tss", "s1"])
def test_gradients_asked_for_separately(pair: Any, agree: Any, kernels: str, space: str) -> None:
    both = pair(space, affine=True, node_norm=True, auxiliary_weight=0.5)
    whole = both.gradients(both.reference)
    names = [name for name in whole if name != "loss"]
    wanted = [[n for n in names if n.startswith("table")], ["images"], names[-1:], names[40:44], names[5:60:7]]
    for some in wanted:
        leaves = both.leaves(both.fast)
        loss = both.loss_of(both.fast, leaves)
        at = [leaves[name] for name in some]
        first = torch.autograd.grad(loss, at, retain_graph=True, allow_unused=True, materialize_grads=True)
        again = torch.autograd.grad(loss, at, retain_graph=True, allow_unused=True, materialize_grads=True)
        assert all(map(torch.equal, first, again))
        agree(
            {"loss": loss.detach(), **dict(zip(some, first, strict=True))},
            {name: whole[name] for name in ("loss", *some)},
        )
        # What another call asks for does not depend on what this one did.
        rest = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        agree(dict(zip(leaves, rest, strict=True)), {name: whole[name] for name in leaves})


def test_backward_accumulates_where_a_gradient_is_wanted(pair: Any, agree: Any) -> None:
    both = pair("nats-tss")
    grads = []
    for net in both.nets:
        for parameter in list(net.parameters())[::3]:
            parameter.requires_grad_(False)
        tables = {kind: table.clone().requires_grad_() for kind, table in both.weights.items()}
        for _ in range(2):
            both.loss(net, weights=tables).backward()
        parameters = dict(net.named_parameters())
        assert {name for name, p in parameters.items() if p.grad is None} >= set(list(parameters)[::3])
        grads.append({name: t.grad for name, t in {**parameters, **tables}.items() if t.grad is not None})
    agree(*grads)


@pytest.fixture
def weight_gradients(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each group's way back: whether it computed gradients of its parameters."""
    asked: list[bool] = []
    for kernels in (cpp_kernels, torch_kernels):
        for name in ("dense_backward", "separable_backward"):
            kernel = getattr(kernels, name)

            def spy(*args: Any, kernel: Callable[..., Any] = kernel, of_weights: Any, **given: Any) -> Any:
                asked.append(of_weights is not None)
                found = kernel(*args, of_weights=of_weights, **given)
                gradients = found[1] if isinstance(found, tuple) else found
                assert all((gradient is not None) == asked[-1] for gradient in gradients)
                return found

            monkeypatch.setattr(kernels, name, spy)
    return asked


@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_an_alpha_step_computes_no_weight_gradients(
    pair: Any, kernels: str, weight_gradients: list[bool], space: str
) -> None:
    both = pair(space)
    leaves = both.leaves(both.fast)
    loss = both.loss_of(both.fast, leaves)
    tables = [leaf for name, leaf in leaves.items() if name.startswith("table")]
    torch.autograd.grad(loss, tables, retain_graph=True)
    assert weight_gradients
    assert not any(weight_gradients)
    weight_gradients.clear()
    torch.autograd.grad(loss, [leaf for name, leaf in leaves.items() if name.startswith("cells")], allow_unused=True)
    assert all(weight_gradients)


def test_no_gradient_goes_where_none_is_wanted(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fixed parameters and images there is nothing to compute behind the first cell's table."""
    both = pair("nats-tss")
    both.fast.requires_grad_(False)
    tables = {kind: table.clone().requires_grad_() for kind, table in both.weights.items()}
    of_inputs = []
    backward = groups.Convolutions.backward

    def spy(self: Any, *args: Any) -> Any:
        of_inputs.append(self.source)
        return backward(self, *args)

    monkeypatch.setattr(groups.Convolutions, "backward", spy)
    loss = both.loss(both.fast, weights=tables)
    (found,) = torch.autograd.grad(loss, list(tables.values()))
    assert len(of_inputs) == 3 * 3 - 1  # three nodes of three cells have convolutions; the first input needs none
    for net in (both.reference,):
        (expected,) = torch.autograd.grad(both.loss(net, weights=tables), list(tables.values()))
    assert torch.allclose(found, expected, rtol=1e-9)


def second_order(both: Any, net: Any, seed: int, only: str = "") -> dict[str, Tensor]:
    """Gradients made with a graph, and the Hessian's product with a random direction."""
    leaves = {name: leaf for name, leaf in both.leaves(net).items() if name.startswith(only)}
    given = {**both.leaves(net), **leaves}
    with frozen_statistics(net):
        loss = both.loss_of(net, given)
    ends = list(leaves.values())
    first = torch.autograd.grad(loss, ends, create_graph=True, allow_unused=True, materialize_grads=True)
    grad_output = sum((g * v).sum() for g, v in zip(first, random_like(ends, seed), strict=True))
    second = torch.autograd.grad(grad_output, ends, allow_unused=True, materialize_grads=True)
    return {
        **{f"first {name}": g.detach() for name, g in zip(leaves, first, strict=True)},
        **{f"second {name}": g for name, g in zip(leaves, second, strict=True)},
    }


@pytest.mark.parametrize("space", SPACES)
@settings(max_examples=2, deadline=None, derandomize=True)
@given(
    options=st.fixed_dictionaries(
        {
            "affine": st.booleans(),
            "node_norm": st.booleans(),
            "per_cell": st.booleans(),
            "skip_dropout": st.sampled_from([0.0, 0.4]),
            "auxiliary_weight": st.sampled_from([None, 0.7]),
            "dropped": st.sampled_from([0.0, 0.5]),
        }
    ),
    only=st.sampled_from(["", "table", "cells"]),
    training=st.booleans(),
    seed=st.integers(0, 99),
)
def test_double_backward_and_hessian_products(
    pair: Any, agree: Any, space: str, options: Any, only: str, training: bool, seed: int
) -> None:
    both = pair(space, seed=seed, batch=5, **options)
    for net in both.nets:
        net.train(training)
    agree(*(second_order(both, net, seed, only) for net in both.nets))


def test_noise_and_dropped_skips_are_drawn_alike_the_second_time(pair: Any, agree: Any) -> None:
    """And the stream goes on as if nothing had been drawn again."""
    both = pair("s4")
    nexts = []
    for net in both.nets:
        found = second_order(both, net, 0)
        nexts.append({**found, "next": torch.randn(4, generator=net.random.on(torch.device("cpu")))})
    agree(*nexts)


@pytest.mark.parametrize("space", ["nats-tss", pytest.param("s2", marks=pytest.mark.slow)])
def test_at_other_parameters(pair: Any, agree: Any, kernels: str, space: str) -> None:
    """An unrolled step: a functional call at parameters that are functions of the parameters, and of the tables."""
    both = pair(space, affine=True)
    found = []
    for net in both.nets:
        leaves = both.leaves(net)
        parameters = {name: p for name, p in leaves.items() if name in dict(net.named_parameters())}
        tables = {kind: leaves[f"table {kind}"] for kind in both.weights}

        def loss_at(state: Any, net: Any = net, leaves: Any = leaves, tables: Any = tables) -> Tensor:
            net.random.reseed(0)
            with frozen_statistics(net):
                logits = functional_call(net, state, (leaves["images"], tables))
            return torch.nn.functional.cross_entropy(logits, both.labels)

        slopes = torch.autograd.grad(
            loss_at(parameters), list(parameters.values()), create_graph=True, allow_unused=True, materialize_grads=True
        )
        moved = {name: p - 0.1 * g for (name, p), g in zip(parameters.items(), slopes, strict=True)}
        ends = list(leaves.values())
        result = torch.autograd.grad(loss_at(moved), ends, allow_unused=True, materialize_grads=True)
        found.append(dict(zip(leaves, result, strict=True)))
    agree(*found)


@pytest.mark.parametrize("space", ["nats-tss", "s2"])
def test_parameters_in_any_memory_format(pair: Any, agree: Any, kernels: str, space: str) -> None:
    both = pair(space, affine=True)
    expected = both.gradients(both.reference)
    both.fast.to(memory_format=torch.channels_last)
    agree(both.gradients(both.fast), expected)


def test_batched_gradients_and_whole_hessians(pair: Any, agree: Any) -> None:
    both = pair("nats-tss")
    found = []
    for net in both.nets:

        def loss(table: Tensor, net: Any = net) -> Tensor:
            with frozen_statistics(net):
                return both.loss(net, weights={"cell": table})

        at = both.weights["cell"]
        hessian = torch.autograd.functional.hessian
        found.append({"loop": hessian(loss, at), "vectorized": hessian(loss, at, vectorize=True)})
    agree(*found)
    assert found[0]["loop"].abs().max() > 0


def test_functional_gradients(pair: Any, agree: Any) -> None:
    both = pair("nats-tss")
    found = []
    for net in both.nets:

        def loss(table: Tensor, net: Any = net) -> Tensor:
            with frozen_statistics(net):
                return both.loss(net, weights={"cell": table})

        found.append({"": torch.func.grad(loss)(both.weights["cell"])})
    agree(*found)


@pytest.mark.slow  # torch's forward mode imports for seconds
def test_forward_mode(pair: Any, agree: Any) -> None:
    both = pair("nats-tss", zeros=0.5)
    (direction,) = random_like([both.weights["cell"]], 0)
    found = []
    for net in both.nets:

        def loss(table: Tensor, net: Any = net) -> Tensor:
            with frozen_statistics(net):
                return both.loss(net, weights={"cell": table})

        value, grad_output = torch.func.jvp(loss, (both.weights["cell"],), (direction,))
        found.append({"value": value, "slope": grad_output})
    agree(*found)


@pytest.mark.parametrize("training", [True, False])
def test_a_change_of_mode_between_the_passes_changes_nothing(
    pair: Any, agree: Any, kernels: str, training: bool
) -> None:
    both = pair("nats-tss", skip_dropout=0.3)
    found = []
    for net in both.nets:
        net.train(training)
        leaves = both.leaves(net)
        loss = both.loss_of(net, leaves)
        net.train(not training)
        gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
        found.append(dict(zip(leaves, gradients, strict=True)))
    agree(*found)


def test_transforms_of_functions(pair: Any) -> None:
    """A Hessian by forward over reverse mode, and whole batches of images and of tables, as one by one."""
    both = pair("nats-tss", batch=3, affine=True)
    table = both.weights["cell"]
    hessians, found = [], []
    for net in both.nets:
        net.eval()
        hessians.append(torch.func.hessian(lambda a, net=net: both.loss(net, weights={"cell": a}))(table))
        images = torch.vmap(lambda x, net=net: net(x[None], both.weights))(both.images)
        tables = torch.vmap(lambda a, net=net: net(both.images, {"cell": a}))(torch.stack([table, 2 * table]))
        assert_close(images[:, 0], net(both.images, both.weights), rtol=1e-9, atol=1e-12)
        assert_close(tables[1], net(both.images, {"cell": 2 * table}), rtol=1e-9, atol=1e-12)
        found.append((images, tables))
    assert_close(*hessians, rtol=1e-9, atol=1e-12)
    assert_close(*found, rtol=1e-9, atol=1e-12)
    assert float(hessians[0].detach().abs().max()) > 0
