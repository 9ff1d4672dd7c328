"""Exhibits from records made by hand: the numbers and verdicts that come out are those that went in."""

import re
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from reports.exhibits.catalogue import catalogue, read, read_own
from reports.exhibits.exhibit import Exhibit
from reports.exhibits.exhibit_data import filled, parts
from reports.exhibits.exhibit_tables import table
from reports.exhibits.verdicts import SUPPORTED, UNDECIDED, UNMEASURED, UNSUPPORTED, judged
from reports.latex import latex
from reports.pages import papers_page
from reports.published.published_numbers import EXHIBITS, numbers
from spaces import get_space
from spaces.common.errors import InputError

HEALTHY = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"
BY_HAND = Path(__file__).parents[1] / "by_hand.toml"
HEAD = f"""{BY_HAND.read_text(encoding="utf-8")}
[[trials]]
methods = ["darts-1st", "darts-2nd", "darts-minus", "lambda-darts"]
spaces = ["nats-tss"]
datasets = ["cifar10"]
seeds = [0, 1, 2, 3]
"""


def trial(method: str, seed: int, accuracy: float, **changes: Any) -> dict[str, Any]:
    row = {
        "key": f"{method}-{seed}-{changes.get('protocol', 'cpu')}-{changes.get('dataset', 'cifar10')}",
        "method": method,
        "space": "nats-tss",
        "dataset": "cifar10",
        "seed": seed,
        "protocol": "cpu",
        "accuracy": accuracy,
        "evaluation": "tabular",
        "convention": "test accuracy after 200 epochs",
        "genotype": HEALTHY,
        "tabular": {"cifar10.test": accuracy, "cifar10.valid": accuracy - 3, "cifar100.test": accuracy - 20},
        "skip_share": 1 / 6,
        "params": 1_250_000,
        "macs": 180_000_000,
        "search_seconds": 100.0,
        "evaluate_seconds": 0.0,
        "search_steps": 10,
        "epochs": 2,
        "answer_epoch": 2,
        "scale": "cpu: search 2 epochs",
        "device": "cpu: some",
        "engine": "fast, fp32",
        "threads": 1,
        "version": "0",
        "dataset_digest": "d",
        "recipe": {},
        "settings": {"epochs": 2, "channels": 8, "cells": 2, "images": 500, "size": 0},
        "origin": {},
        "environment": {},
    } | changes
    if row["evaluation"] != "tabular":
        row["tabular"] = {}
    return row


def frames(rows: list[dict[str, Any]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    histories = [
        {
            "key": row["key"],
            "method": row["method"],
            "space": row["space"],
            "dataset": row["dataset"],
            "seed": row["seed"],
            "epoch": epoch,
            "genotype": row["genotype"],
            "discrete_accuracy": 50.0,
            "tabular_accuracy": row["accuracy"],
            "probe.alignment.cosine.valid": row["seed"] / 10,
        }
        for row in rows
        for epoch in (1, 2)
    ]
    return pd.DataFrame(rows), pd.DataFrame(histories)


def runs(accuracies: dict[str, list[float]], **changes: Any) -> list[dict[str, Any]]:
    return [trial(method, seed, x, **changes) for method, xs in accuracies.items() for seed, x in enumerate(xs)]


@pytest.fixture
def exhibit(tmp_path: Path):
    def write(text: str = "", head: str = HEAD, paper: str = "lambda-darts") -> Exhibit:
        path = tmp_path / paper / "by-hand.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + text, encoding="utf-8")
        return read(path)

    return write


def cell(frame: pd.DataFrame, label: str, heading: str) -> dict[Any, Any]:
    (found,) = frame[(frame["label"] == label) & (frame["heading"] == heading)].to_dict("records")
    return found


# Filling


CELLS = HEAD.replace('layout = "methods"', 'layout = "cells"').replace('"Table 1"', '"Figure 9"')


def test_beside_cells_stand_the_numbers_that_their_claims_are_judged_by(exhibit):
    """Errors of 40, 39 and 35 % against 7, 5.5 and 6.5 %: their means, and of each drawn cell its own trial's."""
    made = exhibit(
        """
[[claims]]
says = "Λ-DARTS errs less"
kind = "beats"
method = "lambda-darts"
against = ["darts-1st", "darts-minus"]
metric = "test error"

[[claims]]
says = "its layers agree more"
kind = "beats"
method = "lambda-darts"
against = ["darts-1st"]
metric = "last probe.alignment.cosine.valid"
higher = true
""",
        CELLS,
    )
    given = {"darts-1st": [60.0, 61.0, 65.0], "lambda-darts": [93.0, 94.5, 93.5]}
    found = papers_page.gather(*frames(runs(given)), get_space, exhibits=[made])
    ((shown,),) = [paper.exhibits for paper in found.papers]
    (told,) = shown.tables
    rows = {row[0]: row[1:] for row in told.rows()}
    error, aligned = "6.33 ± 0.76", "0.10 ± 0.10"
    scale = "cpu: 2 epochs, C 8, 2 cells a stage, 500 images, cifar10, cpu"
    assert rows == {
        "lambda-darts": [error, "3", aligned, "3", scale],
        "darts-1st": ["38.00 ± 2.65", "3", aligned, "3", scale],
    }
    headings = [column.heading for column in told.columns]
    assert headings == ["Method", "Test error (%)", "Seeds", "Alignment, cosine, valid", "Seeds", "Scale"]
    assert "by which its claims are judged" in told.caption
    captions = {drawn.caption.partition(" of ")[2].partition(",")[0]: drawn.caption for drawn in shown.cells}
    assert ", test error (%) 40.00, alignment, cosine, valid 0.00 (protocol cpu" in captions["darts-1st"]
    assert ", test error (%) 7.00, " in captions["lambda-darts"]


def test_cells_whose_claims_are_on_no_number_have_no_table(exhibit):
    claim = """
[[claims]]
says = "DARTS collapses"
kind = "collapses"
method = "darts-1st"
"""
    found = papers_page.gather(*frames(runs({"darts-1st": [60.0]})), get_space, exhibits=[exhibit(claim, CELLS)])
    ((shown,),) = [paper.exhibits for paper in found.papers]
    assert (shown.tables, len(shown.cells)) == ([], 1)


def test_cells_hold_exactly_what_the_records_say(exhibit):
    given = {"darts-1st": [60.0, 61.0, 65.0], "lambda-darts": [93.0, 94.5, 93.5]}
    made, (records, histories) = exhibit(), frames(runs(given))
    (part,) = parts(made, records, histories)
    found = filled(made, numbers(), part, get_space)
    for label, method in (("DARTS (1st)", "darts-1st"), ("Λ-DARTS - Λ(ω, α)", "lambda-darts")):
        test = cell(found, label, "CIFAR-10 Test")
        assert test["measured"] == pytest.approx(statistics.fmean(given[method]), abs=1e-12)
        assert test["std"] == pytest.approx(statistics.stdev(given[method]), abs=1e-12)
        assert test["n_measured"] == 3
        assert cell(found, label, "CIFAR-10 Valid")["measured"] == pytest.approx(test["measured"] - 3)
        assert cell(found, label, "CIFAR-100 Test")["measured"] == pytest.approx(test["measured"] - 20)
        assert cell(found, label, "ImageNet16-120 Test")["n_measured"] == 0
    # In the table an architecture has the accuracy it has, so this difference means something.
    assert cell(found, "DARTS (1st)", "CIFAR-10 Test")["difference"] == pytest.approx(62 - 54.30)
    assert cell(found, "GDAS", "CIFAR-10 Test")["n_measured"] == 0


def test_the_table_shows_published_measured_seeds_and_scale_in_one_row(exhibit):
    made, (records, histories) = exhibit(), frames(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    (part,) = parts(made, records, histories)
    shown = table(made, filled(made, numbers(), part, get_space), part)
    row = next(row for row in shown.rows() if row[0] == "DARTS (1st)")
    words = dict(zip([(column.group, column.heading) for column in shown.columns], row, strict=True))
    assert words["Published", "CIFAR-10 Test"] == "54.30 ± 0.00"
    assert words["Measured (cpu)", "CIFAR-10 Test"] == "62.00 ± 2.65"
    assert words["Measured − published", "CIFAR-10 Test"] == "+7.70"
    assert words["Published, not measured here", "ImageNet16-120 Test"] == "16.32 ± 0.00"
    assert words["", "Seeds"] == "3"
    assert words["", "Scale"] == "cpu: 2 epochs, C 8, 2 cells a stage, 500 images, cifar10, cpu"
    assert words["", "Published are"] == "mean over searches, n = 4"
    assert "The searches were reduced" in shown.caption


def test_no_difference_at_a_reduced_scale_but_at_the_papers(exhibit):
    made = exhibit()
    for protocol, told in (("cpu", False), ("paper", True)):
        rows = runs({"darts-1st": [60.0, 61.0]}, evaluation="retrained", protocol=protocol)
        records, histories = frames(rows)
        (part,) = parts(made, records, histories)
        found = cell(filled(made, numbers(), part, get_space), "DARTS (1st)", "CIFAR-10 Test")
        assert found["measured"] == 60.5
        assert (found["difference"] == found["difference"]) is told


def test_a_stand_in_is_named_and_fills_only_what_was_searched_on(exhibit):
    made = exhibit()
    rows = runs({"darts-1st": [60.0, 61.0]}, dataset="digits", evaluation="retrained", protocol="quick")
    (part,) = parts(made, *frames(rows))
    assert part.stand_in
    assert "digits in place of" in part.title
    found = filled(made, numbers(), part, get_space)
    test = cell(found, "DARTS (1st)", "CIFAR-10 Test")
    assert (test["measured"], test["n_measured"]) == (60.5, 2)
    assert test["difference"] != test["difference"]
    assert cell(found, "DARTS (1st)", "CIFAR-100 Test")["n_measured"] == 0


def test_scales_are_never_mixed(exhibit):
    made = exhibit()
    rows = runs({"darts-1st": [60.0, 61.0]}) + runs({"darts-1st": [90.0, 91.0]}, protocol="quick")
    longer = [trial("darts-1st", seed, 70.0, key=f"l{seed}") for seed in (0, 1)]
    for row in longer:
        row["settings"] = row["settings"] | {"epochs": 9}
        row["origin"] = {"epochs": "settings"}
    found = parts(made, *frames(rows + longer))
    assert sorted(part.title for part in found) == [
        "protocol cpu, CPU",
        "protocol cpu, CPU, epochs = 9",
        "protocol quick, CPU",
    ]
    means = [cell(filled(made, numbers(), p, get_space), "DARTS (1st)", "CIFAR-10 Test")["measured"] for p in found]
    assert sorted(means) == [60.5, 70.0, 90.5]


def test_trials_that_cannot_be_told_apart_are_not_pooled(exhibit):
    made = exhibit()
    rows = [*runs({"darts-1st": [60.0, 61.0]}), trial("darts-1st", 0, 99.0, key="again", version="1")]
    (part,) = parts(made, *frames(rows))
    found = cell(filled(made, numbers(), part, get_space), "DARTS (1st)", "CIFAR-10 Test")
    assert found["n_measured"] == 0
    assert "3 trials that differ in more than their seed" in found["note"]
    (part,) = parts(made, *frames([*rows, *runs({"lambda-darts": [93.0, 94.0]})]))
    shown = table(made, filled(made, numbers(), part, get_space), part)
    first = [column.group for column in shown.columns].index("Measured (cpu)")
    assert "not pooled (3 trials" in next(row[first] for row in shown.rows() if row[0] == "DARTS (1st)")


def test_a_row_without_a_column_has_nothing_there():
    made = catalogue()["darts-prime/table1"]
    rows = [trial("darts-1st", seed, 60.0 + seed, space="darts", evaluation="retrained") for seed in (0, 1)]
    (part,) = parts(made, *frames(rows))
    cells = filled(made, numbers(), part, get_space)
    lacking = cells.groupby("label")["dataset"].nunique().loc[lambda n: n == 1].index
    assert "DARTS+" in lacking
    assert "nan" not in " ".join(cell for row in table(made, cells, part).rows() for cell in row)


def test_a_row_can_be_a_methods_settings(exhibit):
    text = '\n[rows."DARTS (2nd)"]\nmethod = "darts-1st"\nsettings = { order = "other" }\n'
    rows = runs({"darts-1st": [60.0, 62.0]})
    others = [trial("darts-1st", seed, 80.0, key=f"o{seed}") for seed in (0, 1)]
    for row in others:
        row["settings"] = row["settings"] | {"order": "other"}
    made = exhibit(text)
    (part,) = parts(made, *frames(others + rows))
    found = filled(made, numbers(), part, get_space)
    assert cell(found, "DARTS (2nd)", "CIFAR-10 Test")["measured"] == 80.0


def test_a_grid_has_a_column_a_method():
    made = catalogue()["lambda-darts/table3"]
    assert made.layout == "grid"
    shown = table(made, filled(made, numbers(), None, get_space), None)
    assert [column.heading for column in shown.columns][1:4] == ["DARTS", "PC-DARTS", "R-DARTS"]
    assert len(shown.frame) == 12


def test_records_of_something_else_fill_nothing(exhibit):
    rows = runs({"darts-1st": [60.0]}, space="darts") + runs({"random": [60.0]})
    assert parts(exhibit(), *frames(rows)) == []


# Verdicts

CLEAR = [94.0, 93.5, 93.9, 94.1, 93.8, 93.7, 94.2, 93.6]
LOW = [60.0, 61.0, 65.0, 59.0, 62.0, 61.5, 63.0, 60.5]


def verdict(made: Exhibit, rows: list[dict[str, Any]]) -> dict[Any, Any]:
    records, histories = frames(rows)
    (found,) = judged(made, parts(made, records, histories), get_space).to_dict("records")
    return found


def claim(kind: str, **more: Any) -> str:
    lines = [f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in more.items()]
    return "\n".join(["", "[[claims]]", 'says = "So it is"', f"kind = '{kind}'", "method = 'lambda-darts'", *lines, ""])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (CLEAR, LOW, SUPPORTED),
        (LOW, CLEAR, UNSUPPORTED),
        (CLEAR[:4], LOW[:4], UNDECIDED),  # four pairs: the smallest p is 1/8
        (CLEAR, [x + 0.01 * (-1) ** i for i, x in enumerate(CLEAR)], UNSUPPORTED),  # equally good
    ],
)
def test_beats(exhibit, first, second, expected):
    made = exhibit(claim("beats", against=["darts-1st"]))
    found = verdict(made, runs({"lambda-darts": first, "darts-1st": second}))
    assert found["verdict"] == expected
    assert found["seeds"] == len(first)
    assert found["scale"].startswith("cpu: 2 epochs")


def test_beats_needs_every_one_that_it_names(exhibit):
    made = exhibit(claim("beats", against=["darts-1st", "darts-2nd"]))
    some = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))
    assert some["verdict"] == UNMEASURED
    assert "darts-2nd" in some["why"]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW, "darts-2nd": LOW}))["verdict"] == SUPPORTED
    mixed = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW, "darts-2nd": [x + 5 for x in CLEAR]}))
    assert mixed["verdict"] == UNSUPPORTED


def test_comparisons_of_an_exhibit_are_one_family(exhibit):
    """Six pairs have p = 1/32 at the least: alone it is enough, beside a second comparison it is not."""
    rows = runs({"lambda-darts": CLEAR[:6], "darts-1st": LOW[:6], "darts-2nd": LOW[:6]})
    alone = exhibit(claim("beats", against=["darts-1st"]))
    assert verdict(alone, rows)["verdict"] == SUPPORTED
    both = exhibit(
        claim("beats", against=["darts-1st"])
        + claim("beats", against=["darts-2nd"]).replace("So it is", "So it is, too")
    )
    found = judged(both, parts(both, *frames(rows)), get_space)
    assert list(found["verdict"]) == [UNDECIDED, UNDECIDED]
    assert all("2 comparisons of the exhibit" in why for why in found["why"])


def test_less_of_an_error_is_better(exhibit):
    made = exhibit(claim("beats", against=["darts-1st"], metric="test error"))
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))["verdict"] == SUPPORTED


def test_matches(exhibit):
    made = exhibit(claim("matches", against=["darts-1st"], within=0.5))
    same = [x + 0.1 * (-1) ** i for i, x in enumerate(CLEAR)]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": same}))["verdict"] == SUPPORTED
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))["verdict"] == UNSUPPORTED
    wide = [x + 4 * (-1) ** i for i, x in enumerate(CLEAR)]
    assert verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": wide}))["verdict"] == UNDECIDED


def test_reproduces(exhibit):
    made = exhibit(claim("reproduces", value=94.36, within=0.5))
    assert verdict(made, runs({"lambda-darts": [94.3, 94.4, 94.35, 94.36]}))["verdict"] == SUPPORTED
    assert verdict(made, runs({"lambda-darts": [91.3, 91.4, 91.35, 91.36]}))["verdict"] == UNSUPPORTED
    assert verdict(made, runs({"lambda-darts": [90.0, 98.0]}))["verdict"] == UNDECIDED
    reduced = verdict(made, runs({"lambda-darts": [94.3, 94.4]}, evaluation="retrained"))
    assert (reduced["verdict"], "reduced protocol" in reduced["why"]) == (UNMEASURED, True)


def test_collapses_and_resists(exhibit):
    all_of_it = runs({"lambda-darts": [54.3] * 6}, genotype=SKIPS)
    none_of_it = runs({"lambda-darts": [94.0] * 6})
    for kind, expected in (("collapses", (SUPPORTED, UNSUPPORTED)), ("resists", (UNSUPPORTED, SUPPORTED))):
        made = exhibit(claim(kind))
        assert (verdict(made, all_of_it)["verdict"], verdict(made, none_of_it)["verdict"]) == expected
        assert verdict(made, [*all_of_it[:2], *none_of_it[2:]])["verdict"] == UNDECIDED
        # Five of five come of a fair coin in 2 of 32 cases.
        found = verdict(made, all_of_it[:5])
        assert found["verdict"] == UNDECIDED
        assert "p = 0.062" in found["why"]


def test_costs(exhibit):
    made = exhibit(claim("costs", against=["darts-1st"], value=2.0, within=1.25))
    base = runs({"darts-1st": [60.0] * 4})

    def at(seconds: list[float]) -> list[dict[str, Any]]:
        return [trial("lambda-darts", seed, 60.0, search_seconds=s) for seed, s in enumerate(seconds)]

    assert verdict(made, base + at([200, 205, 195, 200]))["verdict"] == SUPPORTED
    assert verdict(made, base + at([800, 805, 795, 800]))["verdict"] == UNSUPPORTED
    assert verdict(made, base + at([100, 400, 150, 300]))["verdict"] == UNDECIDED


def test_a_probe_at_the_last_epoch(exhibit):
    text = claim("beats", against=["darts-1st"], metric="last probe.alignment.cosine.valid", higher=True)
    made = exhibit(text)
    found = verdict(made, runs({"lambda-darts": CLEAR, "darts-1st": LOW}))
    # Both have the seed's tenth: level, and equivalent.
    assert found["verdict"] == UNSUPPORTED
    assert "level with" in found["why"]


def test_a_claim_without_trials_is_not_measured(exhibit):
    made = exhibit(claim("beats", against=["gdas"]))
    found = judged(made, [], get_space).iloc[0]
    assert found["verdict"] == UNMEASURED


# Bad input


@pytest.mark.parametrize(
    ("text", "head", "words"),
    [
        (claim("beats", against=["darts-first"]), HEAD, "claims.1: unknown method 'darts-first'"),
        (claim("beats", against=["darts-1st"], metric="test acuracy"), HEAD, "did you mean 'test accuracy'"),
        (claim("wins", against=["darts-1st"]), HEAD, "claims.1.kind"),
        (claim("beats"), HEAD, "a claim that beats needs against"),
        (claim("reproduces", value=1.0), HEAD, "needs within"),
        (claim("costs", against=["darts-1st"], value=2.0, within=0.5), HEAD, "must be a factor above 1"),
        ('\n[rows."DARTS (3rd)"]\nmethod = "darts-1st"\n', HEAD, "rows: unknown row 'DARTS (3rd)'"),
        ("", HEAD.replace("lambda-darts", "lamda-darts", 1), "unknown paper 'lamda-darts'"),
        ("", HEAD.replace('"methods"', '"method"'), "layout"),
        ("", HEAD.replace('"methods"', '"sweep"'), "x, y: a sweep needs both"),
        ("", HEAD.replace('"Table 1"', '"Table 99"'), "needs published cells"),
        ("", HEAD.replace("caption", "captoin"), "did you mean 'caption'"),
        ("", HEAD.replace('searched_on = "cifar10"', 'searched_on = "cifar"'), "did you mean 'cifar10'"),
        ("", HEAD.replace('title = "By hand"', 'title = "By hand'), "not a TOML file"),
        ("", HEAD.replace("seeds = [0, 1, 2, 3]", 'seeds = ["a"]'), "trials.1.seeds.1"),
        ("", HEAD.replace("searched_on", 'genotypes = ["DARTS_V9"]\nsearched_on'), "did you mean 'DARTS_V"),
    ],
)
def test_a_bad_exhibit_is_one_clear_line(exhibit, text, head, words):
    with pytest.raises(InputError) as error:
        exhibit(text, head)
    assert "by-hand.toml" in str(error.value)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


# The whole page


def test_names_are_escaped_everywhere(exhibit):
    nasty = r"""<b>&"x"</b> 100 % $y$ =1+1 \input{x}"""
    made = exhibit(claim("beats", against=["darts-1st"]).replace("So it is", "<i>So</i> it is 100 % _so_"))
    made = made.model_copy(update={"title": nasty})
    records, histories = frames(runs({"lambda-darts": CLEAR, "darts-1st": LOW}))
    found = papers_page.gather(records, histories, get_space, {"darts-1st"}, [made])
    text = "".join(latex.tabular(shown) for shown in found.tables)
    assert r"\input{x}" not in text
    assert "100 %" not in text.replace(r"\%", "")
    assert r"\textless{}i\textgreater{}So" in text


def test_every_table_of_the_papers_is_an_exhibit():
    found = {(made.paper, made.published or made.number) for made in catalogue().values()}
    listed = {(paper, name) for paper, exhibits in EXHIBITS.items() for name in exhibits}
    assert listed <= found
    assert sum(made.number.startswith("Table") for made in catalogue().values()) >= 24


def test_an_exhibit_of_ones_own_stands_on_its_papers_page(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(HEAD + claim("resists").replace("'lambda-darts'", "'darts-1st'"), encoding="utf-8")
    records, histories = frames(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    found = papers_page.gather(
        records, histories, get_space, None, [catalogue()["lambda-darts/table1"], read_own(path)]
    )
    (paper,) = found.papers
    bundled, mine = paper.exhibits
    assert mine.exhibit.slug == "lambda-darts-own-mine"
    assert mine.measured
    assert mine.commands[0] == f"dartboard run {path} --protocol cpu --report report"
    assert "Λ-DARTS, Table 1 (mine.toml)" in [row[0] for row in found.listed.rows()]
    assert "Table 1 (mine.toml)" in [row[0] for row in paper.verdicts.rows()]
    # The same cells of the same trials are the same rows.
    assert mine.tables[0].rows() == bundled.tables[0].rows()
    assert mine.tables[0].slug != bundled.tables[0].slug


# What the report solves itself


def solved() -> list[dict[str, Any]]:
    """Two searches of the solvable model as the report makes them: one ends where it is claimed, one does not."""
    names = {"space": "analytic", "dataset": "two losses", "protocol": "paper", "evaluation": "exact"}
    return [trial(method, 0, 0.0, settings={}, key=f"solved {method}", **names) for method in ("darts-1st", "milenas")]


def solved_beside(rows: list[dict[str, Any]]) -> papers_page.Papers:
    made = [catalogue()["lambda-darts/table1"], catalogue()["rarts/figure1"]]
    records, histories = frames([*rows, *solved()])
    ends = {"solved darts-1st": 2.0, "solved milenas": 1.0}
    return papers_page.gather(records, histories.assign(alpha=histories["key"].map(ends)), get_space, None, made)


def numbers_in(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


def test_what_the_report_solved_is_not_counted_as_what_runs_tell():
    """Trials of one method tell of Λ-DARTS's Table 1; the two searches of the model are the report's own."""
    found = solved_beside(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    runs_tell, _, solves = found.headline.partition(papers_page.SOLVED)
    (judged_by_runs,) = (paper.verdicts.frame for paper in found.papers if paper.key == "lambda-darts")
    assert len(judged_by_runs)
    assert f"These runs tell of {len(judged_by_runs)}, " in runs_tell
    assert numbers_in(solves) == [2, 1, 1, 0]  # claims, supported, not supported, undecided
    rows = {(row[0], row[1]): row[2:] for row in found.counts.rows()}
    assert rows["RARTS", "none: solved by the report"][:4] == ["–", "1", "1", "0"]
    assert ("RARTS", "paper") not in rows
    states = {row[0]: row[2] for row in found.listed.rows()}
    assert states == {"Λ-DARTS, Table 1": "measured", "RARTS, Figure 1": "solved by the report"}


def test_runs_that_tell_nothing_are_said_to_although_the_report_solved_something():
    found = solved_beside(runs({"random": [60.0, 61.0]}))
    runs_tell, _, solves = found.headline.partition(papers_page.SOLVED)
    assert "These runs tell of none" in runs_tell
    assert numbers_in(solves) == [2, 1, 1, 0]
    (paper,) = (paper for paper in found.papers if paper.key == "rarts")
    assert "These runs tell of none" in paper.headline
    assert [row[3] for row in paper.verdicts.rows()] == ["–", "–"]  # seeds: nothing is drawn


def test_without_anything_solved_nothing_is_said_of_it(exhibit):
    found = papers_page.gather(
        *frames(runs({"darts-1st": [60.0]})), get_space, exhibits=[exhibit(claim("resists").replace("lambda-", ""))]
    )
    assert papers_page.SOLVED not in found.headline
