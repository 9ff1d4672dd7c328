"""Searches from graphs have the same histories as eager searches."""

from copy import deepcopy
from typing import Any

import pytest
import torch

from methods import Search, get_method
from methods.search.settings import resolve
from spaces import get_space
from spaces.common.streams import generator
from spaces.engine.cuda_graphs import Graphs
from suite.data.sets import Augment, Loader

METHODS = [
    ("lambda-darts", "nats-tss", 2),
    *(
        pytest.param(*each, 4, marks=pytest.mark.slow)
        for each in [
            ("darts-1st", "nats-tss"),
            ("pr-darts", "nats-tss"),
            ("darts-2nd", "nats-tss"),
            ("darts-2nd-exact", "nats-tss"),
            ("lambda-sdarts-rs", "nats-tss"),
            ("lambda-darts-outer", "nats-tss"),
            ("amended-darts", "nats-tss"),
            ("rarts", "nats-tss"),
            ("milenas", "nats-tss"),
            ("random", "nats-tss"),
            ("darts-minus", "darts"),
            ("prime+crb", "s2"),
            ("p-darts", "darts"),
            ("darts-1st", "s4"),
        ]
    ),
]


@pytest.mark.parametrize(("method", "space", "epochs"), METHODS)
def test_a_search_is_the_same_from_graphs(
    recorder: Any, monkeypatch: pytest.MonkeyPatch, method: str, space: str, epochs: int
) -> None:
    """Histories are equal in every bit, also that of a resumed search, which captures its passes anew."""
    monkeypatch.setattr("methods.search.learners.supernet.Graphs", lambda net, **how: Graphs(net, recorder, **how))
    expected = list(search(method, space, epochs))
    found = search(method, space, epochs, graphs=True)
    for _ in range(2 * epochs - 1):
        found.advance()
    again = search(method, space, epochs, graphs=True)
    again.load_state_dict(deepcopy(found.state_dict()))  # it refers to tensors that the first search goes on to change
    assert [*again.history, *again] == expected == [*found.history, *found]
    assert bool(recorder.replays) == (method != "random" and space != "s4")


@pytest.mark.parametrize(("method", "space", "epochs"), METHODS)
def test_a_warm_up_captures_the_passes_of_a_step_and_changes_no_bit(
    recorder: Any, monkeypatch: pytest.MonkeyPatch, method: str, space: str, epochs: int
) -> None:
    """Before the first step and in the middle, where a search may have been resumed."""
    monkeypatch.setattr("methods.search.learners.supernet.Graphs", lambda net, **how: Graphs(net, recorder, **how))
    found = search(method, space, epochs, graphs=True)
    found.warm_up()
    made = len(recorder.tapes)
    found.advance()
    assert len(recorder.tapes) == made
    for _ in range(2 * epochs - 1):
        found.advance()
    found.warm_up()
    assert [*found.history, *found] == list(search(method, space, epochs))


def search(method: str, space: str, epochs: int, *, graphs: bool = False) -> Search:
    """Epochs of four steps through the smallest supernet."""
    recipe = get_method(method)
    sizes = {"channels": 4, "cells": 1 if space == "nats-tss" else 3, "batch_size": 4, "epochs": epochs}
    settings, _ = resolve(recipe.options, {**recipe.layers(get_space(space)), "test": sizes})
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=generator(0, "images"), dtype=torch.uint8)
    loaders = [
        Loader(
            images,
            torch.arange(16) % 3,
            batch_size=4,
            seed=0,
            purpose=split,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            augment=Augment(crop=2, flip=True),
            device="cpu",
        )
        for split in ("weights", "alpha")
    ]
    searched = get_space(space, without=recipe.removes(space))
    sizes = {"classes": 3, "in_channels": 3, "seed": 0}
    return Search(searched, recipe, *loaders, **sizes, settings=settings, graphs=graphs)  # type: ignore[arg-type]
