"""Exhibits on the command line: listed, run as studies, their trials resolved."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from methods import METHODS
from reports.exhibits.catalogue import catalogue
from reports.published.published_numbers import numbers
from spaces.common.errors import InputError
from suite import commands
from suite.compute import Compute
from suite.exhibits.exhibit_studies import RUNS, study_of, with_stand_ins
from suite.exhibits.own_exhibits import read_own
from suite.exhibits.solved import is_solved
from suite.plan import plan
from suite.study import Study, read_exhibit

EXHIBITS = catalogue()
RUNNABLE = [name for name, made in EXHIBITS.items() if made.trials and not is_solved(made.trials[0].spaces)]


def dartboard(*arguments: object, code: int = 0) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def test_list_shows_every_exhibit_with_its_state():
    rows = json.loads(dartboard("list", "exhibits", "--json").stdout)
    assert [row["name"] for row in rows] == list(EXHIBITS)
    assert all(row["state"] and row["title"] for row in rows)
    by = {row["name"]: row for row in rows}
    assert "gdas" in by["lambda-darts/table1"]["lacks"]
    assert by["lambda-darts/table1"]["rows"] == "4 of 10"
    assert by["darts-prime/table2"]["state"] == "published numbers only"


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("protocol", ["quick", "cpu", "paper"])
def test_every_trial_of_an_exhibit_can_be_planned(name, protocol):
    found = study_of(name)
    assert found
    for block in found[1].trials:
        for method in block.methods:
            assert method in METHODS
            for space in block.spaces:
                for dataset in block.datasets:
                    probes = dict.fromkeys(block.probes, block.probe_every)
                    plan(
                        method, space, dataset, block.seeds[0], protocol, block.overrides, Compute("cpu"), probes=probes
                    )


def test_a_name_that_is_none_and_one_that_cannot_run():
    with pytest.raises(InputError, match="did you mean 'lambda-darts/table1'"):
        study_of("lambda-darts/tabel1")
    with pytest.raises(InputError, match="darts-prime/table2: nothing can be run for it here: "):
        study_of("darts-prime/table2")
    assert study_of("quick") is None


def test_bundled_images_stand_in_for_missing_ones_but_only_in_the_check(tmp_path):
    study = Study.model_validate(
        {"title": "t", "trials": [{"methods": ["random"], "spaces": ["s1"], "datasets": ["cifar10"], "seeds": [0]}]}
    )
    changed, told = with_stand_ins(study, "quick", tmp_path)
    assert changed.trials[0].datasets == ["digits"]
    assert told == [f"cifar10 is not in the data root {tmp_path}: digits stands in"]
    assert with_stand_ins(study, "cpu", tmp_path) == (study, [])


def test_bundled_images_stand_for_one_data_set(tmp_path):
    block = {"methods": ["random"], "spaces": ["s1"], "datasets": ["cifar10", "svhn"], "seeds": [0]}
    study = Study.model_validate({"title": "t", "trials": [block, {**block, "datasets": ["cifar100"]}]})
    changed, told = with_stand_ins(study, "quick", tmp_path)
    assert [block.datasets for block in changed.trials] == [["digits"]]
    assert [words.rpartition(": ")[2] for words in told] == ["digits stands in", "left out", "left out"]


def test_seeds_can_be_asked_for():
    study = Study.model_validate(
        {"title": "t", "trials": [{"methods": ["random"], "spaces": ["s1"], "datasets": ["digits"], "seeds": [7]}]}
    )
    assert study.with_seeds(3).trials[0].seeds == [0, 1, 2]


BY_HAND = Path(__file__).parents[2] / "by_hand.toml"
EXHIBIT = f"""{BY_HAND.read_text(encoding="utf-8")}
[[trials]]
methods = ["random"]
spaces = ["nats-tss"]
datasets = ["cifar10"]
seeds = [0, 1]
set = {{ epochs = 1 }}

[[claims]]
says = "Random search does not collapse"
kind = "resists"
method = "random"
"""


def test_an_exhibit_of_ones_own_runs_reports_and_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "lambda-darts" / "mine.toml"
    own.parent.mkdir()
    own.write_text(EXHIBIT, encoding="utf-8")
    again = []
    for _ in range(2):
        done = dartboard("run", str(own), "--data-root", str(tmp_path / "none"), "--jobs", "1", "--json")
        again.append(json.loads(done.stdout))
    assert (again[0]["study"], again[0]["run_now"], again[1]["run_now"]) == ("lambda-darts/mine", 2, 0)
    assert again[0]["replaced"]
    assert len([path for path in RUNS.iterdir() if path.is_dir()]) == 2
    assert read_exhibit(own).title == "By hand"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('methods = ["random"]', 'methods = ["randm"]', "did you mean 'random'"),
        ("set = { epochs = 1 }", "set = { epoch = 1 }", "did you mean 'epochs'"),
        ('layout = "methods"', 'layout = "tables"', "layout"),
        ('kind = "resists"', 'kind = "resist"', "claims.1.kind"),
        ('method = "random"', 'method = "rndom"', "did you mean 'random'"),
        ('kind = "resists"', 'kind = "beats"\nagainst = ["random"]\nmetric = "last nocolumn"', "column of the history"),
        ('kind = "resists"', 'kind = "beats"\nagainst = ["random"]\nmetric = "last probe.x.y"', "unknown probe 'x'"),
        ("seeds = [0, 1]", "seeds = [-1]", "trials.1.seeds.1"),
    ],
)
def test_a_bad_exhibit_is_one_line_and_exit_2(tmp_path, old, new, words):
    own = tmp_path / "lambda-darts" / "mine.toml"
    own.parent.mkdir()
    own.write_text(EXHIBIT.replace(old, new), encoding="utf-8")
    done = dartboard("run", str(own), "--out", str(tmp_path / "runs"), code=2)
    assert words in done.stderr
    assert "mine.toml" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_run_and_report_hand_on_an_exhibit_of_ones_own(tmp_path, monkeypatch):
    own, runs = tmp_path / "mine.toml", tmp_path / "runs"
    own.write_text(EXHIBIT, encoding="utf-8")
    shown = []

    def build(results, out, *, own, **_):
        shown.append([exhibit.name for exhibit in own])
        return out / "index.html"

    monkeypatch.setattr("reports.render.build", build)
    monkeypatch.setattr("suite.exhibits.solved.solved", lambda more: None)
    run = [
        "--seeds",
        "1",
        "--out",
        runs,
        "--data-root",
        tmp_path / "none",
        "--jobs",
        "1",
        "--report",
        tmp_path / "report",
        "--json",
    ]
    dartboard("run", own, *run)
    dartboard("report", runs, "--out", tmp_path / "report", "--exhibit", own, "--json")
    dartboard("report", runs, "--out", tmp_path / "report", "--json")
    assert shown == [["lambda-darts/own-mine"], ["lambda-darts/own-mine"], []]


@pytest.mark.slow
def test_a_report_shows_an_exhibit_of_ones_own(tmp_path):
    own, runs, report = tmp_path / "mine.toml", tmp_path / "runs", tmp_path / "report"
    own.write_text(EXHIBIT, encoding="utf-8")
    dartboard("run", own, "--out", runs, "--data-root", tmp_path / "none", "--jobs", "1", "--report", report, "--json")
    page = (report / "papers" / "lambda-darts.html").read_text(encoding="utf-8")
    assert '<h2 id="lambda-darts-own-mine">Table 1 (mine.toml): By hand</h2>' in page
    assert "Random search does not collapse" in page
    assert f"dartboard run {own} --protocol paper" in page
    assert "Table 1 (mine.toml)" in (report / "papers" / "index.html").read_text(encoding="utf-8")
    assert list((report / "tables").glob("lambda-darts-own-mine-*.tex"))
    assert "mine.toml" in (report / "report.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("mine.toml", "title = ", "not a TOML file"),
        ("mine.toml", EXHIBIT.replace('layout = "methods"', 'layout = "tables"'), "layout"),
        ("mine.toml", EXHIBIT.replace('kind = "resists"', 'kind = "resist"'), "claims.1.kind"),
        ("my table.toml", EXHIBIT, "letters, digits and hyphens"),
    ],
)
def test_an_exhibit_of_ones_own_that_is_none_is_one_line(tmp_path, name, text, words):
    own = tmp_path / name
    own.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_own([own])
    assert words in str(caught.value)
    assert str(own) in str(caught.value)
    done = dartboard("report", tmp_path, "--out", tmp_path / "report", "--exhibit", own, code=2)
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_exhibits_of_ones_own_have_names_of_their_own(tmp_path):
    first, second = tmp_path / "a" / "mine.toml", tmp_path / "b" / "mine.toml"
    for path in (first, second):
        path.parent.mkdir()
        path.write_text(EXHIBIT, encoding="utf-8")
    with pytest.raises(InputError, match="has the same name"):
        read_own([first, second])
    with pytest.raises(InputError, match="cannot be read"):
        read_own([tmp_path / "none.toml"])
    (made,) = read_own([first])
    assert made.name not in EXHIBITS
    assert made.cells(numbers()).equals(EXHIBITS["lambda-darts/table1"].cells(numbers()))
