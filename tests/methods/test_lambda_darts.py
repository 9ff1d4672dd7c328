"""Λ-DARTS against closed forms and exact derivatives, in float64, on a small supernet of each family."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import comb
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import Tensor

from methods import lambda_darts
from methods.lambda_darts import (
    COSINE,
    SIGN,
    LayerAgreement,
    aligned_layers,
    aligned_layers_of_alpha,
    aligned_signs,
    central,
    directions,
    exact,
    interleaved,
)
from methods.search.layer_gradients import (
    alignment,
    layer_gradients,
    loss_at,
    mean_over_pairs,
    no_shift,
    sign_alignment,
)
from methods.search.step import Batch, Step

MEASURES = pytest.mark.parametrize("measure", [COSINE, SIGN], ids=["Λ", "Λ±"])
FAMILIES = ["nats-tss", "s1", "s2"]
shapes = {"cells": st.integers(2, 6), "n": st.integers(2, 9), "seed": st.integers(0, 10**6)}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def flat(tensors: Any) -> Tensor:
    return torch.cat([t.flatten() for t in tensors])


def relative(found: Tensor, truth: Tensor) -> float:
    return float((found - truth).norm() / truth.norm())


# --- Λ and Λ± --------------------------------------------------------------------------------------------------------


@examples(deadline=None, max_examples=30)
@given(**shapes)
def test_alignment_is_the_mean_over_pairs_as_the_paper_writes_it(cells: int, n: int, seed: int) -> None:
    g = normal(cells, n, seed=seed)
    pairs = list(combinations(g, 2))
    assert len(pairs) == comb(cells, 2)
    cosines = [float(a @ b / (a.norm() * b.norm())) for a, b in pairs]
    signs = [float(a @ b / (a.abs() @ b.abs())) for a, b in pairs]
    assert float(alignment(g)) == pytest.approx(sum(cosines) / len(pairs), abs=1e-12)
    assert float(sign_alignment(g)) == pytest.approx(sum(signs) / len(pairs), abs=1e-12)


def test_alignment_of_identical_orthogonal_and_opposite_layers() -> None:
    one = normal(5)
    scaled = torch.stack([one, 3 * one, 0.1 * one])
    assert float(alignment(scaled)) == pytest.approx(1)
    assert float(sign_alignment(scaled)) == pytest.approx(1)
    assert float(alignment(torch.eye(4, dtype=torch.float64))) == 0
    assert float(alignment(torch.stack([one, -one]))) == pytest.approx(-1)
    # The optimum of Λ± asks for equal signs alone (section 4.1).
    same_signs = one.sign() * normal(3, 5, seed=1).abs()
    assert float(sign_alignment(same_signs)) == pytest.approx(1)
    assert float(alignment(same_signs)) < 0.99


@MEASURES
@examples(deadline=None, max_examples=30)
@given(**shapes)
def test_delta_is_the_derivative(measure: LayerAgreement, cells: int, n: int, seed: int) -> None:
    """Eq. 10's closed forms, summed by eq. 12, against autodiff; a column of masked operations stays zero."""
    g = normal(cells, n, seed=seed)
    g[:, n // 2] = 0
    leaf = g.clone().requires_grad_()
    value = alignment(leaf) if measure is COSINE else sign_alignment(leaf)
    (truth,) = torch.autograd.grad(value, leaf)
    found = directions(g, measure) / comb(cells, 2)
    torch.testing.assert_close(found, truth, rtol=1e-10, atol=1e-12)
    assert not found[:, n // 2].any()


@MEASURES
def test_a_layer_without_gradient_counts_as_orthogonal(measure: LayerAgreement) -> None:
    g = normal(3, 4)
    g[1] = 0
    rest = mean_over_pairs(g[[0, 2]], measure.of)
    assert float(mean_over_pairs(g, measure.of)) == pytest.approx(float(rest) / 3)
    leaf = g.clone().requires_grad_()
    (derivative,) = torch.autograd.grad(mean_over_pairs(leaf, measure.of), leaf)
    assert derivative.isfinite().all()
    assert directions(g, measure).isfinite().all()


# --- Layer gradients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [*FAMILIES, "s4"])
def test_layer_gradients_sum_to_the_gradient_of_the_shared_weights(make_step: Callable[..., Step], space: str) -> None:
    """Eq. 18, and no gradient for operations that an edge lacks."""
    step = make_step("lambda-darts", space)
    kind = step.space.kinds[0]
    layers = layer_gradients(step, step.train)
    weights = {k: w.detach().requires_grad_() for k, w in step.relaxation(step.alpha, step, "train").items()}
    (shared,) = torch.autograd.grad(step.loss(step.train, weights=weights), [weights[kind]])
    assert layers.shape == (step.space.cells_of(kind, step.settings.cells), *shared.shape)
    torch.testing.assert_close(layers.sum(0), shared, rtol=1e-9, atol=1e-12)
    assert not layers[:, ~step.space.mask[kind]].any()
    assert layers.flatten(1).norm(dim=1).min() > 0


# --- The gradient of the alignment -----------------------------------------------------------------------------------


@MEASURES
@pytest.mark.parametrize("space", FAMILIES)
def test_exact_is_the_derivative_of_the_alignment(
    make_step: Callable[..., Step], measure: LayerAgreement, space: str
) -> None:
    """Double backward against a central difference of Λ itself, along a random direction of the weights."""
    step = make_step("lambda-darts", space)
    parameters = step.parameters()
    gradient = flat(exact(step, step.train, list(parameters.values()), measure))
    move = normal(gradient.numel(), seed=1)
    moves = dict(zip(parameters, move.split([p.numel() for p in parameters.values()]), strict=True))

    def at(distance: float) -> Tensor:
        moved = {name: p.detach() + distance * moves[name].view_as(p) for name, p in parameters.items()}
        shift = no_shift(step).requires_grad_()
        weights = step.relaxation(step.alpha, step, "train")
        kind = step.space.kinds[0]
        loss = step.loss(step.train, weights={**weights, kind: weights[kind] + shift}, parameters=moved)
        return mean_over_pairs(torch.autograd.grad(loss, shift)[0].flatten(1), measure.of)

    truth = (at(1e-7) - at(-1e-7)) / 2e-7
    assert float(gradient @ move) == pytest.approx(float(truth), rel=1e-5, abs=1e-7)


@pytest.mark.usefixtures("smooth")
@MEASURES
@pytest.mark.parametrize("of", ["weights", "alpha"])
@pytest.mark.parametrize("space", FAMILIES)
def test_differences_agree_with_double_backward(
    make_step: Callable[..., Step], measure: LayerAgreement, of: str, space: str
) -> None:
    """At the paper's own radius; `docs/methods/lambda_darts.md` has the errors with kinks, and in float32."""
    step = make_step("lambda-darts", space)
    leaves = list(step.net.parameters()) if of == "weights" else list(step.alpha.values())
    truth = flat(exact(step, step.train, leaves, measure))
    centre = flat(central(step, step.train, leaves, measure))
    forward, backward = (flat(interleaved(step, step.train, leaves, measure)) for _ in range(2))
    assert relative(centre, truth) < 1e-5
    assert 0 < relative(forward, truth) < 1e-2
    assert 0 < relative(backward, truth) < 1e-2
    # The two sides are the halves of the central difference.
    torch.testing.assert_close((forward + backward) / 2, centre, rtol=1e-5, atol=1e-9 * float(truth.norm()))


@MEASURES
def test_central_difference_converges_with_kinks_too(make_step: Callable[..., Step], measure: LayerAgreement) -> None:
    """With ReLU as it is, a radius too small to cross a kink leaves only rounding."""
    step = make_step("lambda-darts", "s2", epsilon0=1e-7)
    leaves = list(step.net.parameters())
    assert relative(
        flat(central(step, step.train, leaves, measure)), flat(exact(step, step.train, leaves, measure))
    ) < (1e-6)


def test_radius_is_that_of_the_paper(make_step: Callable[..., Step], monkeypatch: pytest.MonkeyPatch) -> None:
    """ε = ε0 / ‖Δ‖_F: the layers' weights move by ε0 in all, along Δ."""
    step = make_step("lambda-darts", "nats-tss")
    shifts: list[Tensor] = []
    delta = directions(layer_gradients(step, step.train).flatten(1), COSINE)

    def watched(step: Step, batch: Batch, shift: Tensor) -> Tensor:
        shifts.append(shift.detach())
        return loss_at(step, batch, shift)

    monkeypatch.setattr(lambda_darts, "loss_at", watched)
    central(step, step.train, list(step.net.parameters()), COSINE)
    _, plus, minus = shifts  # the first is where the layers themselves are
    assert float(plus.norm()) == pytest.approx(1e-4)
    torch.testing.assert_close(minus, -plus)
    torch.testing.assert_close(plus.flatten(1), 1e-4 * delta / delta.norm())


# --- The regulariser -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("term", "measure"), [(aligned_layers, COSINE), (aligned_signs, SIGN)])
def test_the_term_is_minus_lambda_t_times_the_gradient(
    make_step: Callable[..., Step], term: Any, measure: LayerAgreement
) -> None:
    step = replace(make_step("lambda-darts", "nats-tss", epochs=4, **{"lambda": 0.5}), epoch=3)
    leaves = list(step.net.parameters())
    expected = [-0.5 * 3 / 4 * g for g in central(step, step.train, leaves, measure)]
    assert all(torch.equal(found, e) for found, e in zip(term(step), expected, strict=True))


def test_descending_the_term_aligns_the_layers(make_step: Callable[..., Step]) -> None:
    step = replace(make_step("lambda-darts", "nats-tss"), epoch=1)
    before, terms = alignment(layer_gradients(step, step.train).flatten(1)), aligned_layers(step)
    with torch.no_grad():
        for parameter, term in zip(step.net.parameters(), terms, strict=True):
            parameter -= 1e-3 * term
    assert float(alignment(layer_gradients(step, step.train).flatten(1))) > float(before)


def test_outer_term_is_the_derivative_for_alpha(make_step: Callable[..., Step]) -> None:
    """Λ on the validation batch at shifted alphas, brute force."""
    step = replace(make_step("lambda-darts-outer", "nats-tss", difference="exact"), epoch=1)
    gradient = flat(aligned_layers_of_alpha(step).values())
    move = normal(gradient.numel(), seed=2)

    def at(distance: float) -> float:
        (kind,) = step.alpha
        moved = {kind: step.alpha[kind].detach() + distance * move.view_as(step.alpha[kind])}
        return float(alignment(layer_gradients(replace(step, alpha=moved), step.valid).flatten(1)))

    truth = -0.125 / 2 * (at(1e-6) - at(-1e-6)) / 2e-6  # λ of this space, half the epochs behind
    assert float(gradient @ move) == pytest.approx(truth, rel=1e-5)


@pytest.mark.parametrize("term", [aligned_layers, aligned_signs, aligned_layers_of_alpha])
@pytest.mark.parametrize("difference", ["central", "interleaved", "exact"])
def test_terms_leave_weights_and_running_statistics_alone(
    make_step: Callable[..., Step], term: Any, difference: str
) -> None:
    step = replace(make_step("lambda-darts", "s2", difference=difference), epoch=1)
    before = {name: value.clone() for name, value in step.net.state_dict().items()}
    term(step)
    assert all(torch.equal(before[name], value) for name, value in step.net.state_dict().items())
