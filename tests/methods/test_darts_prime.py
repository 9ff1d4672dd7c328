"""DARTS-PRIME: each piece against a closed form, each row against the simpler method, bit for bit."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import METHODS, Search, get_method
from methods.darts import DARTS_1ST
from methods.darts_prime import prime
from methods.darts_prime.prime import (
    DARTS_FIMT,
    FIMT,
    constant,
    fimt,
    fisher_trace,
    moving_trace,
    projection,
    proximity,
)
from methods.search.settings import resolve
from methods.search.step import Step
from spaces import get_space

SPACES = ["nats-tss", "s1", "s2", "s3"]
MakeSearch = Callable[..., Search]
FIMT_DEFAULTS = {option.name: option.default for option in FIMT}
FOUR = {"batches": (4, 2)}
"""Four weight steps an epoch, and half as many batches for alpha."""


def moved(one: Search) -> list[int]:
    """The steps, counted from 1, in which alpha moved."""
    learner: Any = one.learner
    steps, before = [], learner.alpha()[learner.setup.space.kinds[0]].clone()
    while not one.done:
        one.advance()
        after = learner.alpha()[learner.setup.space.kinds[0]].clone()
        if not torch.equal(before, after):
            steps.append(one.epoch * one.setup.steps + one.number)
        before = after
    return steps


def unlogged(one: Search) -> list[dict[str, Any]]:
    """The search's history without what FIMT logs, which a simpler method has not."""
    return [{column: value for column, value in row.items() if not column.startswith("fimt.")} for row in one]


def steps_of(schedule: Callable[[Any], bool], count: int, memory: dict[str, Any], **options: Any) -> list[int]:
    step = SimpleNamespace(settings=SimpleNamespace(options={**FIMT_DEFAULTS, **options}), memory=memory)
    return [number for number in range(1, count + 1) if schedule(step)]


# The loop over splits of different sizes.
@pytest.mark.parametrize("batches", [(5, 2), (2, 2), (2, 3)])
def test_an_epoch_is_one_pass_over_the_weight_split_and_the_architecture_split_continues(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch, batches: tuple[int, int]
) -> None:
    one = make_search("darts+fimt", "nats-tss", batches=batches)
    asked: dict[str, list[tuple[int, int]]] = {}
    for name, split in (("train", one.setup.train), ("valid", one.setup.valid)):
        positions = asked.setdefault(name, [])

        def recorded(epoch: int, step: int, split: Any = split, positions: list[Any] = positions) -> Any:
            positions.append((epoch, step))
            return type(split).batch(split, epoch, step)

        monkeypatch.setattr(split, "batch", recorded)
    list(one)
    steps, cycle = batches
    assert asked["train"] == [(epoch, step) for epoch in range(2) for step in range(steps)]
    assert asked["valid"] == [(step // cycle, step % cycle) for step in range(2 * steps)]


# Eqs. 6-7 and the schedule.
@pytest.mark.parametrize("space", SPACES)
def test_trace_is_that_of_the_outer_product(make_step: Callable[..., Step], space: str) -> None:
    step = make_step("darts+fimt", space, channels=2)
    gradients = torch.autograd.grad(step.loss(step.train), list(step.net.parameters()), materialize_grads=True)
    some = torch.cat([g.flatten() for g in gradients])[:2000]
    assert fisher_trace([some]) == pytest.approx(float(torch.outer(some, some).trace()), rel=1e-12)
    assert fisher_trace(gradients) == pytest.approx(sum(float(g.norm() ** 2) for g in gradients), rel=1e-12)


def test_moving_average_begins_at_the_first_trace_and_follows_eq_7() -> None:
    step: Any = SimpleNamespace(settings=SimpleNamespace(options=FIMT_DEFAULTS), memory={})
    seen = []
    for size in (3.0, 1.0, 2.0):
        moving_trace(step, [torch.tensor([size])])
        seen.append(step.memory["fimt.trace"])
    assert seen == pytest.approx([9.0, 0.2 * 1 + 0.8 * 9, 0.2 * 4 + 0.8 * (0.2 * 1 + 0.8 * 9)])


def test_the_learner_shows_the_gradient_of_the_training_loss_unclipped(make_search: MakeSearch) -> None:
    """The trace is that of the first weight step's own gradient, whatever clipping and weight decay make of it."""
    one = make_search("darts+fimt", "nats-tss", gradient_clip=1e-6, weight_decay=0.5)
    learner: Any = one.learner
    images, labels = one.setup.train.batch(0, 0)
    learner.net.random.reseed(0)
    loss = torch.nn.functional.cross_entropy(learner.net(images, learner.weights()), labels)
    gradients = torch.autograd.grad(loss, list(learner.net.parameters()))
    one.advance()
    assert learner.memory["fimt.trace"] == pytest.approx(fisher_trace(gradients), rel=1e-5)


def test_the_history_has_what_fimt_decides_by(make_search: MakeSearch) -> None:
    """Means over the epoch's steps of what is seen from outside after each of them, and how often alpha moved."""
    one = make_search("darts+fimt", "nats-tss", threshold=1e3, ratio=2, ewma=0.5, **FOUR)
    learner: Any = one.learner
    kind, share, rise = one.setup.space.kinds[0], 0.5, 1.05
    average, threshold = None, 1e3
    while not one.done:
        traces, averages, thresholds, moves = [], [], [], 0
        row = None
        while row is None:
            before = learner.alpha()[kind].clone()
            row = one.advance()
            found = learner.memory["fimt.trace"]
            traces.append(found if average is None else (found - (1 - share) * average) / share)
            average = found
            averages.append(average)
            thresholds.append(threshold)
            moved_now = not torch.equal(before, learner.alpha()[kind])
            assert moved_now == (average < threshold)
            moves += moved_now
            threshold *= rise**-2 if moved_now else rise
        for name, values in (("trace", traces), ("average", averages), ("threshold", thresholds)):
            assert row[f"fimt.{name}"] == pytest.approx(sum(values) / 4)
        assert row["fimt.moves"] == moves
    assert [row["fimt.moves"] for row in one.history] != [0, 0]
    assert not any("fimt" in column for column in next(iter(make_search("darts+cs10", "nats-tss"))))


@pytest.mark.parametrize("trace", [1e-6, 1e-3, 0.3, 1.0, 7.7, 4e4])
@pytest.mark.parametrize("ratio", [1, 4, 10, 25])
@pytest.mark.parametrize("rise", [1.01, 1.05, 1.3])
def test_on_a_constant_trace_r_steps_without_alpha_meet_one_with_it(trace: float, ratio: int, rise: float) -> None:
    """The threshold's two factors balance at r: 1, from wherever it starts."""
    memory: dict[str, Any] = {"fimt.trace": trace}
    settle, count = 5000, 5000 * (ratio + 1)
    steps_of(fimt, settle, memory, ratio=ratio, threshold_rise=rise)
    with_alpha = len(steps_of(fimt, count, memory, ratio=ratio, threshold_rise=rise))
    assert (count - with_alpha) / with_alpha == pytest.approx(ratio, rel=2e-3)


def test_a_falling_trace_moves_alpha_more_often_and_a_rising_one_less() -> None:
    def moves(growth: float) -> int:
        memory: dict[str, Any] = {"fimt.trace": 1.0}
        count = 0
        for _ in range(2000):
            memory["fimt.trace"] *= growth
            count += len(steps_of(fimt, 1, memory))
        return count

    assert moves(0.99) > moves(1.0) > moves(1.01) > 0


def test_fimt_waits_until_there_is_a_trace() -> None:
    assert steps_of(fimt, 3, {}) == []


# FIMT, CS10 and DARTS.
def test_cs10_moves_alpha_at_every_tenth_step_across_epochs(make_search: MakeSearch) -> None:
    assert moved(make_search("darts+cs10", "nats-tss", epochs=6, **FOUR)) == [10, 20]
    assert steps_of(constant, 45, {}) == [10, 20, 30, 40]


@pytest.mark.parametrize("space", ["nats-tss", "s2"])
def test_fimt_with_a_constant_schedule_is_cs10(make_search: MakeSearch, space: str) -> None:
    scheduled = replace(DARTS_FIMT, schedule=constant, log=())
    one, other = (make_search(recipe, space, ratio=3, **FOUR) for recipe in (scheduled, "darts+cs10"))
    assert list(one) == list(other)


def test_fimt_on_a_constant_trace_is_a_constant_schedule(
    make_search: MakeSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """r = 2: two steps of the weights alone, then one with alpha: a constant schedule of three."""
    monkeypatch.setattr(prime, "fisher_trace", lambda gradients: 1.0)
    dynamic = {"ratio": 2, "threshold": 0.93, **FOUR}
    assert moved(make_search("darts+fimt", "nats-tss", **dynamic)) == [3, 6]
    one, other = (
        make_search("darts+fimt", "nats-tss", **dynamic),
        make_search("darts+cs10", "nats-tss", ratio=3, **FOUR),
    )
    assert unlogged(one) == unlogged(other)


@pytest.mark.parametrize("space", ["nats-tss", "s2"])
def test_fimt_with_a_threshold_above_every_trace_is_darts(make_search: MakeSearch, space: str) -> None:
    darts = replace(DARTS_1ST, settings=DARTS_FIMT.settings)
    one, other = make_search("darts+fimt", space, threshold=1e12, **FOUR), make_search(darts, space, **FOUR)
    assert unlogged(one) == unlogged(other)


# Eq. 8.
def flat(values: dict[str, Tensor]) -> Tensor:
    return torch.cat([value.flatten() for value in values.values()])


def softmax_pull(a: Tensor, g: Tensor) -> Tensor:
    """The softmax's Jacobian by hand: row by row a (g - <a, g>)."""
    return a * (g - (a * g).sum(-1, keepdim=True))


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("progress", [0.25, 1.0])
def test_proximity_has_its_closed_form(make_step: Callable[..., Step], space: str, progress: float) -> None:
    step = replace(make_step("darts+pr", space), progress=progress)
    relaxed = {kind: a.detach() for kind, a in step.relaxation(step.alpha, step, "select").items()}
    corner = projection(step.space, relaxed)
    truth = {
        kind: progress * 0.1 / 2 * softmax_pull(a, (a - corner[kind]) / (a - corner[kind]).norm())
        for kind, a in relaxed.items()
    }
    torch.testing.assert_close(flat(proximity(step)), flat(truth), rtol=1e-10, atol=1e-14)


def test_proximity_begins_at_zero_and_grows_with_the_search(make_step: Callable[..., Step]) -> None:
    step = make_step("darts+pr", "nats-tss")
    whole = flat(proximity(replace(step, progress=1.0)))
    assert not flat(proximity(replace(step, progress=0.0))).any()
    torch.testing.assert_close(flat(proximity(replace(step, progress=0.5))), 0.5 * whole)


@pytest.mark.parametrize("space", SPACES)
def test_projection_is_the_derived_architecture(space: str) -> None:
    here = get_space(space)
    weights = {kind: a.softmax(-1) for kind, a in here.alpha(3).items()}
    corner = projection(here, weights)
    assert here.discretize(corner) == here.discretize(weights)
    assert all(set(c.unique().tolist()) == {0.0, 1.0} for c in corner.values())
    # Idempotent, as a projection is.
    assert all(torch.equal(projection(here, corner)[kind], corner[kind]) for kind in corner)


def descend(step: Step, term: Callable[[Step], dict[str, Tensor]], count: int, rate: float) -> None:
    with torch.no_grad():
        for _ in range(count):
            with torch.enable_grad():
                gradient = term(step)
            for kind, alpha in step.alpha.items():
                alpha -= rate * gradient[kind]


def distance(step: Step) -> dict[str, Tensor]:
    relaxed = step.relaxation({kind: a.detach() for kind, a in step.alpha.items()}, step, "select")
    corner = projection(step.space, relaxed)
    return {kind: a - corner[kind] for kind, a in relaxed.items()}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("space", SPACES)
def test_proximity_pulls_to_the_vertex_of_the_projection(make_step: Callable[..., Step], space: str, seed: int) -> None:
    """Without a loss: the architecture stays, its weights reach one, and nothing else can come closer.

    A softmax's rows add to one, so on an edge that is not chosen the nearest is an even spread.
    """
    step = replace(make_step("darts+pr", space), progress=1.0)
    with torch.no_grad():
        for alpha in step.alpha.values():
            alpha.copy_(torch.randn(alpha.shape, generator=torch.Generator().manual_seed(seed), dtype=alpha.dtype))
    before, start = distance(step), step.space.discretize(step.relaxation(step.alpha, step, "select"))
    descend(step, proximity, count=400, rate=50.0)
    relaxed = {kind: a.detach() for kind, a in step.relaxation(step.alpha, step, "select").items()}
    assert step.space.discretize(relaxed) == start
    for kind, corner in projection(step.space, relaxed).items():
        chosen = corner.sum(-1) > 0
        assert (relaxed[kind] * corner).sum(-1)[chosen].min() > 0.98
        mask = step.space.mask[kind]
        free = (1 / mask.sum(-1, keepdim=True)) * mask
        torch.testing.assert_close(relaxed[kind][~chosen], free[~chosen].to(relaxed[kind]), atol=0.02, rtol=0)
        assert distance(step)[kind].norm() < before[kind].norm()


@pytest.mark.parametrize(
    ("name", "simpler", "space"),
    [("darts+pr", "darts-1st", "nats-tss"), ("darts-prime", "darts+fimt", "nats-tss"), ("darts+pr", "darts-1st", "s2")],
)
def test_without_its_pull_each_row_is_the_simpler_method(
    make_search: MakeSearch, name: str, simpler: str, space: str
) -> None:
    changes: dict[str, Any] = {"threshold": 1e4} if "fimt" in simpler else {}  # so that alpha moves from the start
    without = list(make_search(simpler, space, **changes))
    assert list(make_search(name, space, rho_p=0.0, **changes)) == without
    assert list(make_search(name, space, rho_p=10.0, **changes)) != without


# The paper's hyper-parameters.
ROWS = [name for name in METHODS if METHODS.module(name).startswith("methods.darts_prime.")]


@pytest.mark.parametrize("space", ["darts", "nats-tss"])
def test_settings_are_those_of_sections_4_2_and_4_3(space: str) -> None:
    assert len(ROWS) == 10
    for name in ROWS:
        recipe: Any = get_method(name)
        s, _ = resolve(recipe.options, recipe.layers(get_space(space)))
        scheduled = "fimt" in name or "prime" in name or "cs10" in name
        assert s.weights_share == (10 / 11 if scheduled else 0.5)
        assert not scheduled or s.order == "weights-alpha"  # algorithm 1
        assert recipe.gradient.__name__ == "first_order"
        if "fimt" in name or "prime" in name:
            assert {"ratio": 10, "threshold": 1.0, "threshold_rise": 1.05, "ewma": 0.2}.items() <= s.options.items()
        if "prime" in name or "pr" in name.split("+"):
            assert s.options["rho_p"] == 0.1
        if "admm" in name:
            assert {"rho_a": 0.1, "lambda_u": 0.8, "admm_steps": 10}.items() <= s.options.items()
        assert (s.node_norm, s.alpha_weight_decay) == ((True, 0.0) if "crb" in name else (False, 1e-3))
        assert (s.epochs, s.batch_size, s.alpha_learning_rate) == (50, 64, 3e-4)
