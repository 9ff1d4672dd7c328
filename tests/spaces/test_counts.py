"""Parameters and multiply-adds against the field's published and counted figures."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from spaces import get_space

ALL = {
    0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    11: "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    284: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
    1462: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    1651: "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    1835: "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    9930: "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}
"""NATS-Bench's official index -> architecture."""


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "expected"), [("darts", 1_930_618), ("s1", 405_146), ("s2", 665_466), ("s3", 665_466), ("s4", 624_506)]
)
def test_supernet_parameters(name: str, expected: int) -> None:
    with torch.device("meta"):
        assert parameters(get_space(name).supernet(channels=16, cells=8, classes=10)) == expected


def test_nats_supernet_has_seventeen_cells_and_no_affine_batch_norm_in_the_searched_ones() -> None:
    with torch.device("meta"):
        net = get_space("nats-tss").supernet(channels=16, cells=5, classes=10)
    assert len(net.cells) == 17
    norms = [m for m in net.cells[0].modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.weight is None for norm in norms)


@pytest.mark.parametrize(
    ("name", "cifar", "imagenet"),
    [
        ("DARTS_V1", 3_169_414, 4_510_432),
        ("DARTS_V2", 3_349_342, 4_718_752),
        ("PC_DARTS_cifar", 3_634_678, 5_270_560),
        ("PDARTS", 3_433_798, 4_944_352),
    ],
)
def test_published_genotypes(name: str, cifar: int, imagenet: int, published: dict[str, str]) -> None:
    space = get_space("darts")
    genotype = space.parse(published[name])
    with torch.device("meta"):
        assert parameters(space.network(genotype, 36, 20, 10)) == cifar
        assert parameters(space.network(genotype, 48, 14, 1000, stem="imagenet")) == imagenet


def test_auxiliary_head(published: dict[str, str]) -> None:
    space = get_space("darts")
    with torch.device("meta"):
        net = space.network(space.parse(published["DARTS_V2"]), 36, 20, 10, auxiliary=True)
    assert sum(p.numel() for name, p in net.named_parameters() if "auxiliary" in name) == 476_426
    assert parameters(net) == 3_349_342 + 476_426


def test_darts_macs_are_pinned(published: dict[str, str]) -> None:
    space = get_space("darts")
    genotype = space.parse(published["DARTS_V2"])
    assert space.cost(genotype, 36, 20, 10, size=32) == {"params": 3_349_342, "macs": 528_359_040}
    imagenet = space.cost(genotype, 48, 14, 1000, size=224, stem="imagenet")
    assert imagenet == {"params": 4_718_752, "macs": 529_911_552}


@pytest.mark.parametrize(
    ("index", "params", "flops"),
    [
        (0, 129_306, 15_647_370),  # this one is stored in the official archive, the others are its formula counted
        (11, 802_426, 113_951_370),
        (284, 101_306, 11_715_210),
        (1462, 1_531_546, 220_119_690),
        (1651, 73_306, 7_783_050),
        (1835, 73_306, 7_783_050),
        (9930, 1_288_506, 184_730_250),
    ],
)
def test_nats_cost(index: int, params: int, flops: int) -> None:
    space = get_space("nats-tss")
    cost = space.cost(space.parse(ALL[index]), 16, 5, 10, size=32)
    # The archive's FLOPs are multiply-adds, plus one for each class: the last layer's bias.
    assert cost == {"params": params, "macs": flops - 10}


@pytest.mark.parametrize(("classes", "more"), [(100, 5_850), (120, 7_150)])
def test_nats_parameters_for_more_classes(classes: int, more: int) -> None:
    space = get_space("nats-tss")
    with torch.device("meta"):
        assert parameters(space.network(space.parse(ALL[0]), 16, 5, classes)) == 129_306 + more


@pytest.mark.slow  # torch's counter imports for seconds
def test_macs_are_half_the_flops_of_torchs_counter() -> None:
    space = get_space("darts")
    genotype = space.random(torch.Generator().manual_seed(0))
    net = space.network(genotype, 4, 5, 10, in_channels=1).eval()
    with FlopCounterMode(display=False) as counter:
        net(torch.zeros(1, 1, 12, 12))
    state = torch.get_rng_state()
    assert 2 * space.cost(genotype, 4, 5, 10, size=12, in_channels=1)["macs"] == counter.get_total_flops()
    assert torch.equal(torch.get_rng_state(), state)


def test_cost_of_a_genotype_with_noise_leaves_the_auxiliary_head_out() -> None:
    space = get_space("s4")
    genotype = space.random(torch.Generator().manual_seed(1))
    assert genotype.count("normal", "noise") + genotype.count("reduce", "noise") > 0
    net = space.network(genotype, 4, 5, 10, auxiliary=True)
    expected = sum(p.numel() for name, p in net.named_parameters() if "auxiliary" not in name)
    assert space.cost(genotype, 4, 5, 10, size=8)["params"] == expected
