"""docs/adding-an-exhibit.md, done: its example runs from the command line, and fills a table of its paper."""

import json
import re
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from reports.exhibits.catalogue import CATALOGUE, catalogue
from reports.exhibits.claim_tests import UNMEASURED
from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_checks import NEEDS
from reports.pages import papers_page
from spaces import get_space
from suite import commands
from suite.exhibits.own_exhibits import read_own
from suite.store import load_frames

PAGE = Path(__file__).parents[3] / "docs" / "adding-an-exhibit.md"


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture
def file(page, tmp_path) -> Path:
    """The page's example in a file of the name that the page says."""
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "darts-or-random.toml"
    path.write_text(example, encoding="utf-8")
    return path


def dartboard(*arguments: object) -> str:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_example_runs_and_stands_behind_its_papers_exhibits(page, file, tmp_path):
    (command,) = re.findall(rf"^dartboard run {file.name} (.*)$", page, re.MULTILINE)
    options = command.removesuffix(" --report report").split()
    out = ["--out", tmp_path / "runs", "--data-root", tmp_path / "none", "--jobs", 1, "--seeds", 1, "--json"]
    assert json.loads(dartboard("run", file, *options, *out))["run_now"] == 2
    (own,) = read_own([file])
    both = [catalogue()["lambda-darts/table1"], own]
    (paper,) = papers_page.gather(*load_frames(tmp_path / "runs"), get_space, exhibits=both).papers
    shown = paper.exhibits[1]
    assert shown.exhibit.number == "Table 1 (darts-or-random.toml)"
    assert shown.exhibit.number in page
    assert shown.measured
    (told,) = shown.tables
    assert "DARTS (1st)" in [row[0] for row in told.rows()]
    assert list(shown.verdicts["claim"]) == [claim.says for claim in own.claims]
    assert UNMEASURED not in set(shown.verdicts["verdict"])


def test_in_the_folder_of_its_paper_the_example_is_in_the_catalogue(file, tmp_path):
    shutil.copytree(CATALOGUE / "lambda-darts", tmp_path / "exhibits" / "lambda-darts")
    shutil.copy(file, tmp_path / "exhibits" / "lambda-darts")
    found = list(catalogue(tmp_path / "exhibits"))
    assert abs(found.index("lambda-darts/darts-or-random") - found.index("lambda-darts/table1")) == 1


def test_the_page_lists_every_key_and_what_each_kind_of_claim_requires(page):
    tables = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    keys = {name for first, _ in tables for name in re.findall(r"`\[*(\w+)", first)}
    declared = {name for name, field in Exhibit.model_fields.items() if not field.exclude}
    assert declared - keys == {"title", "caption"}
    required = {
        kind: set(re.findall(r"`(\w+)`", second)) for first, second in tables for kind in re.findall(r"\w+", first)
    }
    assert all(required[kind] == set(needs) for kind, needs in NEEDS.items())
