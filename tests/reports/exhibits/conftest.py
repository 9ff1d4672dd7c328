"""Exhibits and records made by hand, for the tests of this folder. Each fixture is a function or a text."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.exhibits.catalogue import read
from reports.exhibits.exhibit import Exhibit
from reports.exhibits.scale_groups import scale_groups
from reports.exhibits.verdicts import claim_verdicts
from spaces import get_space

HEALTHY = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
BY_HAND = Path(__file__).parents[2] / "by_hand.toml"
HEAD = f"""{BY_HAND.read_text(encoding="utf-8")}
[[trials]]
methods = ["darts-1st", "darts-2nd", "darts-minus", "lambda-darts"]
spaces = ["nats-tss"]
datasets = ["cifar10"]
seeds = [0, 1, 2, 3]
"""


CELLS = HEAD.replace('layout = "methods"', 'layout = "cells"').replace('"Table 1"', '"Figure 9"')


def make_trial(method: str, seed: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    row = {
        "key": f"{method}-{seed}-{changes.get('protocol', 'cpu')}-{changes.get('dataset', 'cifar10')}",
        "method": method,
        "space": "nats-tss",
        "dataset": "cifar10",
        "seed": seed,
        "protocol": "cpu",
        "accuracy": accuracy,
        "evaluation": "tabular",
        "convention": "test accuracy after 200 epochs",
        "genotype": HEALTHY,
        "tabular": {"cifar10.test": accuracy, "cifar10.valid": accuracy - 3, "cifar100.test": accuracy - 20},
        "skip_share": 1 / 6,
        "params": 1_250_000,
        "macs": 180_000_000,
        "search_seconds": 100.0,
        "evaluate_seconds": 0.0,
        "search_steps": 10,
        "epochs": 2,
        "answer_epoch": 2,
        "scale": "cpu: search 2 epochs",
        "device": "cpu: some",
        "engine": "fast, fp32",
        "threads": 1,
        "version": "0",
        "dataset_digest": "d",
        "recipe": {},
        "settings": {"epochs": 2, "channels": 8, "cells": 2, "images": 500, "size": 0},
        "origin": {},
        "environment": {},
    } | changes
    if row["evaluation"] != "tabular":
        row["tabular"] = {}
    return row


def make_frames(rows: list[dict[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    histories = [
        {
            "key": row["key"],
            "method": row["method"],
            "space": row["space"],
            "dataset": row["dataset"],
            "seed": row["seed"],
            "epoch": epoch,
            "genotype": row["genotype"],
            "discrete_accuracy": 50.0,
            "tabular_accuracy": row["accuracy"],
            "probe.alignment.cosine.valid": row["seed"] / 10,
        }
        for row in rows
        for epoch in (1, 2)
    ]
    return pd.DataFrame(rows), pd.DataFrame(histories)


def make_runs(accuracies: dict[str, list[float]], **changes: Any) -> list[dict[str, Any]]:
    return [make_trial(method, seed, x, **changes) for method, xs in accuracies.items() for seed, x in enumerate(xs)]


def one_cell(frame: pd.DataFrame, label: str, heading: str) -> dict[Any, Any]:
    (found,) = frame[(frame["label"] == label) & (frame["heading"] == heading)].to_dict("records")
    return found


def one_verdict(made: Exhibit, rows: list[dict[str, Any]]) -> dict[Any, Any]:
    records, histories = make_frames(rows)
    (found,) = claim_verdicts(made, scale_groups(made, records, histories), get_space).to_dict("records")
    return found


def claim_text(kind: str, **more: Any) -> str:
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in more.items()]
    return "\n".join(["", "[[claims]]", 'says = "So it is"', f"kind = '{kind}'", "method = 'lambda-darts'", *lines, ""])


@pytest.fixture
def exhibit(tmp_path: Path):
    def write(text: str = "", head: str = HEAD, paper: str = "lambda-darts") -> Exhibit:
        path = tmp_path / paper / "by-hand.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + text, encoding="utf-8")
        return read(path)

    return write


@pytest.fixture(scope="session")
def trial():
    """`make_trial`."""
    return make_trial


@pytest.fixture(scope="session")
def frames():
    """`make_frames`."""
    return make_frames


@pytest.fixture(scope="session")
def runs():
    """`make_runs`."""
    return make_runs


@pytest.fixture(scope="session")
def cell():
    """`one_cell`."""
    return one_cell


@pytest.fixture(scope="session")
def verdict():
    """`one_verdict`."""
    return one_verdict


@pytest.fixture(scope="session")
def claim():
    """`claim_text`."""
    return claim_text


@pytest.fixture(scope="session")
def head() -> str:
    """An exhibit of the layout `methods`, with trials and without claims."""
    return HEAD


@pytest.fixture(scope="session")
def cells_head() -> str:
    """An exhibit of the layout `cells`, with trials and without claims."""
    return CELLS


@pytest.fixture(scope="session")
def all_skips() -> str:
    """A genotype whose edges are all skip-connections."""
    return SKIPS
