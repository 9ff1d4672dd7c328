"""A short search on the GPU is the CPU's but for rounding, and the same twice."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from spaces.cells.mixed_cell import Engine
from suite import commands


@pytest.fixture(scope="module")
def on_cpu(make_search: Any) -> Callable[[str], dict[str, Any]]:
    """The row of the epoch on a space, by the reference."""
    return cache(lambda space: next(iter(make_search(space, "cpu", engine="reference"))))


@pytest.mark.parametrize("graphs", [False, True], ids=["eager", "graphs"])
@pytest.mark.parametrize("engine", ["reference", "fast"])
@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_it_finds_the_cpus_numbers(
    gpu: torch.device, make_search: Any, on_cpu: Any, space: str, engine: Engine, graphs: bool
) -> None:
    expected = on_cpu(space)
    rows = [next(iter(make_search(space, gpu.type, engine=engine, graphs=graphs))) for _ in range(2)]
    assert rows[0] == rows[1]
    assert rows[0]["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-3)
    assert rows[0]["valid_loss"] == pytest.approx(expected["valid_loss"], rel=1e-2)


def test_the_command_line_names_what_computed(gpu: torch.device, tmp_path: Path) -> None:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    sizes = "epochs=1 batch_size=64 channels=16 cells=1 evaluate.epochs=1 evaluate.channels=4 evaluate.cells=1"
    chosen = [word for size in sizes.split() for word in ("--set", size)]
    where = ["--dataset", "digits", "--device", gpu.type, "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, ["search", "darts-1st", *where, *chosen])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["device"].startswith(gpu.type)
    assert record["engine"].startswith("fast, fp32, ")
    assert 0 <= record["score"] <= 100
