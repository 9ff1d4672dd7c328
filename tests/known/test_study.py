"""The quick study: genotypes and histories by seed."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from methods import METHODS
from suite.plan import Plan, plan
from suite.store import HISTORY
from suite.study import expand, find, read
from suite.trial import run_trial

LOSSES = ("train_loss", "valid_loss")
ACCURACIES = ("train_accuracy", "valid_accuracy", "discrete_accuracy")


def quick(root: Path) -> list[Plan]:
    """The trials of the quick study on data that is always here: `root` is empty."""
    path = find("quick")
    return expand(read(path), path, root).plans


def measured(plans: Sequence[Plan], folder: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    for one in plans:
        record = run_trial(one, folder / "runs", folder)
        history = pq.read_table(folder / "runs" / record.key / HISTORY).to_pydict()
        trial = f"{one.method}/{one.space}/{one.seed}"
        found["genotype"][trial] = record.genotype
        found["first_loss"][trial] = [history[column][0] for column in LOSSES]
        found["test_accuracy"][trial] = record.accuracy
        for column in LOSSES:
            found["later_loss"][f"{trial} {column}"] = history[column][1:]
        for column in ACCURACIES:
            found["accuracy"][f"{trial} {column}"] = history[column]
        for column, values in history.items():
            kind = column.partition(".")[0]
            if kind == "alpha":
                found["alpha"][f"{trial} {column}"] = values[-1]
            elif "." in column and kind not in ("probe", "weights"):
                found["own_columns"][f"{trial} {column}"] = values
    return found


@pytest.mark.known
def test_every_search_of_the_quick_study(golden, tmp_path: Path) -> None:
    """At its own size, but for the retraining, each on the first space that it has in that study, with one seed."""
    methods = sorted({one.method for one in quick(tmp_path)})
    spaces = {method: next(iter(METHODS[method].quick_trials)) for method in methods}
    plans = [plan(method, spaces[method], "digits", 0, "quick", {"evaluate.epochs": 1}) for method in methods]
    golden("searches", measured(plans, tmp_path))


@pytest.mark.known
@pytest.mark.slow
def test_the_whole_quick_study(golden, tmp_path: Path) -> None:
    found = measured(quick(tmp_path), tmp_path)
    golden("study", {group: found[group] for group in ("genotype", "first_loss", "later_loss", "test_accuracy")})
