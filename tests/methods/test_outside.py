"""A method outside the repository: the very file of docs/adding-a-method.md is run."""

import json
import re
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from methods import get_method
from spaces.common.errors import InputError
from suite import commands
from suite.plan import plan

RECIPE = "from dataclasses import replace\nfrom methods.darts import DARTS_1ST\nX = replace(DARTS_1ST, "
GUIDE = Path(__file__).parents[2] / "docs" / "adding-a-method.md"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The guide's file, saved somewhere."""
    found = re.search(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    assert len(found[1].splitlines()) <= 60
    path = tmp_path / "beta_darts.py"
    path.write_text(found[1], encoding="utf-8")
    return path


def test_the_guides_file_runs(outside: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    commands.register(app)
    arguments = ["search", "--method", f"{outside}:BETA_DARTS", "--space", "nats-tss", "--set", "epochs=1"]
    arguments += [
        "--set",
        "lambda=25",
        "--set",
        "evaluate.epochs=1",
        "--set",
        "images=64",
        "--out",
        str(tmp_path / "runs"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["method"] == "my-beta-darts"
    assert record["settings"]["lambda"] == 25
    assert "beta_decay" in record["recipe"]["outer terms"]


def test_the_guides_term_is_its_closed_form(outside: Path, make_step) -> None:  # type: ignore[no-untyped-def]
    """∂ mean logsumexp(alpha) / ∂ alpha is softmax(alpha) / edges."""
    recipe = get_method(f"{outside}:BETA_DARTS")
    step = make_step("darts-1st", "s1")
    step = type(step)(**{**vars(step), "progress": 0.5})
    object.__setattr__(step.settings, "options", {"lambda": 50.0})
    gradient = recipe.outer[0](step)  # type: ignore[attr-defined]
    weights = step.relaxation(step.alpha, step, "train")
    edges = sum(len(alpha) for alpha in step.alpha.values())
    for kind, found in gradient.items():
        torch.testing.assert_close(found, 25 * weights[kind] / edges, rtol=1e-12, atol=0)


def test_a_changed_file_is_another_trial(outside: Path) -> None:
    before = plan(f"{outside}:BETA_DARTS", "s2", "digits", 0).key("digits", "d", None)
    outside.write_text(outside.read_text().replace("50.0", "40.0"))
    after = plan(f"{outside}:BETA_DARTS", "s2", "digits", 0).key("digits", "d", None)
    assert before != after
    assert before.startswith("my-beta-darts--s2")


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (None, "X", "no such file"),
        ("X = 1", "X", "unknown recipe 'X'"),
        ("import nothing_of_the_kind", "X", "line 1: ModuleNotFoundError"),
        ("Y = 1\ndef X(:", "X", "line 2: SyntaxError"),
        ("raise SystemExit(7)", "X", "line 1: SystemExit: 7"),
        (f"{RECIPE}name=' ')", "X", "no name"),
        (f"{RECIPE}name='x', options={{'epochs': 3}})", "X", "epochs is a setting of every search"),
        ("from methods.darts import DARTS_1ST", "DARTS_1ST", "which is taken"),
        ("from methods.darts import DARTS_1ST as MINE", "MIN", "did you mean 'MINE'"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str | None, name: str, said: str) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        plan(f"{path}:{name}", "s2", "digits", 0)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
