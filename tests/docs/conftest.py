"""A copy of the repository in which a page's instructions are followed."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("spaces", "methods", "suite", "reports", "tests/spaces", "tests/conftest.py", "pyproject.toml")

RUN = """
import shlex, sys
import typer
from typer.testing import CliRunner
from suite import commands

app = typer.Typer()
commands.register(app)

def dartboard(line):
    result = CliRunner().invoke(app, shlex.split(line))
    assert result.exit_code == 0, (line, result.output)
    return result.stdout
"""
"""Defines `dartboard(line)`, which runs a command line in the same process and returns its output."""


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page of `docs`."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def python(checkout: Path, tmp_path: Path) -> Callable[[str], str]:
    """Runs code on the checkout in a new process, in a new folder whose data root is empty, and returns its output."""

    def run(code: str) -> str:
        away = tmp_path / "away"
        away.mkdir(exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": str(checkout), "DARTBOARD_DATA": str(tmp_path / "data")}
        command = [sys.executable, "-c", RUN + code]
        done = subprocess.run(command, cwd=away, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
