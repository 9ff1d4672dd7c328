"""Methods outside the repository: the files and commands of docs/adding-a-method.md are run, and errors told."""

import json
import re
import signal
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from methods import get_method
from methods.search.external.own_errors import own_errors
from spaces.common.errors import InputError
from suite import commands
from suite.executors.local import run_all
from suite.plan import plan

RECIPE = "from dataclasses import replace\nfrom methods.darts import DARTS_1ST\nX = replace(DARTS_1ST, "
OPTION = f"from methods.search.options import Option\n{RECIPE}"
GUIDE = Path(__file__).parents[3] / "docs" / "adding-a-method.md"


BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """The guide's first file, saved somewhere."""
    assert len(BLOCKS[0].splitlines()) <= 60
    path = tmp_path / "beta_darts.py"
    path.write_text(BLOCKS[0], encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("block", "name", "option", "piece"),
    [(0, "BETA_DARTS", "lambda=25", "beta_decay"), (1, "STOPS_BY_GAP", "largest_gap=5", "wide_gap")],
)
def test_a_file_of_the_guide_runs(tmp_path: Path, block: int, name: str, option: str, piece: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(BLOCKS[block], encoding="utf-8")
    result = searched(path, name, "--set", option, "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["method"] == get_method(f"{path}:{name}").name
    key, value = option.split("=")
    assert record["settings"][key] == float(value)
    assert piece in " ".join(record["recipe"].values())


def test_the_guide_has_no_file_that_no_test_runs() -> None:
    assert len(BLOCKS) == 3


def test_the_guides_command_is_the_commands(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line of its shell blocks, but for the sizes; `tox` is not started."""
    lines = re.findall(r"^dartboard (.*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert lines
    monkeypatch.chdir(outside.parent)
    app = typer.Typer()
    commands.register(app)
    small = ["--set", "epochs=1", "--set", "images=64", "--set", "evaluate.epochs=1", "--out", "runs"]
    for line in lines:
        result = CliRunner().invoke(app, [*line.split(), *small])
        assert result.exit_code == 0, result.output


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
            "from methods.search.recipe import Recipe\nclass Mine(Recipe): ...",
            "Mine",
            "Mine is a class: name an instance",
        ),
        (f"{RECIPE}name=3)", "X", "X: name must be text"),
        (f"{RECIPE}name='x', without=('none',))", "X", "X: without must be a mapping"),
        (f"{RECIPE}name='x', per_space={{'Darts': {{'epochs': 1}}}})", "X", "X: per_space: unknown space 'Darts'"),
        (f"{RECIPE}name='x', relaxation='softmax')", "X", "X: relaxation must be a function"),
        (f"{RECIPE}name='x', outer=len)", "X", "X: outer must be a tuple of functions"),
        (f"{RECIPE}name='x', options=('a',))", "X", "X: options must be a tuple of options"),
        (f"{OPTION}name='x', options=(Option('size', 3, 'S.'),))", "X", "options: size is a setting of every trial"),
        (
            f"{OPTION}name='x', options=(Option('evaluate.cells', 3, 'S.'),))",
            "X",
            "evaluate.cells is a setting of every trial",
        ),
        (f"{RECIPE}name=' ')", "X", "name is blank"),
        (f"{OPTION}name='x', options=(Option('epochs', 3, 'E.'),))", "X", "epochs is a setting of every search"),
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


def test_a_broken_helper_of_the_file_is_reported_at_its_import(tmp_path: Path) -> None:
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
from methods.random_search import RandomSearch
from methods.search.options import Option

def helper(step):
    raise Own("no\\nsuch", step.epoch)

class Own({kind}): ...

def term(step):
    return helper(step)

def fixed(step, by):
    return helper(step)

class Mine(RandomSearch):
    def learner(self, setup):
        return helper(setup)

OUTER = replace(DARTS_1ST, name="o", outer=(term,))
PARTIAL = replace(DARTS_1ST, name="p", outer=(partial(fixed, by=2),))
GRADIENT = replace(DARTS_1ST, name="g", gradient=torch.enable_grad()(term))
NONE = replace(DARTS_1ST, name="n", gradient=lambda step: None)
LEARNER = Mine(name="l")
FILES = {{"table": lambda path, space, settings: path.x}}
OPTION = replace(DARTS_1ST, name="f", options=(Option("table", "here", "A file."),), files=FILES)
"""


def searched(path: Path, name: str, *more: str) -> Result:
    app = typer.Typer()
    commands.register(app)
    small = [word for setting in ("epochs=1", "images=64", "evaluate.epochs=1") for word in ("--set", setting)]
    arguments = ["search", f"{path}:{name}", "--space", "s2", "--out", str(path.parent / "runs"), *small, *more]
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("OUTER", "Exception", "line 9: outer term: Own: ('no\\nsuch', 0)"),
        ("OUTER", "BaseException", "line 9: outer term: Own: ('no\\nsuch', 0)"),
        ("PARTIAL", "KeyError", "line 9: outer fixed: Own: ('no\\nsuch', 0)"),
        ("GRADIENT", "SystemExit", "line 9: gradient term: Own: ('no\\nsuch', 0)"),
        ("LEARNER", "Exception", "line 9: Mine.learner: AttributeError: 'SearchSetup' object has no attribute 'epoch'"),
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


def test_a_method_whose_own_settings_fail_is_refused_before_anything_runs(tmp_path: Path) -> None:
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
    assert f"{path}: line 28: files <lambda>: AttributeError: " in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_piece_that_returns_nothing_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(PIECES.format(kind="Exception"))
    result = searched(path, "NONE")
    assert result.exit_code == 2
    assert f"dartboard: {path}: line 26: n: gradient <lambda> must return a dictionary of tensors" in result.stderr
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
    assert failure.words.splitlines()[0] == f"{path}: line 9: outer term: Own: ('no\\nsuch', 0)"
    assert failure.words.count(str(path)) == 3
