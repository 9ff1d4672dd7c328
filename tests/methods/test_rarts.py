"""RARTS and MiLeNAS: their gradients against autodiff of the Lagrangian, their order, their limits."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import Search, get_method
from methods.rarts import (
    RartsLearner,
    auxiliary_gradient,
    latency,
    mixed_level,
    primary_gradient,
    relative_multiply_adds,
    relaxed,
    second_weights,
)
from methods.search.learners.supernet import SupernetLearner
from methods.search.settings import resolve
from methods.search.step import Alpha, Step
from spaces import get_space
from spaces.cells.cost import cost_tables, milliseconds, multiply_adds, operation_costs


def flat(alpha: Alpha) -> Tensor:
    return torch.cat([a.flatten() for a in alpha.values()])


def lagrangian(step: Step) -> Tensor:
    """Eq. 4 as it is written."""
    y, w, o = second_weights(step), step.parameters(), step.settings.options
    distance = sum(((y[name] - w[name]).square().sum() for name in w), torch.zeros(()))
    training, validation = step.loss(step.train), step.loss(step.valid, parameters=y)
    return validation + float(o["lambda"]) * training + 0.5 * float(o["beta"]) * distance


@pytest.mark.parametrize("space", ["nats-tss", "s1", "s4"])
def test_the_three_gradients_are_those_of_the_lagrangian(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("rarts", space, **{"lambda": 0.7, "beta": 1.3})
    w, y = list(step.parameters().values()), list(second_weights(step).values())
    assert any(not torch.equal(a, b) for a, b in zip(w, y, strict=True))
    truth_w, truth_y = (torch.autograd.grad(lagrangian(step), leaves) for leaves in (w, y))
    training = torch.autograd.grad(step.loss(step.train), w)
    held = {kind: a.detach() for kind, a in step.alpha.items()}
    for truth, found in ((truth_w, auxiliary_gradient(step, training)), (truth_y, primary_gradient(step, held))):
        for one, other in zip(truth, found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
    truth_alpha = flat(step.alpha_gradient(lagrangian(step)))
    torch.testing.assert_close(flat(relaxed(step)), truth_alpha, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("space", ["nats-tss", "s2"])
def test_milenas_is_the_gradient_of_both_losses_at_the_same_weights(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("milenas", space, **{"lambda": 0.7})
    truth = step.alpha_gradient(step.loss(step.valid) + 0.7 * step.loss(step.train))
    torch.testing.assert_close(flat(mixed_level(step)), flat(truth), rtol=1e-9, atol=1e-12)


class Tied(RartsLearner):
    """RARTS with y = w enforced, "e.g. through a multiplier" (III-B)."""

    def _weight_step(self, step: Step) -> tuple[Tensor, Tensor]:
        result = SupernetLearner._weight_step(self, step)
        self.primary.load_state_dict(self.net.state_dict())
        return result


def test_with_one_set_of_weights_rarts_is_milenas_bit_for_bit(
    make_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"nesterov": True, "epochs": 2}
    milenas = list(make_search("milenas", "nats-tss", **sizes, **{"lambda": 0.5}))
    monkeypatch.setattr("methods.rarts.RartsLearner", Tied)
    assert list(make_search("rarts", "nats-tss", **sizes, **{"lambda": 0.5})) == milenas


def test_milenas_without_the_training_loss_is_first_order_darts_bit_for_bit(make_search: Callable[..., Search]) -> None:
    plain = list(make_search("darts-1st", "s2", order="weights-alpha"))
    assert list(make_search("milenas", "s2", **{"lambda": 0.0})) == plain


def test_without_coupling_w_trains_as_in_darts(make_search: Callable[..., Search]) -> None:
    """β = 0 and λ = 1: until alpha first moves, w takes DARTS's step; y goes its own way from the same start."""
    darts, rarts = make_search("darts-1st", "s2", order="weights-alpha"), make_search("rarts", "s2", beta=0.0)
    darts.advance(), rarts.advance()
    one, other = darts.learner, rarts.learner
    assert isinstance(one, SupernetLearner)
    assert isinstance(other, RartsLearner)
    for a, b, y in zip(one.net.parameters(), other.net.parameters(), other.primary.parameters(), strict=True):
        assert torch.equal(a, b)
        assert y.grad is None
    assert any(not torch.equal(b, y) for b, y in zip(other.net.parameters(), other.primary.parameters(), strict=True))


def test_latency_is_the_gradient_of_eq_5(make_step: Callable[..., Step]) -> None:
    """∇_α ⟨p, Lat⟩ = p · (Lat - ⟨p, Lat⟩ of the edge) for p = softmax(α): the Jacobian of the proof of Theorem 1."""
    step = make_step("rarts", "s1", latency_weight=0.002)
    found, table = latency(step), relative_multiply_adds(step)
    for kind, alpha in step.alpha.items():
        mask = step.space.mask[kind]
        p = alpha.detach().masked_fill(~mask, -torch.inf).softmax(-1)
        truth = 0.002 * p * (table[kind] - (p * table[kind]).sum(-1, keepdim=True))
        torch.testing.assert_close(found[kind], truth, rtol=1e-9, atol=1e-15)


def test_latency_is_off_by_weight_zero_and_drives_to_cheap_operations(make_search: Callable[..., Search]) -> None:
    off = list(make_search("rarts", "nats-tss"))
    assert list(make_search("rarts", "nats-tss", latency_weight=0.0)) == off
    last = list(make_search("rarts", "nats-tss", latency_weight=1e3))[-1]
    weights = torch.tensor(last["weights.cell"]).view(6, 5)
    operations = get_space("nats-tss").operations
    assert (weights[:, operations.index("none")] > weights[:, operations.index("nor_conv_3x3")]).all()


def test_table_of_multiply_adds() -> None:
    """A 3x3 convolution of NATS costs nine times a 1x1; a stage of half the side and twice the channels as much."""
    space = get_space("nats-tss")
    net = space.supernet(channels=4, cells=1, classes=3)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    costs = cost_tables(operation_costs(net, torch.randn(1, 3, 8, 8), multiply_adds), space, cells=1)["cell"]
    assert costs.shape == (3, 6, 5)
    assert costs[:, 0].tolist() == [[0, 0, 1024, 9216, 0]] * 3
    assert torch.equal(costs, costs[:1, :1].expand_as(costs))
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_latency_is_measured_once_for_each_operation_and_shape() -> None:
    space = get_space("s2")
    net = space.supernet(channels=4, cells=3, classes=3)
    asked = []

    def cost(operation: torch.nn.Module, x: Tensor) -> float:
        asked.append(x.shape)
        return milliseconds(operation, x, repeats=1)

    tables = cost_tables(operation_costs(net, torch.randn(2, 3, 8, 8), cost), space, cells=3)
    assert {kind: tuple(table.shape) for kind, table in tables.items()} == {"normal": (1, 14, 2), "reduce": (2, 14, 2)}
    assert all((table > 0).all() for table in tables.values())
    # Three cells, of which two reduce: 1 normal shape, 2 strided and 2 not, of two operations each.
    assert len(asked) == 10


def test_settings_are_the_papers() -> None:
    """Section IV-A."""
    recipe: Any = get_method("rarts")
    on = {space: resolve(recipe.options, recipe.layers(get_space(space)))[0] for space in ("darts", "nats-tss")}
    for s in on.values():
        assert (s.batch_size, s.learning_rate, s.momentum, s.nesterov) == (64, 0.025, 0.9, False)
        assert (s.alpha_learning_rate, s.alpha_weight_decay, s.order) == (3e-4, 1e-3, "weights-alpha")
    assert (on["darts"].weight_decay, on["darts"].epochs, on["darts"].options["latency_weight"]) == (3e-4, 50, 0.002)
    assert (on["nats-tss"].weight_decay, on["nats-tss"].epochs) == (5e-4, 100)
