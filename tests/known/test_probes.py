"""What every probe measures of one small supernet, in float64."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from methods import Search, get_method
from methods.probes import PROBES, get_probe
from methods.search.probe import Watched
from methods.search.settings import resolve
from spaces import get_space
from suite.data.sets import Loader, splits
from suite.trial import load_data


class Double(Loader):
    """Its images in float64."""

    def _normalise(self, images: Tensor) -> Tensor:
        return super()._normalise(images).double()


@pytest.mark.known
def test_probes(golden, tmp_path: Path) -> None:
    method, dataset = get_method("darts-1st"), load_data("digits", 32, 0, tmp_path)
    sizes = {"epochs": 1, "batch_size": 8, "channels": 4, "cells": 2}
    settings = resolve(method.options, {**method.layers(get_space("nats-tss")), "test": sizes})[0]
    loaders = [
        Double(
            dataset.x_train[split],
            dataset.y_train[split],
            batch_size=settings.batch_size,
            seed=0,
            purpose=purpose,
            mean=dataset.mean,
            std=dataset.std,
        )
        for purpose, split in zip(("weights", "alpha"), splits(dataset, 0, settings.weights_share), strict=True)
    ]
    probes = [Watched(get_probe(name)) for name in PROBES]
    search = Search(
        get_space("nats-tss"), method, *loaders, settings=settings, classes=10, in_channels=1, seed=0, probes=probes
    )
    learner: Any = search.learner
    learner.net.double()
    for alpha in learner._alpha.values():
        alpha.data = torch.randn(alpha.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    row = list(search)[-1]
    golden("probes", {"probes": {k.removeprefix("probe."): v for k, v in row.items() if k.startswith("probe.")}})
