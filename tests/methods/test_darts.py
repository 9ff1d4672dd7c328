"""DARTS's architecture gradients against independent truth, in float64, on a small supernet of each family."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from methods import Search
from methods.darts import first_order, second_order, second_order_exact, unroll
from methods.search.step import Alpha, Step

# The whole DARTS space is slow in float64; S1 has its pools and dilated convolutions, S4 draws noise.
DARTS = pytest.param("darts", marks=pytest.mark.slow)
FAMILIES = ["nats-tss", "s1", "s4", DARTS]


def flat(alpha: Alpha) -> Tensor:
    return torch.cat([a.flatten() for a in alpha.values()])


def shifted(alpha: Alpha, direction: Tensor, by: float) -> Alpha:
    parts = direction.split([a.numel() for a in alpha.values()])
    moved = (a.detach() + by * part.view_as(a) for a, part in zip(alpha.values(), parts, strict=True))
    return dict(zip(alpha, moved, strict=True))


def directional(function: Callable[[Alpha], Tensor], alpha: Alpha, direction: Tensor, radius: float = 1e-7) -> float:
    """A central difference of `function` along `direction`."""
    plus, minus = (function(shifted(alpha, direction, by)) for by in (radius, -radius))
    return float((plus - minus) / (2 * radius))


@pytest.mark.parametrize("space", FAMILIES)
def test_first_order_is_the_derivative_of_the_validation_loss(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("darts-1st", space)
    gradient = flat(first_order(step))
    for seed in range(3):
        direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            truth = directional(lambda a: step.loss(step.valid, alpha=a), step.alpha, direction)
        assert float(gradient @ direction) == pytest.approx(truth, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("space", FAMILIES)
@pytest.mark.parametrize("nesterov", [False, True])
def test_exact_is_the_derivative_through_the_unrolled_step(
    make_step: Callable[..., Step], space: str, nesterov: bool
) -> None:
    """Brute force: take the unrolled step at shifted alphas and difference the validation loss."""
    step = make_step("darts-2nd-exact", space, nesterov=nesterov)
    names = list(step.parameters())

    def after_one_step(alpha: Alpha) -> Tensor:
        loss = step.loss(step.train, alpha=alpha)
        moved = unroll(step, torch.autograd.grad(loss, [step.parameters()[name] for name in names]))
        return step.loss(step.valid, alpha=alpha, parameters=moved).detach()

    gradient = flat(second_order_exact(step))
    direction = torch.randn(gradient.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    truth = directional(after_one_step, step.alpha, direction)
    assert float(gradient @ direction) == pytest.approx(truth, rel=1e-5, abs=1e-8)


def test_unroll_is_the_optimisers_own_step(make_step: Callable[..., Step]) -> None:
    """The unrolled weights are those that SGD reaches, momentum, weight decay and Nesterov included."""
    for nesterov in (False, True):
        step = make_step("darts-2nd", "nats-tss", nesterov=nesterov)
        parameters = list(step.net.parameters())
        gradients = torch.autograd.grad(step.loss(step.train), parameters)
        moved = unroll(step, gradients)
        optimiser = torch.optim.SGD(
            parameters, lr=step.learning_rate, momentum=0.9, nesterov=nesterov, weight_decay=step.settings.weight_decay
        )
        for parameter, momentum, gradient in zip(parameters, step.momenta(), gradients, strict=True):
            optimiser.state[parameter]["momentum_buffer"] = momentum.clone()
            parameter.grad = gradient
        optimiser.step()
        for reached, unrolled in zip(parameters, moved.values(), strict=True):
            torch.testing.assert_close(reached.detach(), unrolled, rtol=1e-12, atol=1e-15)


def relative(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


@pytest.mark.usefixtures("smooth")
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("space", ["nats-tss", "s1", pytest.param("s2", marks=pytest.mark.slow), DARTS])
def test_finite_difference_agrees_with_double_backward(
    make_step: Callable[..., Step], space: str, nesterov: bool, record_property: Callable[[str, object], None]
) -> None:
    """The error of the whole gradient at the method's own radius; `docs/methods.md` has the measured numbers."""
    step = make_step("darts-2nd", space, nesterov=nesterov, size=16)
    exact, difference = flat(second_order_exact(step)), flat(second_order(step))
    record_property("relative_error", relative(difference, exact))
    assert relative(difference, exact) < 1e-3
    assert relative(flat(first_order(step)), exact) > 0.05  # the correction is there to be seen


@pytest.mark.parametrize("space", ["nats-tss", "s2", "s4"])
def test_finite_difference_converges_with_kinks_too(make_step: Callable[..., Step], space: str) -> None:
    """With ReLU as it is, a radius too small to cross a kink leaves only rounding."""
    step = make_step("darts-2nd", space, radius=1e-7)
    assert relative(flat(second_order(step)), flat(second_order_exact(step))) < 1e-6


@pytest.mark.parametrize("space", ["nats-tss", "s1"])
def test_gradients_leave_weights_and_running_statistics_alone(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("darts-2nd", space)
    before = {name: value.clone() for name, value in step.net.state_dict().items()}
    for gradient in (first_order, second_order, second_order_exact):
        gradient(step)
        after = step.net.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("method", ["darts-2nd", "amended-darts", "rarts"])
def test_an_operation_may_weigh_exactly_nothing(make_search: Callable[..., Search], method: str) -> None:
    """A softmax of alpha that lie far apart gives zeros; the weights of such operations are not in the loss's graph."""
    search = make_search(method, "nats-tss", alpha_learning_rate=200.0)
    rows = list(search)
    assert min(rows[0]["weights.cell"]) == 0
    assert all(math.isfinite(row["train_loss"]) for row in rows)
