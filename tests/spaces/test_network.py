"""The derived networks."""

import pytest
import torch
from torch import nn

from spaces import Space, get_space
from spaces.cells.genotype import Genotype
from spaces.cells.network import Network
from spaces.cells.operations import drop_path
from spaces.common.errors import InputError
from spaces.common.streams import NoiseStream


def cells(space: Space) -> int:
    return 1 if space.name == "nats-tss" else 3


def drawn(space: Space, seed: int = 0) -> Genotype:
    return space.random(torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("stem", "size"), [("cifar", 32), ("imagenet", 224)])
def test_auxiliary_head_speaks_in_training_alone(stem: str, size: int, published: dict[str, str]) -> None:
    space = get_space("darts")
    genotype = space.parse(published["DARTS_V2"])
    net = space.network(genotype, 4, 6, 7, stem=stem, auxiliary=True)  # type: ignore[arg-type]
    x = torch.randn(2, 3, size, size)
    logits, auxiliary = net.both(x)
    assert logits.shape == (2, 7)
    assert auxiliary is not None
    assert auxiliary.shape == (2, 7)
    assert net.eval().both(x)[1] is None


def test_auxiliary_head_refuses_images_that_are_too_small(published: dict[str, str]) -> None:
    space = get_space("darts")
    net = space.network(space.parse(published["DARTS_V2"]), 4, 6, 10, in_channels=1, auxiliary=True)
    with pytest.raises(InputError, match="auxiliary head needs features of 8x8"):
        net.both(torch.randn(2, 1, 8, 8))


@pytest.mark.parametrize("name", ["nats-tss", "darts"])
def test_drop_path_drops_by_image_from_its_stream_in_training(name: str) -> None:
    space = get_space(name)
    net: Network = space.network(drawn(space, 3), 4, cells(space), 10, in_channels=1)
    x = torch.randn(4, 1, 8, 8)
    state = torch.get_rng_state()

    def dropped(*purpose: str) -> torch.Tensor:
        net.random.reseed(0, *purpose)
        out: torch.Tensor = net(x, drop_path=0.5)
        return out

    first = dropped("a")
    assert torch.equal(first, dropped("a"))
    assert not torch.equal(first, dropped("b"))
    assert not torch.equal(first, net(x))
    assert torch.equal(torch.get_rng_state(), state)
    net.eval()
    assert torch.equal(net(x, drop_path=0.5), net(x))


def test_drop_path_keeps_the_mean() -> None:
    x = drop_path(torch.ones(20_000, 2, 1, 1), 0.3, NoiseStream())
    assert torch.equal(x[:, 0], x[:, 1])
    assert sorted(x.unique().tolist()) == pytest.approx([0.0, 1 / 0.7])
    assert x.mean().item() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("name", "without"),
    # Poolings aside in the DARTS space: in its supernet a batch norm follows them.
    [("nats-tss", ()), ("darts", ("max_pool_3x3", "avg_pool_3x3")), ("s3", ())],
)
def test_the_supernet_restricted_to_a_genotype_is_its_derived_network(name: str, without: tuple[str, ...]) -> None:
    space = get_space(name, without)
    genotype = drawn(space)
    supernet = space.supernet(4, cells(space), 10, 1).double()
    derived = space.network(genotype, 4, cells(space), 10, 1).double()
    source = supernet.state_dict()
    for inner, outer in zip(derived.cells, supernet.cells, strict=True):
        if hasattr(outer, "edges"):
            chosen = [edge for edge in genotype.edges(outer.kind) if edge[2] != "none"]
            for module, (a, b, operation) in zip(inner.operations, chosen, strict=True):
                edge = outer.edges[space.edges[outer.kind].index((a, b))]
                module.load_state_dict(edge[operation].state_dict(), strict=False)
            for part in ("preprocess0", "preprocess1"):
                if hasattr(outer, part):
                    getattr(inner, part).load_state_dict(getattr(outer, part).state_dict(), strict=False)
        else:
            inner.load_state_dict(outer.state_dict())
    fixed = {key: value for key, value in source.items() if not key.startswith(("cells", "stem"))}
    derived.load_state_dict(fixed, strict=False)
    stem = derived.stem if name == "nats-tss" else derived.stem.layers
    assert isinstance(stem, nn.Module)
    stem.load_state_dict(supernet.stem.state_dict())
    x = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    weights = {kind: table.double() for kind, table in space.encode(genotype).items()}
    assert torch.allclose(supernet(x, weights), derived(x), atol=1e-10)


def test_equal_genotypes_make_equal_networks(published: dict[str, str]) -> None:
    space = get_space("darts")
    written = space.parse(published["DARTS_V1"])
    canonical = space.discretize(space.encode(written))
    assert str(written) != str(canonical)
    states = []
    for genotype in (written, canonical):
        torch.manual_seed(5)
        states.append(space.network(genotype, 4, 3, 10).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
