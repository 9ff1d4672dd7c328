"""What a supernet says of the engine that computes it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces import IMAGE_SPACES, get_space
from spaces.cells.supernet import Supernet, SupernetConfig
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.nats.supernet import NatsSupernet
from suite.environment import engine_name

needs_compiler = pytest.mark.skipif(isinstance(cpp_kernels.library(), str), reason=str(cpp_kernels.library()))


def supernet(space: str = "nats-tss", **options: Any) -> Supernet:
    sizes = {"channels": 4, "cells": 1 if space == "nats-tss" else 3, "classes": 3}
    return get_space(space).supernet(**{**sizes, **options})


class Tanh(nn.Module):
    """An operation that no engine was told of."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


@pytest.mark.parametrize("space", sorted(IMAGE_SPACES))
@pytest.mark.parametrize(("engine", "precision"), [("fast", "fp32"), ("reference", "fp32"), ("fast", "bf16")])
def test_todays_spaces_are_computed_by_the_engine_that_was_chosen(space: str, engine: str, precision: str) -> None:
    net = supernet(space, engine=engine, precision=precision, auxiliary_skip=True, node_norm=True)
    assert net.computed_by() == engine_name(engine, precision, "cpu")


def test_a_switch_of_engine_is_told() -> None:
    net = supernet()
    fast = net.computed_by()
    net.engine = "reference"
    assert net.computed_by() == "reference, fp32"
    assert supernet().double().reference().computed_by() == "reference, fp64"
    net.engine = "fast"
    assert net.computed_by() == fast


def test_operations_that_the_engine_does_not_know_are_named_with_their_cells() -> None:
    net = supernet()
    known = net.computed_by()
    for cell in net.mixed_cells[:2]:
        cell.edges[3]["nor_conv_3x3"] = Tanh()  # type: ignore[operator,index]
    told = net.computed_by()
    assert told.startswith(f"{known}; 2 of 3 cells ")
    assert told.endswith("reference engine: nor_conv_3x3")


@needs_compiler
def test_kernels_that_the_channels_rule_out_are_told_by_cell() -> None:
    assert "plain torch: 3 channels" in supernet(channels=3).computed_by()
    told = supernet(channels=2).computed_by()  # 2, 4 and 8 channels
    assert told.startswith("fast, fp32, with C++ kernels; 1 of 3 cells in plain torch: 2 channels")


def test_a_supernet_without_a_fast_engine_refuses_it() -> None:
    net = NatsSupernet(get_space("nats-tss"), SupernetConfig(channels=4, cells=1, classes=3))
    with pytest.raises(ValueError, match="no fast engine"):
        net.engine = "fast"
