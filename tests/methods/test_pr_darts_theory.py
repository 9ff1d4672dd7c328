"""The theory's studies: architectures as asked for, closed forms, and descent that descends."""

import copy
from collections.abc import Callable

import pytest
import torch

from methods import METHODS, Search, get_method
from methods.pr_darts.theory import (
    SHARES,
    deep,
    depth_genotypes,
    descent,
    problem,
    shallow,
    skip_genotypes,
    spectrum,
    theory_cell,
)
from methods.search.learners.training import sgd
from spaces import get_space
from spaces.common.errors import InputError
from suite.plan import plan


@pytest.mark.parametrize("space", ["s2", "s3", "darts"])
def test_figure_2s_genotypes_differ_in_their_skips_alone(space: str) -> None:
    of = get_space(space)
    seen = set()
    for seed in range(5):
        genotypes = skip_genotypes(of, seed)
        assert tuple(genotypes) == SHARES
        for share, genotype in genotypes.items():
            assert str(of.parse(str(genotype))) == str(genotype)
            assert all(genotype.skip_share(kind) == share for kind in of.kinds)
            assert all(genotype.parametric(kind) == 8 * (1 - share) for kind in of.kinds)
        for kind in of.kinds:
            wirings = {tuple((s, t) for s, t, _ in genotype.edges(kind)) for genotype in genotypes.values()}
            assert len(wirings) == 1
            few, many = (
                {(s, t) for s, t, name in genotypes[share].edges(kind) if name == "skip_connect"}
                for share in SHARES[1:]
            )
            assert few < many
        seen.add(str(genotypes[0.0]))
    assert len(seen) > 1


def test_deep_and_shallow_genotypes() -> None:
    genotypes = depth_genotypes(get_space("s2"))
    assert {name: genotype.depth("normal") for name, genotype in genotypes.items()} == {"deep": 4, "shallow": 1}
    assert {genotype.parametric("reduce") for genotype in genotypes.values()} == {8}


@pytest.mark.parametrize("space", ["nats-tss", "s1", "s4"])
def test_spaces_that_cannot_hold_the_study(space: str) -> None:
    for study in (lambda: skip_genotypes(get_space(space), 0), lambda: depth_genotypes(get_space(space))):
        with pytest.raises(InputError, match="choose darts, s2 or s3"):
            study()


FIXED = [name for name in METHODS if name.startswith("fixed-")]


@pytest.mark.parametrize("method", FIXED)
def test_fixed_architectures_search_nothing(make_search: Callable[..., Search], method: str) -> None:
    """The same architecture from the first epoch to the last, its loss falling, its draws the seed's."""
    rows = list(make_search(method, "s2", epochs=4))
    space, declared = get_space("s2"), get_method(method).declaration()
    assert declared["title"].startswith("No search: ")
    shares = dict(zip(FIXED, [*SHARES, 0, 0], strict=True))
    assert {row["skip_share"] for row in rows} == {shares[method]}
    assert len({row["genotype"] for row in rows}) == 1
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    drawn = str(skip_genotypes(space, seed=0)[shares[method]]) if "skips" in method else None
    expected = drawn or str(depth_genotypes(space)[method.removeprefix("fixed-")])
    assert rows[0]["genotype"] == expected


def test_fixed_architectures_train_on_the_same_batches_as_a_search(make_search: Callable[..., Search]) -> None:
    """One step by hand: the derived network's own loss on the search's first batch, then SGD's step."""
    search = make_search("fixed-skips-37.5", "s2", epochs=1, batches=(1, 1))
    images, labels = search.setup.train.batch(0, 0)
    net = copy.deepcopy(search.learner.net)  # type: ignore[attr-defined]
    net.train()
    loss = torch.nn.functional.cross_entropy(net(images), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), search.setup.settings.gradient_clip)
    sgd(net, search.setup.settings).step()
    row = next(iter(search))
    assert row["train_loss"] == pytest.approx(loss.item())
    for expected, found in zip(net.parameters(), search.learner.net.parameters(), strict=True):  # type: ignore[attr-defined]
        assert torch.equal(expected, found)


@pytest.mark.parametrize("space", ["nats-tss", "s1", "s4"])
def test_fixed_architectures_are_not_planned_where_they_make_no_sense(space: str) -> None:
    for method in FIXED:
        assert space not in get_method(method).spaces
        with pytest.raises(InputError, match=f"is not defined on {space}: choose darts, s2, s3"):
            plan(method, space, "digits", 0)


def test_rate_is_theorem_1s() -> None:
    """By hand for four nodes: s = 0, 1, 2 with products of 0, 1 and 2 skips."""
    cell = deep(4, skip=0.5, conv=0.3)
    assert cell.rate() == pytest.approx(0.3**2 * (1 + 0.5**2 + 0.5**4))
    assert shallow(cell).rate() == pytest.approx(0.3**2)
    assert (shallow(deep(6, 0.5, 0.3)).rate()) == pytest.approx(0.3**2 * (1 + 0.5**2))
    with pytest.raises(InputError, match="no two halves"):
        shallow(deep(5, 1, 1))


def test_shallow_cells_are_two_branches_with_the_deep_cells_gates() -> None:
    cell = deep(6, 0.5, 0.3)
    for kept, gates in ((shallow(cell).skip, cell.skip), (shallow(cell).conv, cell.conv)):
        assert torch.equal(kept[3:, 3:], gates[3:, 3:])
        assert torch.equal(kept[:3, :3], gates[:3, :3])
        assert not kept[3:, :3].any()
    net = theory_cell(shallow(cell), channels=2, length=5, width=4, seed=0)
    assert sorted(net.convolutions) == ["0-1", "0-2", "1-2", "3-4", "3-5", "4-5"]
    assert sorted(net.stem) == ["0", "3"]


def test_a_cell_without_gates_is_linear_in_its_stem() -> None:
    """All nodes but the first are zero: u = <W_0, X^(0)> (eq. 5)."""
    x, _ = problem(3, channels=2, length=5, seed=0)
    net = theory_cell(deep(3, 0.0, 0.0), channels=2, length=5, width=4, seed=0)
    stem = torch.nn.functional.conv1d(x, net.stem["0"], padding=1)
    first = torch.nn.functional.softplus(stem) / 2
    torch.testing.assert_close(net(x), (first * net.linear[0]).sum((1, 2)))


def test_descent_contracts_as_the_spectrum_says() -> None:
    """One small step: F falls by η‖∇F‖², between 2 η λ_min F and 2 η λ_max F."""
    x, y = problem(5, channels=2, length=5, seed=0)
    assert torch.allclose(x.flatten(1).norm(dim=1), torch.ones(5, dtype=torch.float64))
    for cell in (deep(4, 0.5, 0.5), shallow(deep(4, 0.5, 0.5))):
        net = theory_cell(cell, channels=2, length=5, width=16, seed=0)
        least, most = spectrum(net, x)
        before, after = descent(net, x, y, learning_rate=1e-6, steps=1)
        assert 0 < 2e-6 * least * 0.99 < (before - after) / before < 2e-6 * most * 1.01
        assert descent(net, x, y, learning_rate=0.5 / most, steps=20)[-1] < before


@pytest.mark.parametrize("gate", [0.1, 1.0])
def test_shallow_cells_are_better_conditioned(gate: float) -> None:
    """What of Theorem 4 holds at any gate here: see docs/methods/pr_darts.md."""
    x, _ = problem(8, channels=3, length=8, seed=0)
    ratios = []
    for cell in (deep(6, gate, gate), shallow(deep(6, gate, gate))):
        least, most = spectrum(theory_cell(cell, channels=3, length=8, width=32, seed=0), x)
        ratios.append(least / most)
    assert ratios[0] < ratios[1]
