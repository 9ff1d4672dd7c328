"""`dartboard report` and `dartboard compare` from outside: what they print, what they refuse."""

import json
import math
import re

import pandas as pd
import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from reports.sentences.numbers import signed
from suite.commands import compare, report
from suite.commands.results_csv import read_csv

HEADER = "method,space,dataset,seed,value\n"
SIX = HEADER + "".join(
    f"{method},darts,cifar10,{seed},{base + seed}\n"
    for method, base in (("darts-1st", 90), ("lambda_darts[x]", 95), ("NA", 90))
    for seed in range(6)
)


@pytest.fixture
def call():
    app = typer.Typer()
    compare.register(app)
    report.register(app)

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "values.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


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


def test_json_holds_the_statistics(call, csv):
    done = call("compare", csv(SIX), "--json")
    assert done.exit_code == 0
    (group,) = json.loads(done.stdout, parse_constant=pytest.fail)["groups"]
    assert (group["space"], group["dataset"], group["baseline"]) == ("darts", "cifar10", "darts-1st")
    methods = {row["method"]: row for row in group["methods"]}
    assert set(methods) == {"darts-1st", "lambda_darts[x]", "NA"}
    first = methods["darts-1st"]
    assert (first["n"], first["mean"]) == (6, 92.5)
    assert first["std"] == pytest.approx(math.sqrt(3.5))
    # t(0.975, 5) = 2.570582 from a table, on the scale of the logit of 92.5 %
    reach = 2.570582 * math.sqrt(3.5 / 6) / 100 / (0.925 * 0.075)
    assert first["high"] == pytest.approx(100 / (1 + math.exp(-math.log(0.925 / 0.075) - reach)), abs=1e-4)
    assert (group["better"], group["pairing"]) == ("higher", [])
    pair = next(row for row in group["pairs"] if {row["method"], row["baseline"]} == {"lambda_darts[x]", "darts-1st"})
    # Of the 924 ways to choose 6 of 12 values 2 are as far out at either end, as both methods have a 95.
    assert pair["p"] == pytest.approx(4 / 924)
    assert pair["p_holm"] == pytest.approx(3 * 4 / 924)  # the smallest of three
    assert pair["a12"] == pytest.approx(1 - 0.5 / 36)
    assert len(group["pairs"]) == 3
    assert len(group["against_baseline"]) == len(group["statements"]) == 2


def test_terminal_shows_names_literally_and_says_it_in_words(call, csv):
    done = call("compare", csv(SIX))
    assert done.exit_code == 0
    assert "lambda_darts[x]" in done.stdout
    assert "92.50 ± 1.87" in done.stdout
    words = " ".join(done.stdout.split())
    assert "between NA and darts-1st" in words
    assert words.startswith("Higher is better: assumed of a column 'value', --better lower says otherwise.")


WIDE = HEADER + "".join(
    f"{method},darts,cifar10,{seed},{base + seed * step}\n"
    for method, base, step in (("darts-1st", -90, 0.5), ("lambda-darts-outer", 95, 1.75), ("random", 90.25, 2))
    for seed in range(8)
)


def _printed(monkeypatch, capsys, path, width, terminal):
    """What `compare` prints on a console so wide that is a terminal, or is none."""
    monkeypatch.setattr("suite.terminal.tables.console", Console(width=width, force_terminal=terminal, no_color=True))
    compare.compare(path)
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@pytest.mark.parametrize("terminal", [True, False])
def test_no_number_and_no_heading_is_cut(csv, monkeypatch, capsys, terminal):
    path = csv(WIDE)
    document = {}
    monkeypatch.setattr(compare, "emit", lambda found, as_json, show: (document.update(found), show()))
    for width in (20, 40, 60, 80, 200):
        shown = _printed(monkeypatch, capsys, path, width, terminal)
        squeezed = "".join(shown.split())
        (group,) = document["groups"]
        for row in group["pairs"]:
            assert "".join(f"{signed(row['low'])} to {signed(row['high'])}".split()) in squeezed
        for name in ("Verdict", "Difference", "TOST", "(Holm)", "Convention", "Expected"):
            assert name in shown
        assert "…" not in shown
        assert squeezed.count("significantlybetter") or width < 200
        if terminal:
            assert max(map(len, shown.splitlines())) <= max(width, 80)
        else:
            assert " Difference " in shown  # a table still


def test_too_few_seeds_is_null_in_json_and_said(call, csv):
    done = call("compare", csv(HEADER + "a,s,d,0,1\nb,s,d,0,2\n"), "--json")
    (group,) = json.loads(done.stdout, parse_constant=pytest.fail)["groups"]
    assert group["pairs"][0]["p"] is None
    assert group["methods"][0]["std"] is None
    assert group["against_baseline"] is None
    assert "that allows no test" in group["statements"][0]


def test_equivalence_and_power_in_json(call, csv):
    (group,) = json.loads(call("compare", csv(SIX), "--paired", "--margin", "1", "--json").stdout)["groups"]
    row = next(row for row in group["against_baseline"] if row["method"] == "NA")
    assert (row["margin"], row["difference"]) == (1.0, 0.0)
    assert row["tost_p"] is None  # every pair differs by nothing: no spread, no t
    assert "was not tested: the difference has no spread" in next(
        words for words in group["statements"] if words.startswith("NA against")
    )
    assert [best["value"] for best in group["bests"]] == [95.0, 95.0, 100.0]
    unasked = json.loads(call("compare", csv(SIX), "--json").stdout, parse_constant=pytest.fail)
    assert unasked["margin"] is None
    assert unasked["groups"][0]["pairs"][0]["margin"] is None


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf"])
def test_a_margin_is_a_number_above_zero(call, csv, margin):
    done = call("compare", csv(SIX), "--margin", margin)
    assert done.exit_code == 2
    assert "give a number above 0" in done.stderr


def test_method_seed_and_value_are_enough(call, csv):
    text = "method,seed,value\n" + "".join(
        f"{name},{seed},{90 + seed + shift}\n" for name, shift in (("a", 0), ("b", 1)) for seed in range(3)
    )
    done = call("compare", csv(text))
    assert done.exit_code == 0
    assert "b against a: difference +1.00" in done.stdout
    assert "all values: values as given" in done.stdout
    assert "There is one space and data set, so nothing is ranked across several." in done.stdout


def test_across_blocks_in_json_and_in_words(call, csv):
    rows = [
        f"{method},{space},{dataset},{seed},{value + 7 * len(dataset) + seed * 0.1 * value}\n"
        for method, value in (("a", 1), ("b", 2), ("c", 3))
        for space in ("s1", "s2")
        for dataset in ("x", "yy")
        for seed in range(3)
        if (method, space, dataset) != ("c", "s2", "yy")
    ]
    path = csv(HEADER + "".join(rows))
    (view,) = json.loads(call("compare", path, "--json").stdout, parse_constant=pytest.fail)["across"]
    assert view["statements"][0] == "s2 / yy is left out across blocks: it has no trial of c."
    assert view["blocks"] == ["s1 / x", "s1 / yy", "s2 / x"]
    assert [row["method"] for row in view["methods"]] == ["c", "b", "a"]
    assert view["friedman"]["p"] == pytest.approx(1 / 36)
    assert view["critical_difference"] == pytest.approx(2.343701 * math.sqrt(12 / 18), abs=1e-5)
    shown = " ".join(call("compare", path).stdout.split())
    assert "The methods rank significantly differently (Friedman p = 0.028, 3 methods over 3 blocks)." in shown


def test_bests_that_are_given_are_said_and_tested_nowhere(call, csv):
    text = "method,seed,value,convention\na,0,97.1,test\na,1,97.3,test\nb,x,97.5,best of 4\n"
    done = call("compare", csv(text))
    assert done.exit_code == 0
    shown = " ".join(done.stdout.split())
    assert "b: 97.50 is best of 4, not what one search gives, and is in no mean and no test." in shown
    assert "One method ran here, so nothing is compared." in shown
    alone = call("compare", csv("method,seed,value,convention\nb,x,97.5,best of 4\n"), "--json")
    (group,) = json.loads(alone.stdout, parse_constant=pytest.fail)["groups"]
    assert group["statements"][0] == "Only bests of several searches are known here, so nothing is compared."


BAD_INPUT = {
    "one seed": (HEADER + "a,s,d,0,1\nb,s,d,0,2\nb,s,d,1,3\n", "that allows no test"),
    "ties everywhere": (HEADER + "".join(f"{m},s,d,{n},5\n" for m in "ab" for n in range(6)), "All values tie."),
    "no pair": (
        HEADER + "a,s,d,0,1\na,s,d,1,2\nb,s,d,2,3\nb,s,d,3,4\n",
        "Not paired by seed: no seed of b is one of a",
    ),
    "a gap": (HEADER + "a,s,d,0,1\na,s,d,1,2\nb,s,d,0,4\nb,s,d,1,2\nb,s,d,2,2\n", "seed 2 of b has no pair"),
    "elsewhere": (HEADER + "a,s,d,0,1\na,s,d,1,2\nb,s,e,0,3\nb,s,e,1,4\n", "No two methods share two spaces"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_awkward_input_is_used_and_said(call, csv, name):
    text, words = BAD_INPUT[name]
    done = call("compare", csv(text), "--paired")
    assert done.exit_code == 0
    assert words in " ".join(done.stdout.split())
    json.loads(call("compare", csv(text), "--paired", "--json").stdout, parse_constant=pytest.fail)


def test_chosen_baseline(call, csv):
    (group,) = json.loads(call("compare", csv(SIX), "--baseline", "NA", "--json").stdout)["groups"]
    assert {row["baseline"] for row in group["against_baseline"]} == {"NA"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a CSV file that can be read"),
        (HEADER, "no rows"),
        ("method,space,dataset,value\na,s,d,1\n", "column 'seed' is missing"),
        ("method,seed,value,convention\na,0,1,\n", "column 'convention' is empty in line 2"),
        (
            "method,seed,value,convention\na,0,1,best of four\n\na,1,1,mean over searches\n",
            "mean over searches' in line 4",
        ),
        (HEADER + "a,s,d,0,high\n", "column 'value' is 'high'"),
        (HEADER + "a,s,d,0,1\n\n\na,s,d,1,\na,s,d,2,x\n", "in 2 lines (the first: line 5)"),
        (HEADER + '"a\nb",s,d,0,1\na,s,d,1,\n', "in line 4"),
        (HEADER + 'a,s,d,0,1\n"a\nb",s,d,1,\n', "in line 3"),
        (HEADER + "a,s,d,0,\n", "column 'value' is missing"),
        (HEADER + "a,s,d,0,nan\n", "column 'value' is 'nan'"),
        (HEADER + ",s,d,0,1\n", "column 'method' is empty in line 2"),
        (HEADER + "a,s,d,0,1\na,s,d,0,1\n", "has more than one row, line 3 repeated"),
        (HEADER + "a,s,d,0,1\na,s,d,0,1,9,9\n", "line 3 has 7 fields, the first line names 5 columns"),
        (HEADER + "a,s,d,0,1,9\n", "line 2 has 6 fields"),
        (HEADER + "\na,s,d,0\n", "line 3 has 4 fields"),
        (HEADER + 'a,s,d,0,"1\n', "not a CSV file that can be read"),
        ("method,space,dataset,seed,value, value\na,s,d,0,1,2\n", "column 'value' stands there twice"),
    ],
)
def test_bad_csv_is_one_line_and_exit_2(call, csv, text, words):
    path = csv(text)
    done = call("compare", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"dartboard: {path}: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_bad_options_are_one_line_and_exit_2(call, csv, tmp_path):
    for arguments, words in (
        ((tmp_path / "none.csv",), "no such file or folder"),
        ((csv(SIX), "--baseline", "darts"), "did you mean 'darts-1st'"),
        ((csv(SIX), "--metric", "params"), "unknown metric 'params'"),
        ((csv(SIX), "--better", "more"), "--better more: give higher or lower"),
    ):
        done = call("compare", *arguments)
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert words in done.stderr


def test_runs_are_compared_within_a_protocol(call, runs):
    groups = json.loads(call("compare", runs, "--json").stdout)["groups"]
    assert [group["conditions"] for group in groups] == [
        "protocol cpu (tiny), retrained",
        "protocol quick (tiny), retrained",
    ]
    assert all(group["pairs"][0]["difference"] == pytest.approx(2) for group in groups)
    assert {group["pairs"][0]["margin"] for group in groups} == {0.5}
    assert groups[0]["methods"][0]["noise"] == "search and retraining noise"
    assert groups[0]["methods"][0]["convention"] == "mean over 3 searches: test"
    params = json.loads(call("compare", runs, "--metric", "params", "--json").stdout)["groups"]
    assert params[0]["methods"][0]["mean"] == 100_000
    assert params[0]["pairs"][0]["margin"] is None
    done = call("compare", runs, "--metric", "acuracy")
    assert done.exit_code == 2
    assert "did you mean 'accuracy'" in done.stderr


ERRORS = "method,space,dataset,seed,value\n" + "".join(
    f"wd {name},{space},{dataset},{seed},{error + place + seed / 10}\n"
    for place, (space, dataset) in enumerate((("s1", "cifar10"), ("s2", "cifar10"), ("s3", "svhn")))
    for name, error in (("0.3", 12.5), ("0.9", 11.0), ("2.7", 12.0), ("24.3", 16.5))
    for seed in range(3)
)


def test_errors_are_ranked_by_the_lowest(call, csv):
    path = csv(ERRORS)
    document = json.loads(call("compare", path, "--better", "lower", "--baseline", "wd 0.3", "--json").stdout)
    assert document["declared"][0] == "Lower is better: as --better says."
    (view,) = document["across"]
    assert [row["method"] for row in view["methods"]] == ["wd 0.9", "wd 2.7", "wd 0.3", "wd 24.3"]
    assert view["methods"][0]["iqm"] == max(row["iqm"] for row in view["methods"])
    assert any(words.startswith("wd 0.9 ranks ahead of wd 24.3") for words in view["statements"])
    group = document["groups"][0]
    assert {row["method"]: row["value"] for row in group["bests"]}["wd 0.3"] == 12.5
    assert [row["a12"] for row in group["against_baseline"]] == [1.0, 1.0, 0.0]
    shown = " ".join(call("compare", path, "--better", "lower").stdout.split())
    assert "s1 / cifar10: values as given, lower is better" in shown
    named = json.loads(call("compare", csv(ERRORS.replace("value", "Error")), "--json").stdout)
    assert named["across"] == [view]
    assert named["groups"][0]["methods"] != group["methods"]  # errors lie between 0 and 100 %


def test_what_is_amiss_with_names_and_scales_is_said(call, csv):
    path = csv("Method,Seed,Accuracy\nP-DARTS ,0,0.972\nP-DARTS,1,97.0\nPDARTS,0,97.1\nPDARTS,1,97.3\n")
    document = json.loads(call("compare", path, "--json").stdout)
    assert {row["method"] for row in document["groups"][0]["methods"]} == {"P-DARTS", "PDARTS"}
    assert "'P-DARTS ' in line 2" in document["declared"][0]
    names, scales = document["warnings"]
    assert "'P-DARTS' and 'PDARTS'" in names
    assert "0.972 (P-DARTS, line 2) beside 97 (P-DARTS, line 3)" in scales
    shown = " ".join(call("compare", path).stdout.split())
    assert f"Warning: {names}. Warning: {scales}." in shown


def test_runs_are_paired_unless_that_is_declined(call, runs):
    (first, _) = json.loads(call("compare", runs, "--json").stdout)["groups"]
    assert first["pairs"][0]["paired"]
    assert first["pairs"][0]["interval"] == "paired t, logit"
    assert first["pairing"][0].startswith("Methods are paired by seed, as trials of one seed share the split of the")
    document = json.loads(call("compare", runs, "--unpaired", "--json").stdout)
    assert not document["groups"][0]["pairs"][0]["paired"]
    assert document["groups"][0]["pairing"] == []
    assert document["declared"][1] == "Seeds are labels: methods are compared unpaired."


def test_a_records_column_says_which_way_it_is_better_or_is_asked(call, runs):
    document = json.loads(call("compare", runs, "--metric", "search_seconds", "--json").stdout)
    assert {group["better"] for group in document["groups"]} == {"lower"}
    assert document["declared"][0] == "Lower is better: the metric is 'search_seconds'."
    done = call("compare", runs, "--metric", "skip_share")
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert "is it better higher or lower? say --better higher or lower" in done.stderr
    assert call("compare", runs, "--metric", "skip_share", "--better", "lower").exit_code == 0


def test_report_prints_its_path_and_main_tables(call, runs, tmp_path):
    done = call("report", runs, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert f"report: {tmp_path / 'out' / 'index.html'}" in done.stdout
    assert "83.00 ± 1.00" in done.stdout
    assert (tmp_path / "out" / "report.tex").is_file()


def test_report_as_json(call, runs, tmp_path):
    document = json.loads(call("report", runs, "--out", tmp_path / "out", "--json").stdout, parse_constant=pytest.fail)
    assert document["report"] == str(tmp_path / "out" / "index.html")
    rows = {row["method"]: row for row in document["tables"][0]["rows"]}
    assert (rows["random"]["mean"], rows["random"]["n"]) == (83.0, 3)
    assert rows["darts-1st"]["difference"] is None


def test_build_report_prints_nothing_until_it_is_shown(runs, tmp_path, capsys):
    document, show = report.build_report(runs, tmp_path / "out")
    assert capsys.readouterr().out == ""
    assert document["report"] == str(tmp_path / "out" / "index.html")
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    show()
    assert "report: " in capsys.readouterr().out


def test_blank_lines_and_spaces_after_commas_are_read_over(csv):
    frame = read_csv(csv('\ufeff method, space, dataset, seed, value\n\n"a, b", NA, d, 0, 1\n\n'))
    assert frame.to_dict("records") == [{"method": "a, b", "space": "NA", "dataset": "d", "seed": "0", "value": "1"}]
    assert list(frame.index) == [3]


def test_one_method_is_not_compared_with_nothing(call, csv):
    for name in ("a", "darts-1st"):
        shown = call("compare", csv(HEADER + f"{name},s,d,0,1\n{name},s,d,1,2\n")).stdout
        assert "One method ran here, so nothing is compared." in shown
        assert "Holm" not in shown


def test_a_record_without_a_number_is_named(call, runs, monkeypatch):
    from suite.store import load_frames

    records, histories = load_frames(runs)
    records.loc[records["key"] == "random-quick-1", "accuracy"] = math.nan
    monkeypatch.setattr("suite.store.load_frames", lambda path: (records, histories))
    for arguments in (("compare", runs), ("report", runs, "--out", runs / "out")):
        done = call(*arguments)
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
