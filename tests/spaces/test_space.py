"""What is particular to single spaces: their shapes, selection rules and errors. `test_conformance.py` has the rest."""

import subprocess
import sys
from itertools import chain, combinations, product
from math import comb

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces import IMAGE_SPACES, Space, get_space
from spaces.common.errors import InputError

NAMES = sorted(IMAGE_SPACES)


def uniform(space: Space, seed: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {kind: torch.rand(mask.shape, generator=random) for kind, mask in space.mask.items()}


def test_importing_the_catalogue_does_not_import_torch() -> None:
    code = "import sys, spaces; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_told_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown space 'dart': did you mean 'darts'"):
        get_space("dart")
    with pytest.raises(InputError, match="unknown operation of darts 'skip': did you mean 'skip_connect'"):
        get_space("darts", without=("skip",))
    with pytest.raises(InputError, match="edge 0 -> 2 of the normal cell has no operation left"):
        get_space("s3", without=("skip_connect", "sep_conv_3x3"))


def test_the_papers_shapes_and_lists() -> None:
    shapes = {name: tuple(get_space(name).mask[get_space(name).kinds[0]].shape) for name in NAMES}
    assert shapes == {"darts": (14, 8), "nats-tss": (6, 5), "s1": (14, 6), "s2": (14, 2), "s3": (14, 3), "s4": (14, 2)}
    s1 = get_space("s1")
    assert all(mask.sum(-1).eq(2).all() for mask in s1.mask.values())
    # Row 6 of the published list: the second edge into node 4.
    assert [s1.operations[i] for i in s1.mask["normal"][6].nonzero().flatten()] == ["skip_connect", "sep_conv_3x3"]
    assert [s1.operations[i] for i in s1.mask["reduce"][6].nonzero().flatten()] == ["max_pool_3x3", "sep_conv_3x3"]


def test_numbers_of_cells() -> None:
    darts = get_space("darts")
    assert (darts.cells_of("normal", 8), darts.cells_of("reduce", 8)) == (6, 2)
    assert (darts.cells_of("normal", 20), darts.cells_of("reduce", 20)) == (18, 2)
    assert get_space("nats-tss").cells_of("cell", 5) == 15
    with pytest.raises(InputError, match="at least 3"):
        darts.supernet(4, 2, 10)
    with pytest.raises(InputError, match="at least 1"):
        get_space("nats-tss").supernet(4, 0, 10)


@settings(deadline=None)
@given(st.sampled_from(["darts", "s1", "s3", "s4"]), st.integers(0, 10**6))
def test_darts_keeps_the_two_strongest_inputs_of_a_node(name: str, seed: int) -> None:
    space = get_space(name)
    weights = uniform(space, seed)
    genotype = space.discretize(weights)
    for kind in space.kinds:
        selectable = space.mask[kind].clone()
        if "none" in space.operations:
            selectable[:, space.operations.index("none")] = False
        strength, operation = weights[kind].where(selectable, -1.0).max(-1)
        for node in range(2, 6):
            incoming = [number for number, (_, target) in enumerate(space.edges[kind]) if target == node]
            best = set(strength[incoming].topk(2).indices.tolist())
            expected = {(source, node, space.operations[operation[incoming[source]]]) for source in best}
            assert {edge for edge in genotype.edges(kind) if edge[1] == node} == expected


def test_ties_go_to_the_first_edge_and_operation() -> None:
    darts = get_space("darts")
    tied = darts.discretize({kind: torch.ones(14, 8) for kind in darts.kinds})
    assert [edge[:2] for edge in tied.edges("normal")] == [(s, t) for t in range(2, 6) for s in (0, 1)]
    assert tied.count("normal", "max_pool_3x3") == 8
    nats = get_space("nats-tss")
    assert str(nats.discretize({"cell": torch.ones(6, 5)})) == "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def test_operations_left_out_are_never_selected_nor_drawn() -> None:
    space = get_space("nats-tss", without=("none", "skip_connect"))
    assert space.without == ("none", "skip_connect")
    assert space.mask["cell"].shape == (6, 5)
    weights = torch.zeros(6, 5)
    weights[:, :2] = 1.0
    drawn = [space.random(torch.Generator().manual_seed(seed)) for seed in range(20)]
    for genotype in (*drawn, space.discretize({"cell": weights})):
        assert genotype.count("cell", "none") == genotype.count("cell", "skip_connect") == 0
    with pytest.raises(InputError, match="cannot select none on edge 0 -> 1"):
        space.parse("|none~0|+|nor_conv_1x1~0|nor_conv_1x1~1|+|nor_conv_1x1~0|nor_conv_1x1~1|nor_conv_1x1~2|")


def test_weights_a_cell_count_by_their_mean() -> None:
    space = get_space("nats-tss")
    weights = torch.zeros(3, 6, 5)
    weights[0, :, 3] = 1.0  # one cell is for the 3x3 convolution, two are half as much for skipping
    weights[1:, :, 1] = 0.6
    assert space.discretize({"cell": weights}).count("cell", "skip_connect") == 6


def test_weights_that_cannot_be_read_are_refused() -> None:
    space = get_space("nats-tss")
    with pytest.raises(InputError, match="diverged"):
        space.discretize({"cell": torch.full((6, 5), torch.nan)})
    with pytest.raises(ValueError, match="shape"):
        space.discretize({"cell": torch.zeros(5, 6)})


def test_random_architectures_cover_the_space_evenly() -> None:
    space = get_space("s2")
    random = torch.Generator().manual_seed(0)
    drawn = [space.random(random) for _ in range(300)]
    skips = sum(genotype.count("normal", "skip_connect") for genotype in drawn) / (8 * len(drawn))
    assert 0.45 < skips < 0.55
    pairs = [tuple(source for source, target, _ in genotype.edges("reduce") if target == 5) for genotype in drawn]
    assert set(pairs) == {(i, j) for j in range(5) for i in range(j)}


def test_chances_are_exact() -> None:
    """Against every architecture of nats-tss, the binomial of s2, and every choice of s1's normal cell."""
    edges = product(get_space("nats-tss").operations, repeat=6)
    idle = [sum(name in ("skip_connect", "none") for name in cell) for cell in edges]
    found = get_space("nats-tss").chances("cell", ("skip_connect", "none"))
    assert found == pytest.approx([idle.count(count) / 5**6 for count in range(7)])
    assert get_space("s2").chances("normal", ["skip_connect"]) == pytest.approx([comb(8, k) / 2**8 for k in range(9)])
    s1 = get_space("s1")
    skips = [0] * 9
    incoming = [[edge for edge, (_, target) in enumerate(s1.edges["normal"]) if target == node] for node in range(2, 6)]
    has = s1.mask["normal"][:, s1.operations.index("skip_connect")].tolist()
    for kept in product(*(combinations(edges, 2) for edges in incoming)):
        # Of an edge's two operations each is as likely; an edge without skip-connections has none either way.
        for picks in product((False, True), repeat=8):
            skips[sum(pick and has[edge] for pick, edge in zip(picks, chain(*kept), strict=True))] += 1
    assert s1.chances("normal", ("skip_connect",)) == pytest.approx([count / sum(skips) for count in skips])


def test_wrong_stem_and_head_are_refused_where_there_is_none() -> None:
    space = get_space("nats-tss")
    genotype = space.random(torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="stem"):
        space.network(genotype, 4, 1, 10, stem="imagenet")
    with pytest.raises(InputError, match="auxiliary"):
        space.network(genotype, 4, 1, 10, auxiliary=True)


def test_spaces_are_made_under_any_default_device() -> None:
    with torch.device("meta"):
        space = get_space("s1")
        genotype = space.random(torch.Generator().manual_seed(0))
        assert space.discretize(space.encode(genotype)) == genotype
        assert space.alpha(0)["normal"].device.type == "cpu"


def test_a_restriction_that_empties_an_edge_is_refused() -> None:
    space = get_space("darts")
    only_none = {kind: torch.zeros_like(mask) for kind, mask in space.mask.items()}
    for rows in only_none.values():
        rows[:, 0] = True
    with pytest.raises(InputError, match="darts restricted: edge 0 -> 2 of the normal cell has no operation left"):
        space.restricted(only_none)
