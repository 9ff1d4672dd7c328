"""The solvable problems against the papers' numbers and against linear algebra."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from spaces import IMAGE_SPACES, SPACES, get_space
from spaces.analytic.problems import AMENDED_TOY, RARTS_MODEL, Problem
from spaces.analytic.rest_points import rest_of_relaxed
from spaces.analytic.space import Analytic
from spaces.common.errors import InputError

alphas = st.floats(-10, 10)


@given(alphas)
def test_the_toy_of_amended_darts(alpha: float) -> None:
    """A.1: ω*(α) = α, g1 = -2α, g2 = 4α, g = 2α; and eq. 6 by hand: -η · (-2) · 2 · 4α."""
    assert AMENDED_TOY.inner(alpha) == alpha
    found = [AMENDED_TOY.g1(alpha), AMENDED_TOY.g2(alpha), AMENDED_TOY.g(alpha), AMENDED_TOY.g2_amended(alpha, 0.1)]
    assert found == pytest.approx([-2 * alpha, 4 * alpha, 2 * alpha, 1.6 * alpha])


@given(alphas)
def test_the_model_of_rarts(alpha: float) -> None:
    """III-D: w*(α) = α and L_v(w*(α), α) = α² - 2α + 1."""
    assert RARTS_MODEL.inner(alpha) == alpha
    assert RARTS_MODEL.g(alpha) == pytest.approx(2 * alpha - 2)


@given(alphas, st.floats(-10, 10))
def test_supernet_computes_the_written_losses(alpha: float, w: float) -> None:
    losses = {
        RARTS_MODEL: (w**2 - 2 * alpha * w + alpha**2, alpha * w - 2 * alpha + 1),
        AMENDED_TOY: ((w - alpha) ** 2, (2 * w - alpha) ** 2),
    }
    for problem, expected in losses.items():
        space = Analytic(problem=Problem(problem.train, problem.valid, start=(alpha, w, 0.0)))
        net = space.supernet(channels=1, cells=1, classes=1)
        for split, value in zip(space.splits(), expected, strict=True):
            images, _ = split.batch(0, 0)
            assert net(images, space.alpha(0)).item() == pytest.approx(value, abs=1e-9)


@given(st.floats(0.5, 1e3, exclude_min=True), st.floats(1.5, 1e3, exclude_min=True))
def test_rest_of_rarts_solves_its_equations_and_is_a_minimum(penalty: float, coupling: float) -> None:
    """The gradient of eq. 4 by its Hessian in (α, w, y), and the paper's own closed form."""
    hessian = np.array(
        [
            [2 * penalty, -2 * penalty, 1],
            [-2 * penalty, 2 * penalty + coupling, -coupling],
            [1, -coupling, coupling],
        ]
    )
    assert (np.linalg.eigvalsh(hessian) > 0).all()
    found = rest_of_relaxed(penalty, coupling)
    scale = max(map(abs, found.values()))
    assert hessian @ list(found.values()) == pytest.approx([2, 0, 0], abs=1e-9 * scale * (penalty + coupling))
    below = 4 * coupling * penalty - coupling - 2 * penalty
    above = (4 * coupling * penalty, 4 * coupling * penalty - 2 * coupling)
    above = (*above, above[1] - 4 * penalty)
    assert list(found.values()) == pytest.approx([a / below for a in above], rel=1e-9, abs=1e-9)


@given(st.floats(0.01, 5), st.floats(0.01, 5))
def test_without_a_minimum_is_told(penalty: float, coupling: float) -> None:
    assume(4 * coupling * penalty < coupling + 2 * penalty)
    with pytest.raises(InputError, match="no minimum"):
        rest_of_relaxed(penalty, coupling)


def test_large_coupling_is_one_network_on_both_losses_not_milenas() -> None:
    """β → ∞ gives the minimum of L_v + λ L_t over one (w, α); MiLeNAS's w descends L_t alone and stays at (2, 2)."""
    found = rest_of_relaxed(10, 1e9)
    assert found["w"] == pytest.approx(found["y"])
    assert found["alpha"] == pytest.approx(40 / 39)


def test_as_a_space() -> None:
    space = get_space("analytic")
    assert "analytic" in SPACES
    assert "analytic" not in IMAGE_SPACES
    assert space.mask["cell"].shape == (1, 1)
    genotype = space.discretize(space.alpha(0))
    assert space.parse(str(genotype)) == genotype == space.random(torch.Generator())
    assert torch.equal(space.encode(genotype)["cell"], torch.ones(1, 1))
    with pytest.raises(InputError, match="no networks"):
        space.cost(genotype, 1, 1, 1, 8)
    with pytest.raises(InputError, match="one architecture"):
        space.parse("|skip_connect~0|")
