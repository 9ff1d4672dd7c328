"""P-DARTS and DARTS-: stages that prune and deepen, dropout and the limit on skip-connections, auxiliary ones."""

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from math import exp
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from methods import Search, get_method
from methods.darts import DARTS_1ST, first_order
from methods.darts_minus import DARTS_MINUS, fading
from methods.p_darts import (
    P_DARTS,
    P_DARTS_AUXILIARY_SKIP,
    P_DARTS_NO_PRIORS,
    STAGES,
    after_warm_up,
    decaying_dropout,
    two_skips,
)
from methods.search.pieces import every_step, strongest
from methods.search.recipe import Recipe
from methods.search.settings import Settings, resolve
from methods.search.stages import WHOLE, Stage, bounds, depth, prune, stage_of
from methods.search.step import Step, StepContext
from spaces import Space, get_space


def weights_of(space: Space, seed: int) -> dict[str, Tensor]:
    source = torch.Generator().manual_seed(seed)
    random = {kind: torch.randn(mask.shape, generator=source) for kind, mask in space.mask.items()}
    return {kind: a.masked_fill(~space.mask[kind], -torch.inf).softmax(-1) for kind, a in random.items()}


def at(stage: Stage, share: float) -> Any:
    return StepContext(
        get_space("s2"), Settings(), 0, epoch=0, number=0, progress=0.0, stage=stage, stage_progress=share
    )


def run(make_search: Callable[..., Search], recipe: Recipe, space: str = "nats-tss", **changes: Any) -> Search:
    """A search of `recipe` with the small settings of its registered namesake."""
    search = make_search(recipe.name, space, **changes)
    search.learner = recipe.learner(search.setup)
    return search


# --- Stages: shares of the settings -----------------------------------------------------------------------------------


def test_stages_at_the_papers_scale() -> None:
    assert bounds(STAGES, 75) == [0, 25, 50, 75]
    assert [depth(STAGES, number, 5) for number in range(3)] == [5, 11, 17]
    assert [stage_of(STAGES, 75, epoch) for epoch in (0, 24, 25, 49, 50, 74)] == [0, 0, 1, 1, 2, 2]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(1, 200))
def test_stages_share_all_epochs_out(shares: list[int], epochs: int) -> None:
    stages = [Stage(share, 1, 1) for share in shares]
    edges = bounds(stages, epochs)
    assert (edges[0], edges[-1]) == (0, epochs)
    assert edges == sorted(edges)
    exact = [epochs * sum(shares[: number + 1]) / sum(shares) for number in range(len(shares))]
    assert all(0 <= end - truth < 1 for end, truth in zip(edges[1:], exact, strict=True))
    assert [stage_of(stages, epochs, epoch) for epoch in range(epochs)] == [
        number for number, (first, end) in enumerate(pairwise(edges)) for _ in range(first, end)
    ]


@pytest.mark.parametrize(("cells", "depths"), [(1, [1, 2, 3]), (3, [3, 7, 10]), (4, [4, 9, 14]), (8, [8, 18, 27])])
def test_depths_keep_their_proportion(cells: int, depths: list[int]) -> None:
    assert [depth(STAGES, number, cells) for number in range(3)] == depths


@pytest.mark.parametrize(
    ("name", "kept"), [("darts", [5, 3]), ("nats-tss", [3, 2]), ("s1", [2, 2]), ("s2", [2, 2]), ("s3", [2, 2])]
)
@pytest.mark.parametrize("seed", range(3))
def test_pruning_keeps_the_strongest_of_what_an_edge_has(name: str, kept: list[int], seed: int) -> None:
    whole = space = get_space(name)
    for number, count in enumerate(kept, start=1):
        weights = weights_of(space, seed + 10 * number)
        smaller = prune(whole, space, weights, STAGES, number)
        for kind, mask in smaller.mask.items():
            assert (mask & ~space.mask[kind]).sum() == 0
            assert (mask.sum(-1) == count).all()
            assert smaller.selectable[kind].any(-1).all()
            for row, had, table, selectable in zip(
                mask, space.mask[kind], weights[kind], space.selectable[kind], strict=True
            ):
                strongest_ones = table.masked_fill(~had, -1).topk(count).indices
                if selectable[strongest_ones].any():
                    assert set(strongest_ones.tolist()) == set(row.nonzero().flatten().tolist())
        genotype = smaller.discretize(weights_of(whole, seed))
        assert whole.parse(str(genotype)) == smaller.parse(str(genotype)) == genotype
        space = smaller


def test_pruning_leaves_an_edge_something_to_select() -> None:
    space = get_space("darts", without=space_without("none", "skip_connect", "sep_conv_3x3"))
    weights = {kind: torch.zeros(mask.shape) for kind, mask in space.mask.items()}
    for table in weights.values():
        table[:, 0] = 1.0
    stages = (Stage(1, 1, 3), Stage(1, 1, 1))
    smaller = prune(space, space, weights, stages, 1)
    assert smaller.mask["normal"][0].nonzero().flatten().tolist() == [0, 3]  # `none`, and one to select


def space_without(*kept: str) -> tuple[str, ...]:
    return tuple(name for name in get_space("darts").operations if name not in kept)


def test_per_cell_weights_count_by_their_mean() -> None:
    space = get_space("nats-tss")
    one, other = weights_of(space, 0)["cell"], weights_of(space, 1)["cell"]
    stacked = prune(space, space, {"cell": torch.stack([one, other])}, STAGES, 1)
    mean = prune(space, space, {"cell": (one + other) / 2}, STAGES, 1)
    assert torch.equal(stacked.mask["cell"], mean.mask["cell"])


# --- Stages in a search -----------------------------------------------------------------------------------------------


def saved(search: Search) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(search.state_dict(), buffer)
    state: dict[str, Any] = torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    return state


def test_a_search_deepens_and_prunes_and_resumes_from_every_step(make_search: Callable[..., Search]) -> None:
    def make() -> Search:
        return make_search("p-darts", "nats-tss", epochs=3)

    whole, states = make(), []
    while not whole.done:
        states.append(saved(whole))
        whole.advance()
    assert len(states) == 6
    for row, count, cells in zip(whole.history, (5, 3, 2), (1, 2, 3), strict=True):
        table = torch.tensor(row["weights.cell"]).view(6, 5)
        assert ((table > 0).sum(-1) == count).all()
        torch.testing.assert_close(table.sum(-1), torch.ones(6))
        assert get_space("nats-tss").parse(row["genotype"])
        learner: Any = make().learner
        learner.load_state_dict(states[2 * row["epoch"] - 1]["learner"])
        assert learner.net.cells_of == {"cell": 3 * cells}
        assert torch.equal(learner.space.mask["cell"], table > 0)
        for edge, on in zip(learner.net.cells[0].edges, (table > 0).tolist(), strict=True):
            assert set(edge) == {op for op, kept in zip(learner.space.operations, on, strict=True) if kept} - {"none"}
    for state in states:
        resumed = make()
        resumed.load_state_dict(state)
        list(resumed)
        assert resumed.history == whole.history


def test_a_stage_starts_afresh(make_search: Callable[..., Search]) -> None:
    """Learning rate, momenta, Adam's moments, alpha and the pieces' memory; alpha rests until the warm-up is over."""
    search = run(make_search, replace(P_DARTS, inner=(counting,)), epochs=6)
    learner: Any = search.learner
    rates, alphas, seen = [], [], []
    while not search.done:
        search.advance()
        rates.append(learner.optimiser.param_groups[0]["lr"])
        alphas.append(learner.alpha()["cell"].clone())
        seen.append(dict(learner.memory))
    assert rates == pytest.approx([0.025, 0.025, 0.0125, 0.0125] * 3)
    moved = [not torch.equal(*pair) for pair in pairwise(alphas)]
    # Shares of a stage: 0, 1/4: alpha rests; 2/4, 3/4: it moves. A new stage's is another.
    assert moved == [False, True, True, True, False, True, True, True, False, True, True]
    assert all(alpha.abs().max() < 0.01 for alpha in alphas[::4])
    assert seen == [{"counting": n, "cells": 3 * c} for c in (1, 2, 3) for n in (1, 2, 3, 4)]


def counting(step: Step) -> list[Tensor]:
    """An inner term that adds nothing, counts its calls and reads the depth from the settings it is given."""
    step.memory["counting"] = step.memory.get("counting", 0) + 1
    step.memory["cells"] = step.space.cells_of("cell", step.settings.cells)
    assert step.net.cells_of["cell"] == step.memory["cells"]  # type: ignore[index,union-attr]
    return [torch.zeros_like(p) for p in step.net.parameters()]


@pytest.mark.parametrize("space", ["nats-tss", "s1"])
def test_one_stage_without_warm_up_and_priors_is_darts(make_search: Callable[..., Search], space: str) -> None:
    bare = replace(P_DARTS, stages=(WHOLE,), schedule=every_step, selection=strongest)
    assert list(run(make_search, bare, space)) == list(run(make_search, replace(DARTS_1ST, name="p-darts"), space))


def test_without_priors_differs_from_the_stage_with_dropout_on(make_search: Callable[..., Search]) -> None:
    full, bare = (list(make_search(name, "nats-tss", epochs=3)) for name in ("p-darts", "p-darts-no-priors"))
    assert full[0]["weights.cell"] == bare[0]["weights.cell"]  # the first stage's rate is 0
    assert full[1]["train_loss"] != bare[1]["train_loss"]


# --- Schedules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_dropout_follows_the_public_codes_curves(stage: Stage) -> None:
    """There the rate is set at the start of an epoch: in the warm-up to what ours reaches at the epoch's end."""
    for epoch in range(25):
        if epoch < 10:
            end = at(stage, (epoch + 1) / 25 - 1e-12)
            assert decaying_dropout(end) == pytest.approx(stage.skip_dropout * (25 - epoch - 1) / 25, abs=1e-9)
        else:
            start = at(stage, epoch / 25)
            assert decaying_dropout(start) == pytest.approx(stage.skip_dropout * exp(-(epoch - 10) * 0.2))
        assert after_warm_up(at(stage, epoch / 25)) == (epoch >= 10)


def test_auxiliary_weight_fades_linearly() -> None:
    """Public code of DARTS-: (50 - epoch) / 50."""
    assert [fading(at(WHOLE, epoch / 50)) for epoch in range(50)] == pytest.approx([(50 - e) / 50 for e in range(50)])


# --- Two skip-connections at most -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["darts", "nats-tss", "s1", "s2", "s4"])
@pytest.mark.parametrize("seed", range(8))
def test_at_most_two_skips_where_something_else_can_be_had(name: str, seed: int) -> None:
    space = get_space(name)
    weights = weights_of(space, seed)
    if "skip_connect" in space.operations:
        for table in weights.values():
            table[:, space.operations.index("skip_connect")] *= 3
    kind, free = space.kinds[0], space.discretize(weights)
    limited = two_skips(space, weights)
    count = [sum(op == "skip_connect" for *_, op in g.edges(kind)) for g in (free, limited)]
    assert count[1] == min(count[0], 2)
    if count[0] <= 2:
        assert limited == free
    assert all(list(limited.edges(other)) == list(free.edges(other)) for other in space.kinds[1:])


def test_the_two_strongest_skips_stay() -> None:
    space = get_space("nats-tss")
    table = torch.full((6, 5), 0.1)
    table[:, 1] = torch.tensor([0.6, 0.9, 0.5, 0.8, 0.2, 0.3])
    table[:, 3] = 0.15
    assert [op for *_, op in two_skips(space, {"cell": table}).edges("cell")] == [
        "nor_conv_3x3",
        "skip_connect",
        "nor_conv_3x3",
        "skip_connect",
        "nor_conv_3x3",
        "nor_conv_3x3",
    ]


def test_a_skip_that_nothing_can_replace_stays() -> None:
    space = get_space("nats-tss", without=("none", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"))
    assert {op for *_, op in two_skips(space, weights_of(space, 0)).edges("cell")} == {"skip_connect"}


# --- Gradients and declarations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", ["nats-tss", "s2"])
@pytest.mark.parametrize("method", ["p-darts", "darts-minus"])
def test_gradient_is_the_derivative_with_dropout_and_auxiliary_skips(
    make_step: Callable[..., Step], method: str, space: str
) -> None:
    """Both sides of a difference draw the same dropout, so the loss is a function of alpha."""
    step = make_step(method, space)
    net: Any = step.net
    net.skip_dropout, net.auxiliary_weight = 0.4, 0.7
    found = torch.cat([g.flatten() for g in first_order(step).values()])
    direction = torch.randn(found.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parts = direction.split([a.numel() for a in step.alpha.values()])
    sides = []
    for sign in (1, -1):
        moved = {
            k: a.detach() + sign * 1e-7 * p.view_as(a) for (k, a), p in zip(step.alpha.items(), parts, strict=True)
        }
        with torch.no_grad():
            sides.append(step.loss(step.valid, alpha=moved))
    truth = float((sides[0] - sides[1]) / 2e-7)
    assert float(found @ direction) == pytest.approx(truth, rel=1e-6, abs=1e-9)


def test_settings_are_those_of_the_paper() -> None:
    """Chen et al. (2019), the search on CIFAR-10."""
    settings, _ = resolve(P_DARTS.options, P_DARTS.layers(get_space("darts")))
    s = settings.flat()
    assert (s["epochs"], s["batch_size"], s["channels"], s["cells"]) == (75, 96, 16, 5)
    assert (s["learning_rate"], s["learning_rate_min"], s["momentum"], s["weight_decay"]) == (0.025, 0.0, 0.9, 3e-4)
    assert (s["alpha_learning_rate"], s["alpha_weight_decay"]) == (6e-4, 1e-3)
    assert (s["alpha_beta1"], s["alpha_beta2"]) == (0.5, 0.999)
    assert [(x.epochs, x.cells, x.operations, x.skip_dropout) for x in STAGES] == [
        (25, 5, 8, 0.0),
        (25, 11, 5, 0.4),
        (25, 17, 3, 0.7),
    ]
    assert resolve(DARTS_MINUS.options, DARTS_MINUS.layers(get_space("darts")))[0] == Settings()


def test_declarations_say_what_is_run() -> None:
    settings, _ = resolve((), {**P_DARTS.layers(get_space("nats-tss")), "protocol": {"epochs": 4}})
    said = P_DARTS.declaration(settings)
    assert said["stages"].startswith("2 epochs at depth 1, 8 of 8 operations; 1 epochs at depth 2, 5 of 8 operations;")
    assert "(0.0, 0.4, 0.7)" in said["skip dropout"]
    bare = P_DARTS_NO_PRIORS.declaration()
    assert (bare["skip dropout"], bare["auxiliary skip"]) == ("none", "none")
    assert "fading" in P_DARTS_AUXILIARY_SKIP.declaration()["auxiliary skip"]
    assert get_method("darts-1st").declaration()["stages"] == "one: the whole search"
