"""Parameters and multiply-adds against the field's published and counted figures."""

import pytest
import torch

from spaces import get_space

NATS = {
    "0": "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "11": "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|nor_conv_3x3~1|avg_pool_3x3~2|",
    "284": "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|none~0|nor_conv_1x1~1|none~2|",
    "1462": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
    "1651": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    "1835": "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|",
    "9930": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}
"""NATS-Bench's official index -> architecture."""


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.known
def test_counts(golden, published: dict[str, str]) -> None:
    darts, nats = get_space("darts"), get_space("nats-tss")
    genotypes = {name: darts.parse(text) for name, text in published.items()}
    cifar = {name: darts.cost(genotype, 36, 20, 10, size=32) for name, genotype in genotypes.items()}
    costs = {index: nats.cost(nats.parse(text), 16, 5, 10, size=32) for index, text in NATS.items()}
    large = darts.cost(genotypes["DARTS_V2"], 48, 14, 1000, size=224, stem="imagenet")
    with torch.device("meta"):
        names = ("darts", "s1", "s2", "s3", "s4")
        supernets = {n: parameters(get_space(n).supernet(channels=16, cells=8, classes=10)) for n in names}
        imagenet = {n: parameters(darts.network(g, 48, 14, 1000, stem="imagenet")) for n, g in genotypes.items()}
        whole = darts.network(genotypes["DARTS_V2"], 36, 20, 10, auxiliary=True)
        more = {str(c): parameters(nats.network(nats.parse(NATS["0"]), 16, 5, c)) for c in (100, 120)}
    head = sum(p.numel() for name, p in whole.named_parameters() if "auxiliary" in name)
    assert parameters(whole) == cifar["DARTS_V2"]["params"] + head
    golden(
        "counts",
        {
            "supernet_parameters": supernets,
            "cifar_parameters": {name: cost["params"] for name, cost in cifar.items()} | {"auxiliary head": head},
            "cifar_multiply_adds": {name: cost["macs"] for name, cost in cifar.items()},
            "imagenet_parameters": imagenet,
            "imagenet_multiply_adds": {"DARTS_V2": large["macs"]},
            "nats_parameters": {index: cost["params"] for index, cost in costs.items()},
            "nats_parameters_of_index_0_by_classes": more,
            # The archive's FLOPs are multiply-adds, plus one for each class: the last layer's bias.
            "nats_flops": {index: cost["macs"] + 10 for index, cost in costs.items()},
        },
    )
