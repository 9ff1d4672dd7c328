"""Probes and `dartboard collapse` from outside: what is watched is in the history, verdicts in JSON and in words."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from suite import commands
from suite.store import load_frames


def dartboard(*arguments: str | Path) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def runs(tiny_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two searches of four epochs, one of them watched after every second."""
    folder = tmp_path_factory.mktemp("collapse") / "runs"
    short = ["--set", "epochs=4", "--set", "batch_size=8", "--set", "evaluate.epochs=1", "--out", folder]
    given = ["--dataset", f"npz:{tiny_npz}", *short]
    for seed, watched in ((0, ["--probes", "cell, hessian", "--probe-every", "2"]), (1, [])):
        done = dartboard("search", "darts-1st", "--seed", str(seed), *given, *watched)
        assert done.exit_code == 0, done.output
    return folder


def test_probes_are_columns_of_the_history(runs: Path) -> None:
    records, histories = load_frames(runs)
    assert list(records["probes"]) == [{"cell": 2, "hessian": 2}, {}]
    assert (records["probe_seconds"] > 0).tolist() == [True, False]
    assert (records["study"] == "runs").all()
    watched = histories[histories["seed"] == 0]
    assert watched["probe.hessian.dominant"].notna().tolist() == [False, True, False, True]
    assert histories.loc[histories["seed"] == 1, "probe.hessian.dominant"].isna().all()


def test_json_has_verdicts_shares_and_survival(runs: Path) -> None:
    done = dartboard("collapse", runs, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout, parse_constant=pytest.fail)
    (group,) = found["groups"]
    assert [row["verdict"] in ("collapsed", "healthy") for row in group["trials"]] == [True, True]
    assert group["shares"][0]["n"] == 2
    assert group["survival"][0] == {"label": "darts-1st", "epoch": 0, "at_risk": 2, "events": 0, "survival": 1} | {
        "censored": 0,
        "low": None,
        "high": None,
    }
    assert found["rules"][1]["rule"] == "skips (DARTS+)"
    assert "60 % of the edges" in found["criterion"]


def test_the_threshold_is_the_callers(runs: Path) -> None:
    (group,) = json.loads(dartboard("collapse", runs, "--idle", "0.01", "--json").stdout)["groups"]
    idle = [row["idle"] > 0 for row in group["trials"]]
    assert [row["verdict"] == "collapsed" for row in group["trials"]] == idle


def test_words_for_a_person(runs: Path, tmp_path: Path) -> None:
    done = dartboard("collapse", runs, "--landscape", "--data-root", tmp_path)
    assert done.exit_code == 2
    assert "there is no NATS-Bench table" in done.stderr
    shown = dartboard("collapse", runs)
    assert shown.exit_code == 0, shown.output
    assert "95 % interval of the share" in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "darts-1st", "--probes", "hesian"), "did you mean 'hessian'"),
        (("search", "darts-1st", "--probes", "cell", "--probe-every", "0"), "probe_every = 0"),
        (("search", "darts-1st", "--probe-every", "2"), "--probe-every 2: no probe is named"),
        (("search", "darts-1st", "--probes", " ,", "--probe-every", "2"), "--probe-every 2: no probe is named"),
        (("search", "rarts", "--space", "analytic", "--probes", "cell"), "leave out --probes"),
        (("collapse", "nowhere"), "not a folder of runs"),
    ],
)
def test_what_is_wrong_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    done = dartboard(*arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_idle_is_a_share(runs: Path) -> None:
    done = dartboard("collapse", runs, "--idle", "2")
    assert done.exit_code == 2
    assert "idle = 2.0 must be above 0" in done.stderr


def test_probes_are_listed() -> None:
    found = json.loads(dartboard("list", "probes", "--json").stdout)
    assert {"name": "hessian"}.items() <= next(row for row in found if row["name"] == "hessian").items()
    assert all(row["what"] for row in found)
