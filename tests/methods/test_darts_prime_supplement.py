"""CRB and ADMM of DARTS-PRIME's supplement: closed forms, exact zeros, what stays pruned, where ADMM pulls to."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import Search
from methods.darts_prime.prime import projection, proximity
from methods.darts_prime.supplement import admm, clipped, computing, even, multipliers, pruned
from methods.search.step import Step
from spaces import IMAGE_SPACES, get_space

SMALL = ["nats-tss", "s1", "s2", "s3"]
MakeStep = Callable[..., Step]
MakeSearch = Callable[..., Search]


def relaxed(step: Step) -> dict[str, Tensor]:
    return {kind: a.detach() for kind, a in step.relaxation(step.alpha, step, "select").items()}


def set_alpha(step: Step, seed: int, spread: float = 1.0, mean: float = 0.0) -> None:
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for kind, alpha in step.alpha.items():
            drawn = mean + spread * torch.randn(alpha.shape, generator=source, dtype=alpha.dtype)
            alpha.copy_(drawn * computing(step.space)[kind])


# S1.1: CRB.
@pytest.mark.parametrize("space", SMALL)
def test_weights_are_clipped_alpha_with_exact_zeros(make_step: MakeStep, space: str) -> None:
    step = make_step("darts+crb", space, channels=2)
    for kind, weight in clipped(step.alpha, step, "train").items():
        alpha, present = step.alpha[kind], computing(step.space)[kind]
        inside = present & (alpha > 0) & (alpha < 1)
        assert torch.equal(weight[inside], alpha[inside])
        assert (weight[~present | (alpha <= 0)] == 0).all()
        assert (weight[present & (alpha >= 1)] == 1).all()


@pytest.mark.parametrize("space", SMALL)
def test_gradient_passes_where_alpha_is_not_clipped(make_step: MakeStep, space: str) -> None:
    step = make_step("darts+crb", space, channels=2)
    gradient = step.alpha_gradient(torch.stack([w.sum() for w in clipped(step.alpha, step, "valid").values()]).sum())
    for kind, alpha in step.alpha.items():
        inside = computing(step.space)[kind] & (alpha > 0) & (alpha < 1)
        assert torch.equal(gradient[kind], inside.to(alpha.dtype))


@pytest.mark.parametrize("space", sorted(IMAGE_SPACES))
def test_operations_start_even_and_none_out(space: str) -> None:
    here = get_space(space)
    for kind, alpha in even(here, seed=1).items():
        present = computing(here)[kind]
        assert (alpha[~present] == 0).all()
        share = (1 / present.sum(-1, keepdim=True)).expand_as(alpha)
        assert (alpha - share)[present].abs().max() < 6e-4
        assert (alpha - share)[present].std() == pytest.approx(1e-4, rel=0.5)


def test_the_node_norm_normalises_each_nodes_sum(make_step: MakeStep) -> None:
    """Any common factor of the weights into a node is divided out, so its scale is no signal."""
    step = make_step("darts+crb", "nats-tss", size=16)
    weights = {kind: torch.rand(a.shape, dtype=a.dtype) + 0.2 for kind, a in step.alpha.items()}
    one = step.logits(step.train, weights=weights)
    other = step.logits(step.train, weights={kind: 3 * w for kind, w in weights.items()})
    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    plain = make_step("darts-1st", "nats-tss", size=16)
    assert set(step.net.state_dict()) - set(plain.net.state_dict()) == {
        f"cells.{cell}.node_norms.{node}.{name}"
        for cell in (0, 2, 4)
        for node in range(3)
        for name in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_what_is_not_positive_is_pruned_for_good(make_step: MakeStep) -> None:
    step = make_step("darts+crb", "s1", channels=2)
    set_alpha(step, seed=0)
    first = {kind: (alpha > 0).clone() for kind, alpha in step.alpha.items()}
    pruned(step)
    assert all(torch.equal(step.alpha[kind] != 0, alive) for kind, alive in first.items())
    set_alpha(step, seed=1, mean=5.0)  # all positive again
    pruned(step)
    assert all(torch.equal(step.alpha[kind] != 0, alive) for kind, alive in first.items())
    assert all(torch.equal(step.memory["crb.alive"][kind], alive) for kind, alive in first.items())


@pytest.mark.parametrize(
    ("method", "space"),
    [
        ("prime+crb", "nats-tss"),
        ("darts+admm+fimt+crb", "nats-tss"),
        ("darts+crb", "s2"),
        pytest.param("darts+crb", "nats-tss", marks=pytest.mark.slow),
        *(pytest.param(method, "s2", marks=pytest.mark.slow) for method in ("prime+crb", "darts+admm+fimt+crb")),
    ],
)
def test_a_search_prunes_progressively_and_resumes(make_search: MakeSearch, method: str, space: str) -> None:
    """With a rate high enough to prune within a few steps; interrupted while some are pruned."""
    changes: dict[str, Any] = {"alpha_learning_rate": 0.15, "epochs": 3, "batches": (4, 2)}
    if method != "darts+crb":
        changes["threshold"] = 1e4
    kind = get_space(space).kinds[0]
    whole = make_search(method, space, **changes)
    alive = [sum(weight > 0 for weight in row[f"weights.{kind}"]) for row in whole]
    zeros = [{i for i, weight in enumerate(row[f"weights.{kind}"]) if weight == 0} for row in whole.history]
    assert alive[-1] < sum(computing(get_space(space))[kind].flatten())
    assert all(early <= late for early, late in pairwise(zeros))

    one = make_search(method, space, **changes)
    for _ in range(6):
        one.advance()
    state, resumed = one.state_dict(), make_search(method, space, **changes)
    resumed.load_state_dict(state)
    list(resumed)
    assert resumed.history == whole.history


# S1.2: ADMM.
@pytest.mark.parametrize("space", SMALL)
def test_admm_has_its_closed_form(make_step: MakeStep, space: str) -> None:
    """S1's pull through the softmax, its Jacobian by hand."""
    step = make_step("darts+admm", space, channels=2)
    a = relaxed(step)
    step.memory["admm.z"] = z = projection(step.space, a)
    step.memory["admm.u"] = u = {kind: torch.randn_like(x) for kind, x in a.items()}
    step.memory["admm.steps"] = 1
    for kind, gradient in admm(step).items():
        pull = 0.1 * (a[kind] - z[kind] + u[kind])
        truth = a[kind] * (pull - (a[kind] * pull).sum(-1, keepdim=True))
        torch.testing.assert_close(gradient, truth, rtol=1e-10, atol=1e-14)


def test_z_and_u_follow_s3_and_s5_after_every_tenth_step(make_step: MakeStep) -> None:
    step = make_step("darts+admm", "s2", channels=2)
    a = relaxed(step)
    assert not any(g.any() for g in admm(step).values())  # z is the relaxed alpha, u is zero
    for _ in range(9):
        z, u = multipliers(step, a)
        assert all(torch.equal(z[kind], a[kind]) and not u[kind].any() for kind in a)
    corner = projection(step.space, a)
    z, u = multipliers(step, a)
    assert all(torch.equal(z[kind], corner[kind]) for kind in a)
    assert all(torch.equal(u[kind], a[kind] - corner[kind]) for kind in a)
    held = u
    for _ in range(10):
        z, u = multipliers(step, a)
    expected = projection(step.space, {kind: a[kind] + held[kind] for kind in a})
    assert all(torch.equal(z[kind], expected[kind]) for kind in a)
    assert all(torch.allclose(u[kind], 0.8 * held[kind] + a[kind] - z[kind], rtol=1e-12) for kind in a)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("method", "space"), [("darts+admm", "nats-tss")] + [("darts+admm+fimt+crb", s) for s in SMALL]
)
def test_admm_pulls_to_a_vertex_of_the_projection(make_step: MakeStep, method: str, space: str, seed: int) -> None:
    """Without a loss, and S1 solved between two updates: the weights end as a discrete architecture.

    A softmax can be one where each edge keeps an operation (NATS-Bench), CRB everywhere.
    """
    crb = "crb" in method
    step = make_step(method, space, channels=2, **({} if crb else {"admm_steps": 100}))
    set_alpha(step, seed, *((0.1, 0.5) if crb else ()))
    with torch.no_grad():
        for _ in range(60 if crb else 2000):
            with torch.enable_grad():
                gradient = admm(step)
            for kind, alpha in step.alpha.items():
                alpha -= (10.0 if crb else 50.0) * gradient[kind]
            if crb:
                pruned(step)
    a = relaxed(step)
    corner = projection(step.space, a)
    assert max(float((a[kind] - corner[kind]).abs().max()) for kind in a) < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_z_never_chooses_a_pruned_operation_while_another_is_left(make_step: MakeStep, seed: int) -> None:
    step = make_step("darts+admm+fimt+crb", "nats-tss", channels=2)
    set_alpha(step, seed, mean=0.3)
    with torch.no_grad():
        step.alpha["cell"][:, 3] = 0.4  # one operation of each edge is left at least
    pruned(step)
    step.memory["admm.u"] = {kind: 5 * torch.randn(a.shape, dtype=a.dtype) for kind, a in step.alpha.items()}
    step.memory["admm.steps"] = 10
    a = relaxed(step)
    z, u = multipliers(step, a)
    assert all((z[kind][a[kind] == 0] == 0).all() and (u[kind][a[kind] == 0] == 0).all() for kind in a)


@pytest.mark.parametrize(("name", "simpler"), [("darts+admm", "darts-1st"), ("darts+admm+fimt", "darts+fimt")])
def test_without_its_pull_admm_is_the_simpler_method(make_search: MakeSearch, name: str, simpler: str) -> None:
    changes: dict[str, Any] = {"threshold": 1e4} if "fimt" in simpler else {}
    without = list(make_search(simpler, "nats-tss", **changes))
    assert list(make_search(name, "nats-tss", rho_a=0.0, **changes)) == without
    assert list(make_search(name, "nats-tss", rho_a=10.0, **changes)) != without


def test_crb_composes_with_the_proximity_of_the_main_text(make_step: MakeStep) -> None:
    """Through clipped ReLU the pull of eq. 8 is the unit vector off the vertex, cut off where alpha is clipped."""
    step = replace(make_step("prime+crb", "s2", channels=2), progress=1.0)
    a = relaxed(step)
    corner = projection(step.space, a)
    for kind, gradient in proximity(step).items():
        inside = (step.alpha[kind] > 0) & (step.alpha[kind] < 1)
        truth = 0.05 * (a[kind] - corner[kind]) / (a[kind] - corner[kind]).norm() * inside
        torch.testing.assert_close(gradient, truth, rtol=1e-10, atol=1e-14)
