"""What bounds a trial, measured: a pass of each space's supernet, the batches. Run by `tox -e bench`.

Within a group pytest-benchmark prints each time as a ratio to the fastest.
"""

import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture

from spaces import get_space
from spaces.common.streams import generator
from suite.data.sets import Augment, Loader

SIZES = {"nats-tss": {"channels": 16, "cells": 1}}


@pytest.mark.parametrize("weights", ["dense", "one genotype"])
@pytest.mark.parametrize("space", ["nats-tss", "s2", "darts"])
def test_supernet_pass_and_weight_gradients(benchmark: BenchmarkFixture, space: str, weights: str) -> None:
    """One forward and backward pass at batch 16 of 16 x 16: all operations beside those of a single genotype."""
    benchmark.group = f"supernet {space}"
    searched = get_space(space)
    net = searched.supernet(classes=10, **SIZES.get(space, {"channels": 8, "cells": 3}))
    if weights == "dense":
        given = {kind: alpha.softmax(-1) for kind, alpha in searched.alpha(seed=0).items()}
    else:
        given = searched.encode(searched.random(generator(0, "benchmark")))
    images, labels = torch.randn(16, 3, 16, 16), torch.arange(16) % 10
    parameters = list(net.parameters())

    def step() -> None:
        loss = F.cross_entropy(net(images, given), labels)
        torch.autograd.grad(loss, parameters, allow_unused=True)

    benchmark.pedantic(step, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("augment", [None, Augment(crop=4, flip=True), Augment(crop=4, flip=True, cutout=16)], ids=str)
def test_batches(benchmark: BenchmarkFixture, augment: Augment | None) -> None:
    """A batch of 64 from uint8 images of 32 x 32."""
    benchmark.group = "batch of 64"
    x, y = torch.randint(0, 256, (5000, 3, 32, 32), dtype=torch.uint8), torch.arange(5000) % 10
    loader = Loader(
        x,
        y,
        batch_size=64,
        seed=0,
        purpose="benchmark",
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        augment=augment,
        device="cpu",
    )
    benchmark(loader.batch, 0, 1)
