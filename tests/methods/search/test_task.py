"""Tasks: the two of docs/adding-a-task.md, from the command line to the report."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import typer
from typer.testing import CliRunner, Result

from methods import get_method, get_task
from methods.search.external.task_file import rehearse
from methods.search.learners.training import measure
from methods.search.task import CLASSIFICATION, ImageClassification, Task
from spaces.common.errors import InputError
from spaces.common.metric import Metric
from suite import commands
from suite.plan import plan
from suite.store import load_frames

GUIDE = Path(__file__).parents[3] / "docs" / "adding-a-task.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
SMALL = [
    word
    for change in (
        "epochs=2",
        "images=32",
        "batch_size=8",
        "channels=4",
        "cells=3",
        "evaluate.epochs=1",
        "evaluate.channels=4",
    )
    for word in ("--set", change)
]


@pytest.fixture(params=[0, 1], ids=["regression", "rotation"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "task.py"
    path.write_text(BLOCKS[request.param], encoding="utf-8")
    return path


@pytest.fixture
def regression(tmp_path: Path) -> Path:
    path = tmp_path / "digit_value.py"
    path.write_text(BLOCKS[0], encoding="utf-8")
    return path


def dartboard(*words: Any) -> Result:
    app = typer.Typer()
    commands.register(app)
    return CliRunner().invoke(app, list(map(str, words)))


def searched(method: str, file: Path, *words: Any) -> Result:
    return dartboard("search", method, "--space", "s2", "--dataset", "digits", "--task", file, *SMALL, *words)


def test_a_task_of_the_guide_runs_and_names_its_columns(file: Path, tmp_path: Path) -> None:
    task = get_task(str(file))
    result = searched("darts-1st", file, "--out", tmp_path / "runs", "--probes", "gap,fisher", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert (record["task"], record["metric"]["name"]) == (task.name, task.metric.name)
    assert record["accuracy"] is None
    assert math.isfinite(record["score"])
    assert task.metric.name in record["convention"]
    _, histories = load_frames(tmp_path / "runs")
    assert {f"{part}_{task.metric.name}" for part in ("train", "valid", "discrete")} <= set(histories.columns)
    assert not [name for name in histories.columns if name.endswith("_accuracy") and task.metric.name not in name]
    assert ("probe.fisher.alpha" in histories.columns) == task.categorical


def test_a_task_is_part_of_the_key_by_its_file(regression: Path) -> None:
    asked = ("darts-1st", "s2", "digits", 0)
    keys = [plan(*asked).key("digits", "x", None), plan(*asked, task=str(regression)).key("digits", "x", None)]
    keys.append(plan(*asked, task=f"{regression}:DIGIT_VALUE").key("digits", "x", None))
    regression.write_text(BLOCKS[0] + "# changed\n", encoding="utf-8")
    keys.append(plan(*asked, task=str(regression)).key("digits", "x", None))
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3


def test_random_search_keeps_the_candidate_that_the_metric_calls_best(make_search: Any, regression: Path) -> None:
    from methods import Search

    search = make_search("random", "s2", epochs=4)
    setup = search.setup
    search = Search(
        setup.space,
        get_method("random"),
        setup.train,
        setup.valid,
        settings=setup.settings,
        classes=3,
        in_channels=3,
        seed=0,
        task=get_task(str(regression)),
    )
    rows = list(search)
    best = [min(row["valid_rmse"] for row in rows[: count + 1]) for count in range(len(rows))]
    assert [row["discrete_rmse"] for row in rows] == best


class Uneven:
    """Seven inputs in batches of four and of three."""

    def __init__(self) -> None:
        self.x, self.y = torch.randn(7, 1), torch.arange(7) % 3

    def all(self, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        yield from zip(self.x.split(4), self.y.split(4), strict=True)


def test_measured_values_are_the_metric_over_the_split(regression: Path) -> None:
    """A root of the mean over all images, not a mean of the batches' roots."""
    split: Any = Uneven()
    loss, score = measure(lambda images, number: images, split, 4, get_task(str(regression)))
    truth = float(F.mse_loss(split.x.squeeze(1), split.y.float()))
    assert (loss, score) == (pytest.approx(truth), pytest.approx(truth**0.5))


class _Bad(ImageClassification):
    name = "bad"


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("outputs", lambda classes: 2.5, "outputs must return a whole number"),
        ("outputs", lambda classes: 0, "outputs must return a whole number"),
        ("loss", lambda outputs, targets, reduction="mean": outputs, "loss must return a scalar tensor"),
        ("loss", lambda outputs, targets, reduction="mean": 1.0, "loss must return a scalar tensor"),
        ("loss", lambda outputs, targets, reduction="mean": outputs.sum().detach(), "that can be differentiated"),
        ("loss", lambda outputs, targets, reduction="mean": outputs.sum() * math.nan, "loss must be finite"),
        ("loss", lambda outputs, targets: outputs.sum(), "loss cannot be called as docs/adding-a-task.md says"),
        ("tally", lambda outputs: outputs.sum(), "tally cannot be called as docs/adding-a-task.md says"),
        ("tally", lambda outputs, targets: targets, "tally must return a scalar tensor"),
        ("score", lambda tally, images: math.nan, "score must return a finite number"),
    ],
)
def test_what_a_task_may_not_return(make_search: Any, member: str, value: Any, said: str) -> None:
    bad = _Bad()
    setattr(bad, member, value)
    with pytest.raises(InputError, match=f"task bad: .*{said}"):
        rehearse(bad, make_search("darts-1st", "s2").setup.train, 3)


START = "from methods.search.task import ImageClassification\nfrom spaces.common.metric import Metric\n"
CLASS = f"{START}class T(ImageClassification):\n    name = "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no task in it"),
        (f"{CLASS}'t'\n", "there is no task in it"),
        (f"{START}T = ImageClassification()", "which is taken"),
        (f"{START}A = ImageClassification()\nB = ImageClassification()", "it has A, B: name one"),
        (f"{CLASS}''\nX = T()", "name must be one line"),
        (f"{CLASS}'t'\n    metric = 'x'\nX = T()", "metric must be a metric"),
        (
            f"{CLASS}'t'\n    metric = Metric('loss', better='lower')\nX = T()",
            "its name must be lower-case letters",
        ),
        (
            f"{CLASS}'t'\n    metric = Metric('x', better='more')\nX = T()",
            "better must be 'higher' or 'lower'",
        ),
        ("1/0", "line 1: ZeroDivisionError"),
    ],
)
def test_a_bad_file_is_one_line_with_status_2(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "task.py"
    path.write_text(text, encoding="utf-8")
    result = searched("darts-1st", path)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(InputError, match="unknown task 'words'"):
        get_task("words")
    with pytest.raises(InputError, match="no such file"):
        get_task("none.py")


def test_a_metric_improves_in_its_own_direction() -> None:
    up, down = Metric("a", better="higher"), Metric("b", better="lower")
    assert up.improves(2, 1)
    assert down.improves(1, 2)
    assert up.improves(-1e9, up.worst)
    assert down.improves(1e9, down.worst)
    assert not up.improves(math.nan, up.worst)
    assert isinstance(CLASSIFICATION, Task)
