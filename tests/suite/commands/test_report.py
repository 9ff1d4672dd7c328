"""`dartboard report` and `dartboard compare` on a folder of runs."""

import json
import math

import pandas as pd
import pytest

from suite.commands.results import report


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A runs folder whose frames are given by hand."""
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_3x3~2|"
    rows = [
        {
            **{"key": f"{method}-{protocol}-{seed}", "method": method, "space": "nats-tss", "dataset": "digits"},
            **{"seed": seed, "protocol": protocol, "accuracy": 80.0 + seed + shift, "evaluation": "retrained"},
            **{"convention": "test", "genotype": cell, "skip_share": 1 / 3, "params": 100_000, "macs": 10_000_000},
            **{"search_seconds": 5.0, "evaluate_seconds": 1.0, "search_steps": 4, "epochs": 2, "scale": "tiny"},
            **{
                "device": "cpu",
                "engine": "fast",
                "threads": 1,
                "version": "0",
                "dataset_digest": "d",
                "recipe": {},
                "settings": {},
            },
            "environment": {"python": "3.11.7"},
        }
        for protocol in ("quick", "cpu")
        for method, shift in (("darts-1st", 0.0), ("random", 2.0))
        for seed in range(3)
    ]
    frames = pd.DataFrame(rows), pd.DataFrame({"key": [], "epoch": []})
    monkeypatch.setattr("suite.store.load_frames", lambda path: frames)
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def no_pages(monkeypatch):
    """Writes no page: `test_run.py` builds a whole report."""
    monkeypatch.setattr("reports.render.build", lambda results, out, **_: out / "index.html")
    monkeypatch.setattr("suite.exhibits.solved.solved", lambda more: None)


def test_runs_are_compared_within_a_protocol(dartboard, runs):
    groups = json.loads(dartboard("compare", runs, "--json").stdout)["groups"]
    assert [group["conditions"] for group in groups] == [
        "protocol cpu (tiny), retrained",
        "protocol quick (tiny), retrained",
    ]
    assert all(group["pairs"][0]["difference"] == pytest.approx(2) for group in groups)
    assert {group["pairs"][0]["margin"] for group in groups} == {0.5}
    assert groups[0]["methods"][0]["noise"] == "search and retraining noise"
    assert groups[0]["methods"][0]["convention"] == "mean over 3 searches: test"
    params = json.loads(dartboard("compare", runs, "--metric", "params", "--json").stdout)["groups"]
    assert params[0]["methods"][0]["mean"] == 100_000
    assert params[0]["pairs"][0]["margin"] is None
    done = dartboard("compare", runs, "--metric", "acuracy")
    assert done.exit_code == 2
    assert "did you mean 'accuracy'" in done.stderr


def test_runs_are_paired_unless_that_is_declined(dartboard, runs):
    (first, _) = json.loads(dartboard("compare", runs, "--json").stdout)["groups"]
    assert first["pairs"][0]["paired"]
    assert first["pairs"][0]["interval"] == "paired t, logit"
    assert first["pairing"][0].startswith(
        "Methods are paired by seed, because trials of one seed share the split of the"
    )
    document = json.loads(dartboard("compare", runs, "--unpaired", "--json").stdout)
    assert not document["groups"][0]["pairs"][0]["paired"]
    assert document["groups"][0]["pairing"] == []
    assert document["declared"][1] == "Seeds are labels: methods are compared unpaired."


def test_a_records_column_says_which_way_it_is_better_or_is_asked(dartboard, runs):
    document = json.loads(dartboard("compare", runs, "--metric", "search_seconds", "--json").stdout)
    assert {group["better"] for group in document["groups"]} == {"lower"}
    assert document["declared"][0] == "Lower is better: the metric is 'search_seconds'."
    done = dartboard("compare", runs, "--metric", "skip_share")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "is it better higher or lower? say --better higher or lower" in done.stderr
    assert dartboard("compare", runs, "--metric", "skip_share", "--better", "lower").exit_code == 0


def test_report_prints_its_path_and_main_tables(dartboard, no_pages, runs, tmp_path):
    done = dartboard("report", runs, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert f"report: {tmp_path / 'out' / 'index.html'}" in done.stdout
    assert "83.00 ± 1.00" in done.stdout


def test_report_as_json(dartboard, no_pages, runs, tmp_path):
    document = json.loads(
        dartboard("report", runs, "--out", tmp_path / "out", "--json").stdout, parse_constant=pytest.fail
    )
    assert document["report"] == str(tmp_path / "out" / "index.html")
    rows = {row["method"]: row for row in document["tables"][0]["rows"]}
    assert (rows["random"]["mean"], rows["random"]["n"]) == (83.0, 3)
    assert rows["darts-1st"]["difference"] is None


def test_build_report_prints_nothing_until_it_is_shown(no_pages, runs, tmp_path, capsys):
    document, show = report.build_report(runs, tmp_path / "out")
    assert capsys.readouterr().out == ""
    assert document["report"] == str(tmp_path / "out" / "index.html")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    show()
    assert "report: " in capsys.readouterr().out


def test_a_record_without_a_number_is_named(dartboard, runs, monkeypatch):
    from suite.store import load_frames

    records, histories = load_frames(runs)
    records.loc[records["key"] == "random-quick-1", "accuracy"] = math.nan
    monkeypatch.setattr("suite.store.load_frames", lambda path: (records, histories))
    for arguments in (("compare", runs), ("report", runs, "--out", runs / "out")):
        done = dartboard(*arguments)
        assert done.exit_code == 2
        assert "record random-quick-1: accuracy is nan, not a finite number" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_registry_is_every_method_as_declared():
    from methods import METHODS

    frame = report.registry().set_index("name")
    assert list(frame.index) == list(METHODS)
    assert frame.loc["lambda-darts", "options"]["lambda"] == 0.25
    assert frame.loc["fixed-deep", "spaces"] == ["darts", "s2", "s3"]
    assert "softmax" in frame.loc["darts-1st", "declaration"]["relaxation"]
