"""Tests on an NVIDIA GPU: all of this folder, run by `tox -e gpu`. Without a GPU they are skipped in words."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from methods import Search, get_method
from methods.search.settings import resolve
from spaces import get_space
from spaces.common import disk_cache, streams
from spaces.engine import kernel_choice
from suite.data.sets import Augment, Loader
from suite.environment import make_deterministic


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.gpu)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[torch.device]:
    """The GPU, as trials use it. Outcomes of self-tests are kept for this run of the tests alone."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU here that torch can use: nothing was tested on one")
    folder = tmp_path_factory.getbasetemp() / "outcomes"
    monkeypatch.setattr(disk_cache, "user_cache_path", lambda name: folder / name)
    kernel_choice.forget()
    make_deterministic(torch.get_num_threads())
    yield torch.device("cuda", torch.cuda.current_device())
    kernel_choice.forget()


@pytest.fixture(scope="session")
def make_search() -> Callable[..., Search]:
    """Makes a first-order search of one epoch through the smallest supernet, on random images of 16 x 16 pixels."""

    def make(space: str, device: str, steps: int = 4, **how: Any) -> Search:
        recipe = get_method("darts-1st")
        sizes = {"channels": 16, "cells": 1 if space == "nats-tss" else 3, "batch_size": 8, "epochs": 1}
        settings, _ = resolve(recipe.options, {**recipe.layers(get_space(space)), "test": sizes})
        count = 8 * steps
        images = torch.randint(0, 256, (count, 3, 16, 16), generator=streams.generator(0, "images"), dtype=torch.uint8)
        loaders = [
            Loader(
                images,
                torch.arange(count) % 3,
                batch_size=8,
                seed=0,
                purpose=split,
                mean=(0.5,) * 3,
                std=(0.25,) * 3,
                augment=Augment(crop=2, flip=True),
                device=device,
            )
            for split in ("weights", "alpha")
        ]
        searched = get_space(space, without=recipe.removes(space))
        return Search(
            searched, recipe, *loaders, classes=3, in_channels=3, seed=0, settings=settings, device=device, **how
        )

    return make
