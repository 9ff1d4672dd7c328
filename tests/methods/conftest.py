"""A small step and a small search on random images, for any space and method."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods import Search, get_method
from methods.core.learner import Task
from methods.core.settings import resolve
from methods.core.step import Batch, Step
from spaces import get_space
from spaces.core import streams

SIZES = {"nats-tss": {"channels": 4, "cells": 1}}


class RandomImages:
    """A half of 16 random images of 3 classes in batches of 8, served as a loader serves them."""

    def __init__(self, purpose: str, dtype: torch.dtype = torch.float32, size: int = 8) -> None:
        source = streams.generator(0, purpose)
        self.x = torch.randn(16, 3, size, size, generator=source, dtype=torch.float64).to(dtype)
        self.y = torch.randint(0, 3, (16,), generator=source)

    def __len__(self) -> int:
        return 2

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        order = torch.randperm(16, generator=streams.generator(0, "order", epoch))[8 * step : 8 * step + 8]
        return self.x[order], self.y[order]

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield self.x, self.y


def small_settings(method: str, space: str, **changes: Any) -> Any:
    chosen = get_method(method)
    sizes = {"epochs": 2, "batch_size": 8, **SIZES.get(space, {"channels": 4, "cells": 3}), **changes}
    return resolve(chosen.options, {**chosen.layers(space), "test": sizes})[0]


@pytest.fixture
def make_search() -> Callable[..., Search]:
    def make(method: str, space: str, seed: int = 0, **changes: Any) -> Search:
        chosen = get_method(method)
        return Search(
            get_space(space, without=chosen.without),
            chosen,
            RandomImages("train"),
            RandomImages("valid"),
            settings=small_settings(method, space, **changes),
            classes=3,
            in_channels=3,
            seed=seed,
        )

    return make


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """A step after one weight step (so that momenta are not zero), with alpha away from its small start."""

    def make(method: str, space: str, dtype: torch.dtype = torch.float64, size: int = 8, **changes: Any) -> Step:
        chosen = get_method(method)
        halves = RandomImages("train", dtype, size), RandomImages("valid", dtype, size)
        settings = small_settings(method, space, **changes)
        task = Task(get_space(space), settings, *halves, classes=3, in_channels=3, seed=0, device=torch.device("cpu"))
        learner: Any = chosen.learner(task)
        for net in (learner.net, getattr(learner, "primary", None)):
            if net is not None:
                net.to(dtype)
        for kind, alpha in learner._alpha.items():
            spread = torch.randn(alpha.shape, generator=streams.generator(0, "alpha", kind), dtype=torch.float64)
            learner._alpha[kind] = spread.to(dtype).requires_grad_()
        train, valid = (
            Batch(*half.batch(0, 0), half=name) for half, name in zip(halves, ("train", "valid"), strict=True)
        )
        step = Step(
            space=task.space,
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
            twin=learner.twin,
        )
        learner.net.train()
        learner._weight_step(step)
        return step

    return make


@pytest.fixture
def smooth(monkeypatch: pytest.MonkeyPatch) -> None:
    """GELU for ReLU, mean for max pooling: with kinks ∇α jumps between the two sides of a difference."""
    monkeypatch.setattr(F, "relu", lambda x, inplace=False: F.gelu(x))
    monkeypatch.setattr(F, "max_pool2d", lambda x, *args, **kwargs: F.avg_pool2d(x, *args[:3]))
