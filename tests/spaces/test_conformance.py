"""What every registered space satisfies. A new space is tested by being registered."""

from math import prod
from pathlib import Path
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods import get_method
from methods.search.settings import Settings, resolve
from spaces import IMAGE_SPACES, SPACES, Space, get_space
from spaces.cells.genotype import Genotype
from spaces.cells.supernet import Supernet
from spaces.common.errors import InputError
from spaces.conventions import CellsPer, Role
from spaces.tabular.benchmark import BENCHMARKS
from suite.evaluation import evaluation
from suite.plan import plan
from suite.protocol import PROTOCOLS

CLASSES, CHANNELS, BATCH = 5, 4, 3
every_space = pytest.mark.parametrize("name", SPACES)
every_trial_space = pytest.mark.parametrize("name", [name for name in SPACES if get_space(name).trials])
spaces = st.sampled_from(list(SPACES)).map(get_space)


def smallest(space: Space) -> int:
    """The smallest size that a network of the space can have."""
    for cells in range(1, 20):
        try:
            if all(space.cells_of(kind, cells) >= 1 for kind in space.kinds):
                return cells
        except InputError:
            continue
    raise AssertionError(f"{space.name} has no network of fewer than 20 cells")


def uniform(space: Space, seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {kind: torch.rand(mask.shape, generator=random) for kind, mask in space.mask.items()}


def drawn(space: Space, seed: int = 0) -> Genotype:
    return space.random(torch.Generator().manual_seed(seed))


def relaxed(space: Space) -> dict[str, Tensor]:
    """Weights that sum to one over the operations of an edge."""
    scores = uniform(space, 0)
    return {kind: a.masked_fill(~space.mask[kind], -torch.inf).softmax(-1) for kind, a in scores.items()}


def logits(net: Supernet, images: Tensor, weights: dict[str, Tensor]) -> Tensor:
    net.random.reseed(0, "conformance")
    out: Tensor = net(images, weights)
    return out


def random_images(channels: int = 1) -> Tensor:
    return torch.randn(BATCH, channels, 8, 8, generator=torch.Generator().manual_seed(1))


# Conventions


@every_space
def test_a_space_declares_its_conventions(name: str) -> None:
    space = get_space(name)
    assert space.name == name
    assert space.cells_per in get_args(CellsPer)
    assert space.count_cells(1).startswith("1 cell")
    assert space.count_cells(5).startswith("5 cells")
    assert ("stage" in space.count_cells(5)) == (space.cells_per == "stage")
    assert {type(flag) for flag in (space.trials, space.relaxed)} == {bool}
    assert (name in IMAGE_SPACES) == space.trials


@every_space
def test_search_defaults_are_settings_that_a_recipe_can_override(name: str) -> None:
    space = get_space(name)
    found, origin = resolve({}, {f"space {name}": space.search_defaults})
    assert found.flat() == {**Settings().flat(), **space.search_defaults}
    assert set(origin) <= set(space.search_defaults)
    recipe = {"weight_decay": 0.5}
    overridden, _ = resolve({}, {f"space {name}": space.search_defaults, "recipe": recipe})
    assert overridden.weight_decay == 0.5
    assert next(iter(get_method("darts-1st").layers(space))) == f"space {name}"


@every_trial_space
@pytest.mark.parametrize("dataset", ["digits", "cifar10", "cifar100", "svhn"])
def test_retraining_settings_fit_every_protocol(name: str, dataset: str) -> None:
    space = get_space(name)
    for protocol in PROTOCOLS.values():
        found = vars(evaluation(protocol, space, dataset, {})[0])
        for key, value in space.retraining(dataset).items():
            assert type(found[key]) is type(value)
            if key not in protocol.evaluation_on(space):
                assert found[key] == value
        assert all(space.cells_of(kind, found["cells"]) >= 1 for kind in space.kinds)


@every_trial_space
def test_every_protocol_has_a_plan_that_says_the_size_in_the_spaces_words(name: str) -> None:
    space = get_space(name)
    for protocol in PROTOCOLS:
        made = plan("darts-1st", name, "digits", 0, protocol)
        scale = made.scale(100, retrained=True)
        assert space.count_cells(made.settings.cells) in scale
        assert space.count_cells(made.evaluation.cells) in scale


@every_space
def test_a_tabular_benchmark_has_every_architecture_of_its_space(name: str, tmp_path: Path) -> None:
    space = get_space(name)
    if space.benchmark is None:
        return
    assert BENCHMARKS[space.benchmark.name] is space.benchmark
    assert space.benchmark.open(tmp_path) is None
    counts = []
    for kind, selectable in space.selectable.items():
        operations = selectable.sum(-1).tolist()
        counts += [sum(prod(operations[edge] for edge in edges) for edges in part) for part in space.choices(kind)]
    assert space.benchmark.architectures == prod(counts)
    assert space.cells_of(space.kinds[0], space.benchmark.cells) >= 1


# Tables, alpha and genotypes


@every_space
def test_masks_and_edges_have_the_shape_of_the_notation(name: str) -> None:
    space = get_space(name)
    assert tuple(space.mask) == tuple(space.selectable) == tuple(space.edges) == space.kinds == space.notation.kinds
    assert len(set(space.operations)) == len(space.operations)
    for kind, mask in space.mask.items():
        assert mask.dtype == torch.bool
        assert mask.shape == (len(space.edges[kind]), len(space.operations))
        assert not (space.selectable[kind] & ~mask).any()
        assert space.selectable[kind].any(-1).all()
        columns = [operation in space.unselectable for operation in space.operations]
        assert not space.selectable[kind][:, columns].any()
        assert all(source < target for source, target in space.edges[kind])


@every_space
def test_alpha_is_a_function_of_its_seed_alone(name: str) -> None:
    space = get_space(name)
    state = torch.get_rng_state()
    first, again, other = space.alpha(0), space.alpha(seed=0), space.alpha(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert tuple(first) == space.kinds
    for kind, alpha in first.items():
        assert alpha.shape == space.mask[kind].shape
        assert torch.equal(alpha, again[kind])
        if space.relaxed:
            assert alpha.dtype == torch.float32
            assert alpha.abs().max() < 1e-2
            assert not torch.equal(alpha, other[kind])


@settings(deadline=None)
@given(spaces, st.integers(0, 10**6))
def test_discretize_is_the_inverse_of_encode_and_parse_that_of_str(space: Space, seed: int) -> None:
    for genotype in (drawn(space, seed), space.discretize(uniform(space, seed))):
        weights = space.encode(genotype)
        assert space.discretize(weights) == genotype
        assert space.parse(str(genotype)) == genotype
        assert hash(space.parse(str(genotype))) == hash(genotype)
        assert str(space.parse(str(genotype))) == str(genotype)
        for kind, table in weights.items():
            assert table.dtype == torch.float32
            assert not table[~space.selectable[kind]].any()
            assert table.sum() == len(genotype.edges(kind))


@every_space
def test_parameters_are_alpha_by_name_with_roles(name: str) -> None:
    space = get_space(name)
    assert space.parameters(0).keys() == space.roles.keys() >= space.mask.keys()
    assert all(space.roles[kind] == Role("operations", kind) for kind in space.kinds)
    assert all(torch.equal(space.parameters(3)[kind], alpha) for kind, alpha in space.alpha(3).items())


@every_space
def test_a_genotype_of_another_notation_is_refused(name: str) -> None:
    space = get_space(name)
    for other in map(get_space, SPACES):
        if other.notation is not space.notation:
            with pytest.raises(InputError):
                space.parse(str(drawn(other)))
            with pytest.raises(InputError, match=name):
                space.check(drawn(other))


@every_space
def test_weights_that_are_not_numbers_are_refused(name: str) -> None:
    space = get_space(name)
    with pytest.raises(InputError, match="not numbers"):
        space.discretize({kind: torch.full(mask.shape, torch.nan) for kind, mask in space.mask.items()})
    with pytest.raises(ValueError, match="shape"):
        space.discretize({kind: torch.zeros(1, mask.shape[1] + 1) for kind, mask in space.mask.items()})


@every_space
def test_an_operation_can_be_removed_and_its_column_remains(name: str) -> None:
    space = get_space(name)
    for column, operation in enumerate(space.operations):
        others = [number for number in range(len(space.operations)) if number != column]
        if not all(rows[:, others].any(-1).all() for rows in space.selectable.values()):
            with pytest.raises(InputError, match="no operation left"):
                get_space(name, without=(operation,))
            continue
        smaller = get_space(name, without=(operation,))
        for kind, mask in smaller.mask.items():
            assert mask.shape == space.mask[kind].shape
            assert not mask[:, column].any()
            assert all(drawn(smaller, seed).count(kind, operation) == 0 for seed in range(5))
    with pytest.raises(InputError, match="unknown operation"):
        get_space(name, without=("no_such_operation",))


@every_space
def test_chances_are_the_shares_among_random_architectures(name: str) -> None:
    space = get_space(name)
    kind, random = space.kinds[0], torch.Generator().manual_seed(0)
    named = ("skip_connect", "none", "noise")
    chances = space.chances(kind, named)
    assert sum(chances) == pytest.approx(1)
    architectures = [space.random(random) for _ in range(1000)]
    counts = [sum(genotype.count(kind, operation) for operation in named) for genotype in architectures]
    for count, chance in enumerate(chances):
        error = (chance * (1 - chance) / len(architectures)) ** 0.5
        assert counts.count(count) / len(architectures) == pytest.approx(chance, abs=4 * error + 1e-12)


@given(spaces, st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_a_restricted_space_has_fewer_operations_and_selects_among_them(space: Space, seed: int) -> None:
    """For any mask that keeps a selectable operation of each edge. The space itself is not changed."""
    random = torch.Generator().manual_seed(seed)
    before = {kind: mask.clone() for kind, mask in space.mask.items()}
    kept = space.encode(space.random(random))
    mask = {}
    for kind, selectable in space.selectable.items():
        strongest = torch.rand(selectable.shape, generator=random).masked_fill(~selectable, -1).argmax(-1)
        some = torch.rand(selectable.shape, generator=random) < 0.3
        mask[kind] = some | (kept[kind] > 0) | torch.eye(len(space.operations), dtype=torch.bool)[strongest]
    smaller = space.restricted(mask)
    assert all(torch.equal(smaller.mask[kind], before[kind] & mask[kind]) for kind in space.kinds)
    assert all(torch.equal(space.mask[kind], before[kind]) for kind in space.kinds)
    genotype = smaller.discretize(uniform(space, seed))
    assert space.parse(str(genotype)) == smaller.parse(str(genotype)) == genotype
    assert smaller.parse(str(space.discretize(kept))) == space.discretize(kept)
    assert smaller.check(smaller.random(random)) is None


# Supernets and networks


@every_trial_space
def test_a_supernet_is_a_pure_function_of_images_and_weights(name: str) -> None:
    space, images = get_space(name), random_images()
    cells = smallest(space)
    net, shared = space.supernet(CHANNELS, cells, CLASSES, in_channels=1), relaxed(space)
    before = {kind: table.clone() for kind, table in shared.items()}
    out = logits(net, images, shared)
    assert out.shape == (BATCH, CLASSES)
    assert torch.isfinite(out).all()
    assert torch.equal(out, logits(net, images, shared))
    assert all(torch.equal(shared[kind], table) for kind, table in before.items())
    per_cell = {k: table.expand(space.cells_of(k, cells), *table.shape) for k, table in shared.items()}
    assert torch.equal(out, logits(net, images, per_cell))
    absent = {k: table + 7.0 * ~space.mask[k] for k, table in shared.items()}
    assert torch.equal(out, logits(net, images, absent))


@every_trial_space
def test_weights_have_a_gradient(name: str) -> None:
    space = get_space(name)
    net = space.supernet(CHANNELS, smallest(space), CLASSES, in_channels=1)
    weights = {kind: table.requires_grad_() for kind, table in relaxed(space).items()}
    logits(net, random_images(), weights).square().sum().backward()
    for table in weights.values():
        assert table.grad is not None
        assert torch.isfinite(table.grad).all()
        assert table.grad.any()


@every_trial_space
def test_a_supernet_keeps_the_configuration_that_it_was_built_with(name: str) -> None:
    space = get_space(name)
    asked = {"affine": True, "batch_norm": "batch", "node_norm": True, "auxiliary_skip": True, "engine": "reference"}
    net = space.supernet(CHANNELS, smallest(space), CLASSES, 2, **asked)  # type: ignore[arg-type]
    sizes = {"channels": CHANNELS, "cells": smallest(space), "classes": CLASSES, "in_channels": 2}
    assert vars(net.config) == {**sizes, **asked, "precision": "fp32"}
    net.engine, net.precision = "fast", "bf16"
    assert (net.config.engine, net.config.precision) == ("fast", "bf16")
    assert net.reference().config.engine == "reference"
    assert logits(net, random_images(2), relaxed(space)).shape == (BATCH, CLASSES)


@every_trial_space
def test_a_parameter_is_named_by_its_cell_edge_and_operation(name: str) -> None:
    space = get_space(name)
    net = space.supernet(CHANNELS, smallest(space), CLASSES)
    owned = [key.split(".") for key in net.state_dict() if ".edges." in key]
    assert owned
    edges = {len(edges) for edges in space.edges.values()}
    for cells, cell, word, edge, operation, *_ in owned:
        assert (cells, word) == ("cells", "edges")
        assert cell.isdigit()
        assert int(edge) < max(edges)
        assert operation in space.operations


@every_trial_space
def test_a_derived_network_has_the_parameters_that_cost_counts(name: str) -> None:
    space, images = get_space(name), random_images()
    genotype, cells = drawn(space), smallest(space)
    net = space.network(genotype, CHANNELS, cells, CLASSES, in_channels=1)
    assert net(images).shape == (BATCH, CLASSES)
    out, auxiliary = net.both(images)
    assert out.shape == (BATCH, CLASSES)
    assert auxiliary is None
    cost = space.cost(genotype, CHANNELS, cells, CLASSES, size=8, in_channels=1)
    assert cost["params"] == sum(parameter.numel() for parameter in net.parameters())
    assert cost["macs"] > 0


@every_space
def test_networks_are_of_the_spaces_genotypes_or_there_are_none(name: str) -> None:
    space = get_space(name)
    foreign = next(other for other in map(get_space, SPACES) if other.notation is not space.notation)
    genotype = drawn(foreign if space.trials else space)
    with pytest.raises(InputError, match=name):
        space.network(genotype, CHANNELS, smallest(space), CLASSES)
