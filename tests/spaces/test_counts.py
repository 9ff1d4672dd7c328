"""What is counted as parameters and multiply-adds; the field's own figures are in `tests/known`."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from spaces import get_space


def test_nats_supernet_has_seventeen_cells_and_no_affine_batch_norm_in_the_searched_ones() -> None:
    with torch.device("meta"):
        net = get_space("nats-tss").supernet(channels=16, cells=5, classes=10)
    assert len(net.cells) == 17
    norms = [m for m in net.cells[0].modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(norm.weight is None for norm in norms)


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
