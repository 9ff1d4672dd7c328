"""The command line, end to end: a study is run, reported and compared; whatever is wrong is one line and exit 2."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from suite import commands
from suite.store import HISTORY, RECORD

ALL_SKIP = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])"
)


def dartboard(*arguments: str | Path) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def document(*arguments: str | Path) -> object:
    result = dartboard(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_study_end_to_end(tiny_study: Path, tmp_path: Path) -> None:
    runs, report = tmp_path / "runs", tmp_path / "report"
    first = dartboard("run", tiny_study, "--out", runs, "--jobs", "1", "--report", report)
    assert first.exit_code == 0, first.output
    assert "tiny: 2 trials, 0 finished before, 1 at a time" in first.output
    assert (report / "index.html").is_file()
    assert str(report / "index.html") in first.output
    assert "darts-1st" in first.output
    records = sorted(runs.rglob(RECORD))
    assert len(records) == 2
    stamps = [path.stat().st_mtime_ns for path in records]

    again = document("run", tiny_study, "--out", runs, "--jobs", "1")
    assert again["trials"] == 2  # type: ignore[index]
    assert again["run_now"] == 0  # type: ignore[index]
    assert [path.stat().st_mtime_ns for path in records] == stamps

    compared = document("compare", runs)
    methods = {row["method"] for group in compared["groups"] for row in group["methods"]}  # type: ignore[index]
    assert methods == {"darts-1st", "random"}


def test_a_study_grows_by_what_is_missing(tiny_study: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert dartboard("run", tiny_study, "--out", runs, "--jobs", "1").exit_code == 0
    tiny_study.write_text(tiny_study.read_text().replace("seeds = [0]", "seeds = [0, 1]"))
    grown = document("run", tiny_study, "--out", runs, "--jobs", "1")
    assert (grown["trials"], grown["run_now"]) == (4, 2)  # type: ignore[index]


def test_search_prints_its_record(tiny_npz: Path, tmp_path: Path) -> None:
    record = document(
        "search", "darts-1st", "--dataset", f"npz:{tiny_npz}", "--out", tmp_path, "--set", "epochs=1", "--set",
        "batch_size=8", "--set", "evaluate.epochs=1",
    )  # fmt: skip
    assert isinstance(record, dict)
    assert record["settings"]["epochs"] == 1
    assert record["origin"]["epochs"] == "settings"
    assert record["recipe"]["order within a step"] == "the weights, then alpha"
    assert (tmp_path / record["key"] / HISTORY).is_file()


@pytest.mark.parametrize("what", ["methods", "spaces", "datasets", "protocols", "studies"])
def test_lists(what: str) -> None:
    rows = document("list", what)
    assert rows
    shown = dartboard("list", what)
    assert shown.exit_code == 0


def test_describe_gives_the_published_counts(tmp_path: Path) -> None:
    """DARTS_V2: 3,349,342 parameters on CIFAR-10, 4,718,752 on ImageNet (counted; auxiliary head excluded)."""
    cifar = document("describe", DARTS_V2, "--space", "darts")
    assert cifar["params"] == 3_349_342  # type: ignore[index]
    imagenet = document(
        "describe", DARTS_V2, "--space", "darts", "--channels", "48", "--cells", "14", "--classes", "1000", "--size",
        "224", "--stem", "imagenet",
    )  # fmt: skip
    assert imagenet["params"] == 4_718_752  # type: ignore[index]
    shown = dartboard("describe", ALL_SKIP, "--space", "nats-tss", "--draw", tmp_path / "cells")
    assert shown.exit_code == 0
    assert "73,306 parameters" in shown.output
    assert "<svg" in (tmp_path / "cells" / "cell.svg").read_text()


def test_interrupted_by_ctrl_c_says_how_to_go_on(tiny_study: Path, tmp_path: Path) -> None:
    tiny_study.write_text(tiny_study.read_text().replace("epochs = 4", "epochs = 4000"))
    command = [sys.executable, "-c", "from suite.cli import main; main()", "run", str(tiny_study), "--out"]
    process = subprocess.Popen(
        [*command, str(tmp_path / "runs"), "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 90
    while not list((tmp_path / "runs").rglob("search.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["search", "darts-3rd"], "did you mean"),
        (["search", "darts-1st", "--space", "dart"], "did you mean 'darts'"),
        (["search", "darts-1st", "--dataset", "digit"], "did you mean 'digits'"),
        (["search", "darts-1st", "--protocol", "quik"], "did you mean 'quick'"),
        (["search", "darts-1st", "--set", "epochs"], "KEY=VALUE"),
        (["search", "darts-1st", "--set", "epoch=1"], "did you mean 'epochs'"),
        (["search", "darts-1st", "--set", "epochs=one"], "not of type int"),
        (["search", "darts-1st", "--device", "tpu"], "auto, cpu or cuda"),
        (
            ["search", "darts-1st", "--device", "cpu", "--graphs"],
            "--graphs: CUDA graphs need a GPU, and this trial runs on cpu",
        ),
        (["search", "darts-1st", "--set", "evaluate=2"], "did you mean 'evaluate."),
        (["search", "darts-1st", "--set", "evaluate.momentum=0"], "evaluate.nesterov needs momentum"),
        (["search", "darts-1st", "--set", "threads=99999999999"], "between 1 and 1024"),
        (["search", "darts+es", "--set", "stop_share=2"], "above 0 and at most 1"),
        (["search", "darts-1st", "--dataset", "cifar10", "--data-root", "EMPTY"], "data fetch cifar10"),
        (["search", "darts-1st", "--dataset", "npz:NAN"], "x_train"),
        (["run", "nowhere.toml"], "no such study file"),
        (["run", "quik"], "did you mean 'quick'"),
        (["report", "EMPTY", "--out", "OUT"], "no finished trial"),
        (["compare", "nowhere.csv"], "nowhere.csv"),
        (["describe", "Genotype(normal=[])", "--space", "darts"], "normal"),
        (["describe", ALL_SKIP.replace("skip_connect~2", "skip_conect~2"), "--space", "nats-tss"], "skip_connect"),
        (["describe", ALL_SKIP.replace("connect~2", "connect~5"), "--space", "nats-tss"], "~5"),
        (["describe", DARTS_V2.replace("('skip_connect', 0)", "('skip_connect', 9)"), "--space", "darts"], "9"),
        (["describe", "__import__('os').system('true')", "--space", "darts"], "Genotype"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    x = np.full((8, 8, 8, 1), np.nan, dtype=np.float32)
    y = np.arange(8) % 2
    np.savez(tmp_path / "nan.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    places = {"EMPTY": tmp_path / "empty", "OUT": tmp_path / "out", "npz:NAN": f"npz:{tmp_path / 'nan.npz'}"}
    command = [str(places.get(argument, argument)) for argument in arguments]
    if command[0] == "search":
        command += ["--out", str(tmp_path / "runs")]
    result = dartboard(*command)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "runs").rglob("*.json"))


def test_a_truncated_record_stops_a_run_before_it_starts(tiny_study: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    assert dartboard("run", tiny_study, "--out", runs, "--jobs", "1").exit_code == 0
    victim = next(runs.rglob(RECORD))
    victim.write_bytes(victim.read_bytes()[:50])
    for arguments in (["run", tiny_study, "--out", runs], ["report", runs, "--out", tmp_path / "r"], ["compare", runs]):
        result = dartboard(*arguments)
        assert result.exit_code == 2
        assert str(victim) in result.stderr.replace("\n", "")
    assert not (tmp_path / "r").exists()
