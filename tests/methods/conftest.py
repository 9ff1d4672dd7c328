"""A small step and a small search on random images, for any space and method."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods import Search, get_method
from methods.search.learners.learner import SearchSetup
from methods.search.method import Method
from methods.search.probe import Watched
from methods.search.settings import resolve
from methods.search.step import Batch, Step
from spaces import get_space
from spaces.cells.mixed_cell import ByReference, MixedCell
from spaces.common import streams

SIZES = {"nats-tss": {"channels": 4, "cells": 1}}


class RandomImages:
    """A split of random images of 3 classes in batches of 8, served as a loader serves them."""

    def __init__(self, purpose: str, dtype: torch.dtype = torch.float32, size: int = 8, batches: int = 2) -> None:
        source = streams.generator(0, purpose)
        self.x = torch.randn(8 * batches, 3, size, size, generator=source, dtype=torch.float64).to(dtype)
        self.y = torch.randint(0, 3, (8 * batches,), generator=source)

    def __len__(self) -> int:
        return len(self.y) // 8

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        assert 0 <= step < len(self)
        order = torch.randperm(len(self.y), generator=streams.generator(0, "order", epoch))[8 * step : 8 * step + 8]
        return self.x[order], self.y[order]

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.x, self.y


def small_settings(chosen: Method, space: str, **changes: Any) -> Any:
    sizes = {"epochs": 2, "batch_size": 8, **SIZES.get(space, {"channels": 4, "cells": 4}), **changes}
    return resolve(chosen.options, {**chosen.layers(get_space(space)), "test": sizes})[0]


@pytest.fixture
def make_search() -> Callable[..., Search]:
    def make(
        method: str | Method,
        space: str,
        seed: int = 0,
        batches: tuple[int, int] = (2, 2),
        probes: Sequence[Watched] = (),
        **changes: Any,
    ) -> Search:
        chosen = get_method(method) if isinstance(method, str) else method
        return Search(
            get_space(space, without=chosen.removes(space)),
            chosen,
            RandomImages("train", batches=batches[0]),
            RandomImages("valid", batches=batches[1]),
            settings=small_settings(chosen, space, **changes),
            classes=3,
            in_channels=3,
            seed=seed,
            probes=probes,
        )

    return make


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """A step after one weight step (so that momenta are not zero), with alpha away from its small start."""

    def make(method: str, space: str, dtype: torch.dtype = torch.float64, size: int = 8, **changes: Any) -> Step:
        chosen = get_method(method)
        splits = RandomImages("train", dtype, size), RandomImages("valid", dtype, size)
        settings = small_settings(chosen, space, **changes)
        searched = get_space(space, without=chosen.removes(space))
        setup = SearchSetup(searched, settings, *splits, classes=3, in_channels=3, seed=0, device=torch.device("cpu"))
        learner: Any = chosen.learner(setup)
        for net in (learner.net, getattr(learner, "primary", None)):
            if net is not None:
                net.to(dtype)
        for kind, alpha in learner._alpha.items():
            spread = torch.randn(alpha.shape, generator=streams.generator(0, "alpha", kind), dtype=torch.float64)
            learner._alpha[kind] = spread.to(dtype).requires_grad_()
        train, valid = (
            Batch(*split.batch(0, 0), split=name) for split, name in zip(splits, ("train", "valid"), strict=True)
        )
        step = Step(
            space=setup.space,
            net=learner.net,
            alpha=learner._alpha,
            relaxation=learner.recipe.relaxation,
            settings=settings,
            seed=0,
            epoch=0,
            number=0,
            progress=0.0,
            memory=learner.memory,
            learning_rate=settings.learning_rate,
            momenta=learner._momenta,
            train=train,
            valid=valid,
            second_weights=learner.second_weights,
        )
        learner.net.train()
        learner._weight_step(step)
        return step

    return make


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """GELU for ReLU, mean for max pooling: with kinks a gradient jumps between the two sides of a difference."""
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.gelu(x))
    monkeypatch.setattr(F, "max_pool2d", lambda x, *args, **kwargs: F.avg_pool2d(x, *args[:3]))
    # The fast engine has a ReLU of its own.
    monkeypatch.setattr(MixedCell, "mix", lambda cell, inputs, weights: ByReference(cell)(inputs, weights))
