"""PR-DARTS: its gates against samples, its regularisers against enumeration and closed forms, its rows bit for bit."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise, product
from math import log, prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods import Search
from methods.darts import first_order, softmax
from methods.pr_darts.gates import (
    PR_DARTS,
    activation,
    deep_path,
    gate,
    group_sparsity,
    most_active,
    non_skip_sparsity,
    path_depth,
    path_probability,
    sampled_gates,
    skip_sparsity,
    temperature,
    two_operations,
)
from methods.search.pieces import strongest
from methods.search.settings import resolve
from methods.search.step import Alpha, Step, StepContext
from spaces import get_space
from spaces.cells.genotype import PARAMETRIC
from spaces.common import streams

SPACES = ["nats-tss", "darts", "s1", "s2", "s3", "s4"]
LOW, HIGH = -0.1, 1.1


def context(space: str, tau: float = 1.0, seed: int = 0, **options: Any) -> StepContext:
    """A context at temperature `tau`, whatever the epoch."""
    changes = {"epochs": 3, "tau_start": tau, "tau_end": tau, **options}
    resolved = resolve(PR_DARTS.options, {**PR_DARTS.layers(get_space(space)), "test": changes})[0]
    return StepContext(get_space(space), resolved, seed=seed, epoch=1, number=2, progress=0.4)


def spread(space: str, seed: int = 0) -> Alpha:
    """Alpha far from its small start, float64, a leaf."""
    return {
        kind: torch.randn(mask.shape, generator=streams.generator(seed, kind), dtype=torch.float64).requires_grad_()
        for kind, mask in get_space(space).mask.items()
    }


def probability(beta: float, tau: float) -> float:
    """Theorem 3, written out."""
    return 1 / (1 + (-LOW / HIGH) ** tau * torch.tensor(-beta, dtype=torch.float64).exp().item())


# Gates


@pytest.mark.parametrize("tau", [0.1, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("beta", [-3.0, -0.5, 0.0, 1.5])
def test_activation_probability_is_that_of_100000_samples(beta: float, tau: float) -> None:
    """Theorem 3, within four standard deviations."""
    count = 100_000
    noise = torch.rand(count, generator=streams.generator(0, "gates"), dtype=torch.float64)
    gates = gate(torch.full((count,), beta, dtype=torch.float64), noise, tau, LOW, HIGH)
    truth = probability(beta, tau)
    assert activation(torch.tensor([beta]), context("s2", tau)).item() == pytest.approx(truth, rel=1e-12)
    assert abs((gates > 0).double().mean().item() - truth) <= 4 * (truth * (1 - truth) / count) ** 0.5
    # The gate is 1 with the probability of the mirrored gate being 0, and strictly between in the rest.
    full = 1 / (1 + torch.tensor(-beta + tau * log((1 - LOW) / (HIGH - 1)), dtype=torch.float64).exp().item())
    assert abs((gates == 1).double().mean().item() - full) <= 4 * (full * (1 - full) / count) ** 0.5 + 1e-12
    assert gates.min() >= 0
    assert gates.max() <= 1


@given(st.floats(-4, 4), st.floats(0.1, 10), st.floats(0.01, 0.99), st.floats(-2, -0.01), st.floats(1.01, 3))
@settings(max_examples=200, deadline=None)
def test_gate_follows_theorem_3_for_any_stretch(beta: float, tau: float, delta: float, low: float, high: float) -> None:
    """Zero, the line, or one, by where the unstretched gate lies."""
    noise = torch.tensor(delta, dtype=torch.float64)
    unstretched = ((noise.logit() + beta) / tau).sigmoid().item()
    found = gate(torch.tensor(beta, dtype=torch.float64), noise, tau, low, high).item()
    if unstretched <= -low / (high - low):
        assert found == pytest.approx(0, abs=1e-12)
    elif unstretched <= (1 - low) / (high - low):
        assert found == pytest.approx(low + (high - low) * unstretched)
    else:
        assert found == pytest.approx(1)


def test_gate_gradient_is_that_of_the_expected_gate() -> None:
    """Reparameterisation: the mean gradient over samples is the derivative of the mean, here by quadrature."""
    beta, tau, count = 0.4, 0.7, 200_000

    def expected(at: float) -> float:
        grid = (torch.arange(count, dtype=torch.float64) + 0.5) / count
        return gate(torch.tensor(at, dtype=torch.float64), grid, tau, LOW, HIGH).mean().item()

    truth = (expected(beta + 1e-4) - expected(beta - 1e-4)) / 2e-4
    alpha = torch.full((count,), beta, dtype=torch.float64, requires_grad=True)
    noise = torch.rand(count, generator=streams.generator(1, "gates"), dtype=torch.float64)
    (gradient,) = torch.autograd.grad(gate(alpha, noise, tau, LOW, HIGH).sum(), alpha)
    assert gradient.mean().item() == pytest.approx(truth, rel=4 * gradient.std().item() / count**0.5 / truth)
    relaxed = ((noise.logit() + beta) / tau).sigmoid()
    uncut = (relaxed > -LOW / (HIGH - LOW)) & (relaxed < (1 - LOW) / (HIGH - LOW))
    torch.testing.assert_close(gradient, (HIGH - LOW) * relaxed * (1 - relaxed) / tau * uncut)


@pytest.mark.parametrize("space", SPACES)
def test_a_pass_computes_two_operations_of_each_edge(space: str) -> None:
    counts = {kind: torch.zeros(mask.shape) for kind, mask in get_space(space).mask.items()}
    for seed in range(300):
        for kind, mask in get_space(space).mask.items():
            drawn = two_operations(kind, context(space, seed=seed), "train")
            assert not (drawn & ~mask).any()
            assert (drawn.sum(1) == mask.sum(1).clamp_max(2)).all()
            counts[kind] += drawn
    for kind, mask in get_space(space).mask.items():
        uniform = mask * (2 / mask.sum(1, keepdim=True)).clamp_max(1)
        assert (counts[kind] / 300 - uniform).abs().max() < 0.15


def test_draws_are_shared_on_one_split_of_a_step_and_fresh_elsewhere() -> None:
    alpha, at = spread("nats-tss"), context("nats-tss", sampled_operations=5)
    train = sampled_gates(alpha, at, "train")["cell"]
    assert torch.equal(train, sampled_gates(alpha, at, "train")["cell"])
    assert not torch.equal(train, sampled_gates(alpha, at, "valid")["cell"])
    for other in (replace(at, number=3), replace(at, epoch=2), replace(at, seed=1)):
        assert not torch.equal(train, sampled_gates(alpha, other, "train")["cell"])
    in_single = sampled_gates({"cell": alpha["cell"].float()}, at, "train")["cell"]
    torch.testing.assert_close(in_single.double(), train, rtol=1e-5, atol=1e-5)


def test_temperature_falls_linearly_over_the_epochs() -> None:
    resolved = resolve(PR_DARTS.options, {**PR_DARTS.layers(get_space("darts")), "test": {}})[0]
    at = StepContext(get_space("darts"), resolved, 0, 0, 0, 0.0)
    taus = [temperature(replace(at, epoch=epoch)) for epoch in range(200)]
    assert (taus[0], taus[-1]) == (10, pytest.approx(0.1))
    assert all(a - b == pytest.approx(9.9 / 199) for a, b in pairwise(taus))
    assert temperature(StepContext(at.space, replace(resolved, epochs=1), 0, 0, 0, 0.0)) == 10


def test_selection_tells_probabilities_apart_at_the_highest_temperature() -> None:
    """In float32 all are 1 there; `none` is never selected, however probable."""
    space = get_space("nats-tss")
    at = context("nats-tss", tau=10)
    alpha = space.alpha(seed=3)
    alpha["cell"][:, 0] = 1
    weights = sampled_gates(alpha, at, "select")
    assert (weights["cell"].float() == 1).all()
    chosen = [space.operations.index(name) for _, _, name in most_active(space, weights).edges("cell")]
    assert chosen == (1 + alpha["cell"][:, 1:].argmax(1)).tolist()


# Regularisers


def paths(space: str, kind: str, node: int, last: int) -> Iterator[list[int]]:
    """Every path of edges from a node to the last one."""
    if node == last:
        yield []
    for number, (source, target) in enumerate(get_space(space).edges[kind]):
        if source == node:
            yield from ([number, *rest] for rest in paths(space, kind, target, last))


@pytest.mark.parametrize("space", SPACES)
def test_the_deep_path_is_the_longest_from_the_previous_cells_output(space: str) -> None:
    of = get_space(space)
    for kind in of.kinds:
        last = of.notation.inputs + of.notation.nodes - 1
        every = list(paths(space, kind, of.notation.inputs - 1, last))
        longest = [path for path in every if len(path) == max(map(len, every))]
        assert longest == [deep_path(of, kind)]
        first = of.notation.inputs - 1
        assert [of.edges[kind][edge] for edge in longest[0]] == [(node, node + 1) for node in range(first, last)]


@pytest.mark.parametrize("space", SPACES)
def test_path_probability_is_the_sum_over_all_paths(space: str) -> None:
    """Eq. 8's product of sums, multiplied out: one term for each way to put a convolution on each edge of the path."""
    of, at, alpha = get_space(space), context(space, tau=0.6), spread(space)
    total = 0.0
    for kind in of.kinds:
        options = [
            [number for number, name in enumerate(of.operations) if name in PARAMETRIC and of.mask[kind][edge, number]]
            for edge in deep_path(of, kind)
        ]
        assert all(options)
        for path in product(*options):
            steps = zip(deep_path(of, kind), path, strict=True)
            total += prod(probability(alpha[kind][edge, number].item(), 0.6) for edge, number in steps)
    assert path_probability(alpha, at).item() == pytest.approx(total / len(of.kinds), rel=1e-12)


def test_path_probability_is_the_expected_number_of_open_paths() -> None:
    at, alpha, count = context("nats-tss", tau=0.6), spread("nats-tss"), 20_000
    noise = torch.rand((count, 6, 5), generator=streams.generator(0, "paths"), dtype=torch.float64)
    opened = gate(alpha["cell"].detach().expand(count, 6, 5), noise, 0.6, LOW, HIGH) > 0
    columns = [at.space.operations.index(name) for name in ("nor_conv_1x1", "nor_conv_3x3")]
    found = opened[:, deep_path(at.space, "cell")][..., columns].double().sum(-1).prod(-1)
    tolerance = 4 * found.std().item() / count**0.5
    assert abs(found.mean().item() - path_probability(alpha, at).item()) < tolerance


@pytest.mark.parametrize("space", SPACES)
def test_group_sparsity_is_the_papers_double_sum(space: str) -> None:
    of, at, alpha = get_space(space), context(space, tau=0.6), spread(space)
    for skip in (True, False):
        means = []
        for kind in of.kinds:
            members = [
                probability(alpha[kind][edge, number].item(), 0.6)
                for edge in range(len(of.edges[kind]))
                for number, name in enumerate(of.operations)
                if (name == "skip_connect") == skip and of.mask[kind][edge, number]
            ]
            means.append(sum(members) / max(len(members), 1))
        assert group_sparsity(alpha, at, skip=skip).item() == pytest.approx(sum(means) / len(means), rel=1e-12)


def test_zeta_is_the_papers_where_every_pair_of_nodes_is_an_edge() -> None:
    alpha, at = spread("nats-tss"), context("nats-tss")
    h, r = 4, 5
    zeta = 2 / (h * (h - 1))
    p = activation(alpha["cell"], at)
    assert group_sparsity(alpha, at, skip=True).item() == pytest.approx(zeta * p[:, 1].sum().item())
    rest = zeta / (r - 1) * (p.sum() - p[:, 1].sum()).item()
    assert group_sparsity(alpha, at, skip=False).item() == pytest.approx(rest)


def closed_form(space: str, at: StepContext, alpha: Alpha, which: str) -> Alpha:
    """The regularisers' gradients by hand: Θ' = Θ (1 - Θ), and for a product its value over each factor."""
    of, gradients = at.space, {}
    tau = temperature(at)
    for kind, a in alpha.items():
        p = torch.tensor([[probability(b, tau) for b in row] for row in a.tolist()], dtype=torch.float64)
        names = of.operations
        if which == "path":
            keep = torch.tensor([[name in PARAMETRIC for name in names]]) & of.mask[kind]
            keep[[edge for edge in range(len(a)) if edge not in deep_path(of, kind)]] = False
            sums = (p * keep).sum(1, keepdim=True)
            value = prod(sums[edge].item() for edge in deep_path(of, kind))
            slope = keep.double() * value / sums.where(sums > 0, 1)
            factor = -0.005
        else:
            keep = torch.tensor([[(name == "skip_connect") == (which == "skip") for name in names]]) & of.mask[kind]
            slope = keep.double() / keep.sum().clamp_min(1)
            factor = 0.01 if which == "skip" else 0.005
        gradients[kind] = factor * slope * p * (1 - p) / len(alpha)
    return gradients


@pytest.mark.parametrize("space", ["nats-tss", "s1", "s4"])
@pytest.mark.parametrize(
    ("which", "term"), [("skip", skip_sparsity), ("non-skip", non_skip_sparsity), ("path", path_depth)]
)
def test_terms_are_the_closed_forms_gradients(
    make_step: Callable[..., Step], space: str, which: str, term: Callable[[Step], Alpha]
) -> None:
    step = make_step("pr-darts", space, tau_start=0.8)
    truth = closed_form(space, step, step.alpha, which)
    for kind, gradient in term(step).items():
        torch.testing.assert_close(gradient, truth[kind], rtol=1e-10, atol=1e-16)


def test_terms_keep_their_gradient_at_the_highest_temperature(make_step: Callable[..., Step]) -> None:
    """Float32 alone would round it to zero: Θ = 1 there."""
    step = make_step("pr-darts", "nats-tss", dtype=torch.float32)
    for which, term in (("skip", skip_sparsity), ("path", path_depth)):
        truth = closed_form("nats-tss", step, step.alpha, which)["cell"]
        assert 0 < truth.abs().max() < 1e-10
        torch.testing.assert_close(term(step)["cell"].double(), truth, rtol=1e-4, atol=0)


@pytest.mark.parametrize("space", ["nats-tss", "s1", "s4"])
def test_gradient_is_the_derivative_of_the_sampled_validation_loss(make_step: Callable[..., Step], space: str) -> None:
    """Through the gates of this step's draws, held fixed."""
    step = make_step("pr-darts", space, tau_start=0.8)
    gradient = first_order(step)
    direction = {
        kind: torch.randn(a.shape, generator=streams.generator(5, kind), dtype=a.dtype)
        for kind, a in step.alpha.items()
    }

    def at(by: float) -> Tensor:
        # Differentiated, though nothing is asked of it: a gate at zero is then computed, and S4 draws the same noise.
        moved = {kind: (a.detach() + by * direction[kind]).requires_grad_() for kind, a in step.alpha.items()}
        return step.loss(step.valid, alpha=moved).detach()

    truth = float((at(1e-7) - at(-1e-7)) / 2e-7)
    found = sum((gradient[kind] * direction[kind]).sum().item() for kind in gradient)
    assert abs(truth) > 1e-6
    assert found == pytest.approx(truth, rel=1e-5, abs=1e-9)


# Recipes


def test_hyper_parameters_are_the_papers() -> None:
    """Section 5.1; the last line's are the authors' code's, on which the paper is silent."""
    for space in SPACES:
        s = resolve(PR_DARTS.options, PR_DARTS.layers(get_space(space)))[0]
        o = s.options
        assert (s.epochs, s.batch_size, s.weights_share) == (200, 128, 0.5)
        assert (s.channels, s.cells) == (16, 5 if space == "nats-tss" else 8)
        assert (o["lambda1"], o["lambda2"], o["lambda3"]) == (0.01, 0.005, 0.005)
        assert (o["tau_start"], o["tau_end"], o["gate_low"], o["gate_high"]) == (10, 0.1, -0.1, 1.1)
        assert o["sampled_operations"] == 2
        assert (s.weight_decay, s.nesterov, s.order, s.batch_norm) == (5e-4, True, "weights-alpha", "batch")


@pytest.mark.parametrize(
    ("without", "row"),
    [({"lambda3": 0.0}, "pr-darts-gates"), ({"lambda1": 0.0, "lambda2": 0.0}, "pr-darts-path")],
)
def test_switching_a_component_off_is_the_other_alone(
    make_search: Callable[..., Search], without: dict[str, float], row: str
) -> None:
    tau = {"tau_start": 1.0, "epochs": 1}  # where the regularisers have a say
    reduced, alone = make_search("pr-darts", "s2", **tau, **without), make_search(row, "s2", **tau)
    assert list(reduced) == list(alone)
    assert next(iter(make_search("pr-darts", "s2", **tau)))["alpha.normal"] != alone.history[0]["alpha.normal"]


def test_without_gates_and_regularisers_it_is_first_order_darts(
    make_search: Callable[..., Search],
) -> None:
    recipe = replace(PR_DARTS, relaxation=softmax, outer=(), selection=strongest)
    bare = make_search(recipe, "nats-tss", batch_norm="running")
    assert list(bare) == list(make_search("darts-1st", "nats-tss"))
