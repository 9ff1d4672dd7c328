"""`dartboard compare` on a CSV: the statistics in JSON and in words."""

import json
import math
import re

import pytest
from rich.console import Console

from reports.sentences.numbers import signed
from suite.commands.results import compare

HEADER = "method,space,dataset,seed,value\n"
SIX = HEADER + "".join(
    f"{method},darts,cifar10,{seed},{base + seed}\n"
    for method, base in (("darts-1st", 90), ("lambda_darts[x]", 95), ("NA", 90))
    for seed in range(6)
)


def test_json_holds_the_statistics(dartboard, csv):
    done = dartboard("compare", csv(SIX), "--json")
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


def test_terminal_shows_names_literally_and_says_it_in_words(dartboard, csv):
    done = dartboard("compare", csv(SIX))
    assert done.exit_code == 0
    assert "lambda_darts[x]" in done.stdout
    assert "92.50 ± 1.87" in done.stdout
    words = " ".join(done.stdout.split())
    assert "between NA and darts-1st" in words
    assert words.startswith("Higher is better: assumed for a column 'value'")


WIDE = HEADER + "".join(
    f"{method},darts,cifar10,{seed},{base + seed * step}\n"
    for method, base, step in (("darts-1st", -90, 0.5), ("lambda-darts-outer", 95, 1.75), ("random", 90.25, 2))
    for seed in range(8)
)


@pytest.mark.parametrize("terminal", [True, False])
def test_no_number_and_no_heading_is_cut(csv, monkeypatch, capsys, terminal):
    emitted = []
    monkeypatch.setattr(compare, "emit", lambda found, as_json, show: emitted.append((found, show)))
    compare.compare(csv(WIDE))
    ((document, show),) = emitted
    (group,) = document["groups"]
    for width in (20, 40, 60, 80, 200):
        console = Console(width=width, force_terminal=terminal, no_color=True)
        monkeypatch.setattr("suite.terminal.tables.console", console)
        show()
        shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
        squeezed = "".join(shown.split())
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


def test_too_few_seeds_is_null_in_json_and_said(dartboard, csv):
    done = dartboard("compare", csv(HEADER + "a,s,d,0,1\nb,s,d,0,2\n"), "--json")
    (group,) = json.loads(done.stdout, parse_constant=pytest.fail)["groups"]
    assert group["pairs"][0]["p"] is None
    assert group["methods"][0]["std"] is None
    assert group["against_baseline"] is None
    assert "that allows no test" in group["statements"][0]


def test_equivalence_and_power_in_json(dartboard, csv):
    (group,) = json.loads(dartboard("compare", csv(SIX), "--paired", "--margin", "1", "--json").stdout)["groups"]
    row = next(row for row in group["against_baseline"] if row["method"] == "NA")
    assert (row["margin"], row["difference"]) == (1.0, 0.0)
    assert row["tost_p"] is None  # every pair differs by nothing: no spread, no t
    assert "was not tested: the difference has no spread" in next(
        words for words in group["statements"] if words.startswith("NA against")
    )
    assert [best["value"] for best in group["bests"]] == [95.0, 95.0, 100.0]
    unasked = json.loads(dartboard("compare", csv(SIX), "--json").stdout, parse_constant=pytest.fail)
    assert unasked["margin"] is None
    assert unasked["groups"][0]["pairs"][0]["margin"] is None


def test_method_seed_and_value_are_enough(dartboard, csv):
    text = "method,seed,value\n" + "".join(
        f"{name},{seed},{90 + seed + shift}\n" for name, shift in (("a", 0), ("b", 1)) for seed in range(3)
    )
    done = dartboard("compare", csv(text))
    assert done.exit_code == 0
    assert "b against a: difference +1.00" in done.stdout
    assert "all values: values as given" in done.stdout
    assert "There is one space and data set, so nothing is ranked across several." in done.stdout


def test_across_blocks_in_json_and_in_words(dartboard, csv):
    rows = [
        f"{method},{space},{dataset},{seed},{value + 7 * len(dataset) + seed * 0.1 * value}\n"
        for method, value in (("a", 1), ("b", 2), ("c", 3))
        for space in ("s1", "s2")
        for dataset in ("x", "yy")
        for seed in range(3)
        if (method, space, dataset) != ("c", "s2", "yy")
    ]
    path = csv(HEADER + "".join(rows))
    (view,) = json.loads(dartboard("compare", path, "--json").stdout, parse_constant=pytest.fail)["across"]
    assert view["statements"][0] == "s2 / yy is left out across blocks: it has no trial of c."
    assert view["blocks"] == ["s1 / x", "s1 / yy", "s2 / x"]
    assert [row["method"] for row in view["methods"]] == ["c", "b", "a"]
    assert view["friedman"]["p"] == pytest.approx(1 / 36)
    assert view["critical_difference"] == pytest.approx(2.343701 * math.sqrt(12 / 18), abs=1e-5)
    shown = " ".join(dartboard("compare", path).stdout.split())
    assert "The methods rank significantly differently (Friedman p = 0.028, 3 methods over 3 blocks)." in shown


def test_bests_that_are_given_are_said_and_tested_nowhere(dartboard, csv):
    text = "method,seed,value,convention\na,0,97.1,test\na,1,97.3,test\nb,x,97.5,best of 4\n"
    done = dartboard("compare", csv(text))
    assert done.exit_code == 0
    shown = " ".join(done.stdout.split())
    assert "b: 97.50 is best of 4" in shown
    assert "in no mean and no test" in shown
    assert "One method ran here, so nothing is compared." in shown
    alone = dartboard("compare", csv("method,seed,value,convention\nb,x,97.5,best of 4\n"), "--json")
    (group,) = json.loads(alone.stdout, parse_constant=pytest.fail)["groups"]
    assert group["statements"][0] == "Only bests of several searches are known here, so nothing is compared."


def test_chosen_baseline(dartboard, csv):
    (group,) = json.loads(dartboard("compare", csv(SIX), "--baseline", "NA", "--json").stdout)["groups"]
    assert {row["baseline"] for row in group["against_baseline"]} == {"NA"}


ERRORS = "method,space,dataset,seed,value\n" + "".join(
    f"wd {name},{space},{dataset},{seed},{error + place + seed / 10}\n"
    for place, (space, dataset) in enumerate((("s1", "cifar10"), ("s2", "cifar10"), ("s3", "svhn")))
    for name, error in (("0.3", 12.5), ("0.9", 11.0), ("2.7", 12.0), ("24.3", 16.5))
    for seed in range(3)
)


def test_errors_are_ranked_by_the_lowest(dartboard, csv):
    path = csv(ERRORS)
    document = json.loads(dartboard("compare", path, "--better", "lower", "--baseline", "wd 0.3", "--json").stdout)
    assert document["declared"][0] == "Lower is better: by --better."
    (view,) = document["across"]
    assert [row["method"] for row in view["methods"]] == ["wd 0.9", "wd 2.7", "wd 0.3", "wd 24.3"]
    assert view["methods"][0]["iqm"] == max(row["iqm"] for row in view["methods"])
    assert any(words.startswith("wd 0.9 ranks ahead of wd 24.3") for words in view["statements"])
    group = document["groups"][0]
    assert {row["method"]: row["value"] for row in group["bests"]}["wd 0.3"] == 12.5
    assert [row["a12"] for row in group["against_baseline"]] == [1.0, 1.0, 0.0]
    shown = " ".join(dartboard("compare", path, "--better", "lower").stdout.split())
    assert "s1 / cifar10: values as given, lower is better" in shown
    named = json.loads(dartboard("compare", csv(ERRORS.replace("value", "Error")), "--json").stdout)
    assert named["across"] == [view]
    assert named["groups"][0]["methods"] != group["methods"]  # errors lie between 0 and 100 %


def test_one_method_is_not_compared_with_nothing(dartboard, csv):
    for name in ("a", "darts-1st"):
        shown = dartboard("compare", csv(HEADER + f"{name},s,d,0,1\n{name},s,d,1,2\n")).stdout
        assert "One method ran here, so nothing is compared." in shown
        assert "Holm" not in shown
