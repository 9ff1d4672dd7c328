"""`dartboard describe` on what it cannot describe, and the help of all commands."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from suite.cli import app
from suite.commands import register

ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
HALF = "[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)" + ", ('skip_connect', 0), ('sep_conv_3x3', 1)" * 3 + "]"
DARTS = f"Genotype(normal={HALF}, normal_concat=[2, 3, 4, 5], reduce={HALF}, reduce_concat=[2, 3, 4, 5])"


def call(*arguments: str | Path) -> Result:
    own = typer.Typer(pretty_exceptions_enable=False)
    register(own)
    return CliRunner().invoke(own, ["describe", *map(str, arguments)])


def complaint(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("dartboard: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_files_that_cannot_be_read_or_written_are_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "bin.dat"
    binary.write_bytes(bytes(range(256)))
    assert f"{binary} cannot be read" in complaint(binary, "--space", "darts")
    for draw in (binary, binary / "below", Path("/proc/x")):
        assert f"{draw}: the drawings cannot be written" in complaint(ALL_SKIP, "--space", "nats-tss", "--draw", draw)
    assert "write Genotype" in complaint("\U0001d706" * 150, "--space", "darts")


@pytest.mark.parametrize("option", ["--channels", "--cells", "--classes", "--size"])
@pytest.mark.parametrize("number", ["0", "-3"])
def test_numbers_start_at_1(option: str, number: str) -> None:
    result = call(ALL_SKIP, "--space", "nats-tss", option, number)
    assert result.exit_code == 2
    assert option in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--stem", "imagenet", "--channels", "1"], "channels: the imagenet stem halves them"),
        (["--cells", "1"], "cells: a network of darts has at least 3"),
        (["--size", "9" * 30], "no darts network of 36 channels"),
        (["--size", "99999999"], "no darts network of 36 channels"),
    ],
)
def test_networks_that_cannot_be_are_one_line(options: list[str], words: str) -> None:
    assert words in complaint(DARTS, "--space", "darts", *options)


def test_the_smallest_numbers_are_taken_as_given() -> None:
    shown = call(ALL_SKIP, "--space", "nats-tss", "--channels", "2", "--cells", "1", "--classes", "1", "--size", "8")
    assert shown.exit_code == 0, shown.output
    assert "at 2 channels, 1 cell a stage, 1 class, 8 x 8" in " ".join(shown.stdout.split())


def test_help_keeps_its_square_brackets() -> None:
    if not app.registered_commands:
        register(app)
    for name, words in (
        ("compare", "[their task's metric]"),
        ("describe", "[as papers train on CIFAR-10]"),
        ("run", "[as many as fit the cores]"),
    ):
        text = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"}).stdout
        assert words in " ".join(text.split())
    assert "[$DARTBOARD_DATA]" in " ".join(CliRunner().invoke(app, ["data", "status", "--help"]).stdout.split())
