"""`dartboard compare` on bad and on awkward CSV files and options."""

import json

import pytest

from suite.commands.results.compared_values import read_csv

HEADER = "method,space,dataset,seed,value\n"
SIX = HEADER + "".join(
    f"{method},darts,cifar10,{seed},{base + seed}\n"
    for method, base in (("darts-1st", 90), ("lambda_darts[x]", 95), ("NA", 90))
    for seed in range(6)
)


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf"])
def test_a_margin_is_a_number_above_zero(dartboard, csv, margin):
    done = dartboard("compare", csv(SIX), "--margin", margin)
    assert done.exit_code == 2
    assert "give a number above 0" in done.stderr


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
def test_awkward_input_is_used_and_said(dartboard, csv, name):
    text, words = BAD_INPUT[name]
    done = dartboard("compare", csv(text), "--paired")
    assert done.exit_code == 0
    assert words in " ".join(done.stdout.split())
    json.loads(dartboard("compare", csv(text), "--paired", "--json").stdout, parse_constant=pytest.fail)


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
        ("method,space,dataset,seed,value, value\na,s,d,0,1,2\n", "column 'value' occurs twice"),
    ],
)
def test_bad_csv_is_one_line_and_exit_2(dartboard, csv, text, words):
    path = csv(text)
    done = dartboard("compare", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"dartboard: {path}: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_bad_options_are_one_line_and_exit_2(dartboard, csv, tmp_path):
    for arguments, words in (
        ((tmp_path / "none.csv",), "no such file or folder"),
        ((csv(SIX), "--baseline", "darts"), "did you mean 'darts-1st'"),
        ((csv(SIX), "--metric", "params"), "unknown metric 'params'"),
        ((csv(SIX), "--better", "more"), "--better more: give higher or lower"),
    ):
        done = dartboard("compare", *arguments)
        assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
        assert words in done.stderr


def test_what_is_amiss_with_names_and_scales_is_said(dartboard, csv):
    path = csv("Method,Seed,Accuracy\nP-DARTS ,0,0.972\nP-DARTS,1,97.0\nPDARTS,0,97.1\nPDARTS,1,97.3\n")
    document = json.loads(dartboard("compare", path, "--json").stdout)
    assert {row["method"] for row in document["groups"][0]["methods"]} == {"P-DARTS", "PDARTS"}
    assert "'P-DARTS ' in line 2" in document["declared"][0]
    names, scales = document["warnings"]
    assert "'P-DARTS' and 'PDARTS'" in names
    assert "0.972 (P-DARTS, line 2) beside 97 (P-DARTS, line 3)" in scales
    shown = " ".join(dartboard("compare", path).stdout.split())
    assert f"Warning: {names}. Warning: {scales}." in shown


def test_blank_lines_and_spaces_after_commas_are_read_over(csv):
    frame = read_csv(csv('\ufeff method, space, dataset, seed, value\n\n"a, b", NA, d, 0, 1\n\n'))
    assert frame.to_dict("records") == [{"method": "a, b", "space": "NA", "dataset": "d", "seed": "0", "value": "1"}]
    assert list(frame.index) == [3]
