"""A method outside the repository: the very file of docs/adding-a-method.md is run."""

import json
import re
import signal
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from methods import get_method
from methods.core.outside import own_errors
from spaces.core.errors import InputError
from suite import commands
from suite.executors import run_all
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
        ("X = 1", "X", "X is no recipe: it is 1"),
        ("import nothing_of_the_kind", "X", "line 1: ModuleNotFoundError"),
        ("Y = 1\ndef X(:", "X", "line 2: SyntaxError"),
        ("raise SystemExit(7)", "X", "line 1: SystemExit: 7"),
        ("\nraise KeyboardInterrupt", "X", "line 2: KeyboardInterrupt$"),
        ("raise GeneratorExit('x')", "X", "line 1: GeneratorExit: x"),
        ("class Own(BaseException): pass\nraise Own('no\\n\\nmore')", "X", "line 2: Own: no more"),
        ("raise ValueError('a\\nb\\r\\nc')", "X", "line 1: ValueError: a b c"),
        ("raise ValueError('long ' * 1000)", "X", "line 1: ValueError: (long )+…"),
        ("class Own(Exception):\n  def __str__(self): return 1 / 0\nraise Own", "X", "line 3: Own$"),
        ("import json\n\njson.loads('{')", "X", "line 3: JSONDecodeError"),
        ("def f():\n  return f()\nf()", "X", "line 2: RecursionError"),
        (f"{RECIPE}name='x',\nalpha_lr=0.1)", "X", "line 3: alpha_lr is no field of a recipe: it has name"),
        (f"{RECIPE}name='x', outr=())", "X", "line 3: outr is no field of a recipe: did you mean 'outer'"),
        (f"{RECIPE}name='x', epochs=3)", "X", "line 3: epochs is no field of a recipe but a setting: settings="),
        ("from methods.rarts import RartsRecipe\n\nX = RartsRecipe(tiitle='x')", "X", "line 3: .*did you mean 'title'"),
        ("X = 1\x00", "X", "null bytes"),
        ("\xff", "X", "SyntaxError"),
        ("Y = 1", "X", "there is no recipe in it"),
        (
            "from methods.core.recipe import Recipe\nclass Mine(Recipe): ...",
            "Mine",
            "Mine is a class: name an instance",
        ),
        (f"{RECIPE}name=3)", "X", "X: name must be text"),
        (f"{RECIPE}name='x', without=('none',))", "X", "X: without must be a mapping"),
        (f"{RECIPE}name='x', per_space={{'Darts': {{'epochs': 1}}}})", "X", "X: per_space: unknown space 'Darts'"),
        (f"{RECIPE}name='x', relaxation='softmax')", "X", "X: relaxation must be a function"),
        (f"{RECIPE}name='x', outer=len)", "X", "X: outer must be a tuple of functions"),
        (f"{RECIPE}name='x', options=('a',))", "X", "X: options must be a mapping"),
        (f"{RECIPE}name='x', options={{'size': 3}})", "X", "options: size is a setting of every trial"),
        (f"{RECIPE}name='x', options={{'evaluate.cells': 3}})", "X", "evaluate.cells is a setting of every trial"),
        (f"{RECIPE}name=' ')", "X", "name is blank"),
        (f"{RECIPE}name='x', options={{'epochs': 3}})", "X", "epochs is a setting of every search"),
        ("from methods.darts import DARTS_1ST", "DARTS_1ST", "which is taken"),
        ("from methods.darts import DARTS_1ST as MINE", "MIN", "did you mean 'MINE'"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str | None, name: str, said: str) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text, encoding="latin-1" if text == "\xff" else "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        plan(f"{path}:{name}", "s2", "digits", 0)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_helper_of_the_file_that_cannot_be_read_is_told_where_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "broken_helper.py").write_text("\n\n\ndef X(:")
    path = tmp_path / "mine.py"
    path.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport broken_helper")
    with pytest.raises(InputError, match=r"line 3: SyntaxError: .*broken_helper.py, line 4"):
        get_method(f"{path}:X")


def test_a_file_without_the_recipes_name_asks_for_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine\.py: which of its recipes"):
        get_method(str(tmp_path / "mine.py"))


def test_ctrl_c_while_a_file_runs_is_an_interruption(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nsum(range(10**6))")
    with pytest.raises(KeyboardInterrupt):
        get_method(f"{path}:X")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


PIECES = """from dataclasses import dataclass, replace
from functools import partial
import torch
from methods.darts import DARTS_1ST, first_order
from methods.random_search import RandomLearner, RandomSearch

def helper(step):
    raise Own("no\\nsuch", step.epoch)

class Own({kind}): ...

def term(step):
    return helper(step)

def fixed(step, by):
    return helper(step)

class Mine(RandomSearch):
    def learner(self, task):
        return helper(task)

OUTER = replace(DARTS_1ST, name="o", outer=(term,))
PARTIAL = replace(DARTS_1ST, name="p", outer=(partial(fixed, by=2),))
GRADIENT = replace(DARTS_1ST, name="g", gradient=torch.enable_grad()(term))
NONE = replace(DARTS_1ST, name="n", gradient=lambda step: None)
LEARNER = Mine(name="l")
FILES = {{"table": lambda path, space, settings: path.x}}
OPTION = replace(DARTS_1ST, name="f", options={{"table": "here"}}, files=FILES)
"""


def searched(path: Path, name: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    small = [word for setting in ("epochs=1", "images=64", "evaluate.epochs=1") for word in ("--set", setting)]
    arguments = ["search", f"{path}:{name}", "--space", "s2", "--out", str(path.parent / "runs"), *small]
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("OUTER", "Exception", "line 8: outer term: Own: ('no\\nsuch', 0)"),
        ("OUTER", "BaseException", "line 8: outer term: Own: ('no\\nsuch', 0)"),
        ("PARTIAL", "KeyError", "line 8: outer fixed: Own: ('no\\nsuch', 0)"),
        ("GRADIENT", "SystemExit", "line 8: gradient term: Own: ('no\\nsuch', 0)"),
        ("LEARNER", "Exception", "line 8: Mine.learner: AttributeError: 'Task' object has no attribute 'epoch'"),
    ],
)
def test_an_error_in_ones_own_piece_is_a_line_and_a_traceback_of_ones_own_file(
    tmp_path: Path, name: str, kind: str, said: str
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind=kind))
    result = searched(path, name)
    assert result.exit_code == 2
    (first,) = (line for line in result.stderr.splitlines() if line.startswith("dartboard: "))
    assert first == f"dartboard: {path}: {said}"
    trace = result.stderr.partition(first)[2]
    assert re.findall(r'File "(.*?)"', trace) == [str(path)] * 2
    assert "raise Own" in trace


def test_a_method_of_ones_own_that_fails_when_it_is_asked_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    text = "from methods.random_search import RandomSearch\nclass Mine(RandomSearch):\n    def layers(self, space):\n"
    path.write_text(f"{text}        return space.x\nX = Mine(name='x')")
    with pytest.raises(InputError, match=r"line 4: Mine\.layers: AttributeError") as caught:
        get_method(f"{path}:X")
    assert str(caught.value).count(str(path)) == 1
    assert "return space.x" in caught.value.details


def test_what_looks_into_a_file_fails_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind="Exception"))
    result = searched(path, "OPTION")
    assert result.exit_code == 2
    assert f"{path}: line 27: files <lambda>: AttributeError: " in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_piece_that_returns_nothing_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind="Exception"))
    result = searched(path, "NONE")
    assert result.exit_code == 2
    assert f"dartboard: {path}: line 25: n: gradient <lambda> must return a dictionary of tensors" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_error_of_ours_keeps_its_traceback(tmp_path: Path) -> None:
    """Nothing of it came through a file from outside."""
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind="Exception"))
    get_method(f"{path}:OUTER")
    with pytest.raises(ZeroDivisionError), own_errors():
        1 / 0  # noqa: B018


def test_a_study_tells_an_error_of_ones_own_piece_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind="Exception"))
    (failure,) = run_all(
        [plan(f"{path}:OUTER", "s2", "digits", 0, overrides={"epochs": 1, "images": 64})],
        tmp_path / "runs",
        tmp_path,
        jobs=1,
        on_event=lambda event: None,
    )
    assert failure.users
    assert failure.words.splitlines()[0] == f"{path}: line 8: outer term: Own: ('no\\nsuch', 0)"
    assert failure.words.count(str(path)) == 3
