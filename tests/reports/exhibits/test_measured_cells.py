"""Published cells filled from records made by hand: the numbers that come out are those that went in."""

import statistics

import pytest

from reports.exhibits.catalogue import catalogue
from reports.exhibits.exhibit_tables import exhibit_table
from reports.exhibits.measured_cells import measured_cells
from reports.exhibits.scale_groups import scale_groups
from reports.published.published_numbers import numbers
from spaces import get_space


def test_cells_hold_exactly_what_the_records_say(exhibit, frames, runs, cell):
    given = {"darts-1st": [60.0, 61.0, 65.0], "lambda-darts": [93.0, 94.5, 93.5]}
    made, (records, histories) = exhibit(), frames(runs(given))
    (group,) = scale_groups(made, records, histories)
    found = measured_cells(made, numbers(), group, get_space)
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


def test_the_table_shows_published_measured_seeds_and_scale_in_one_row(exhibit, frames, runs):
    made, (records, histories) = exhibit(), frames(runs({"darts-1st": [60.0, 61.0, 65.0]}))
    (group,) = scale_groups(made, records, histories)
    shown = exhibit_table(made, measured_cells(made, numbers(), group, get_space), group)
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


def test_no_difference_at_a_reduced_scale_but_at_the_papers(exhibit, frames, runs, cell):
    made = exhibit()
    for protocol, told in (("cpu", False), ("paper", True)):
        rows = runs({"darts-1st": [60.0, 61.0]}, evaluation="retrained", protocol=protocol)
        records, histories = frames(rows)
        (group,) = scale_groups(made, records, histories)
        found = cell(measured_cells(made, numbers(), group, get_space), "DARTS (1st)", "CIFAR-10 Test")
        assert found["measured"] == 60.5
        assert (found["difference"] == found["difference"]) is told


def test_a_stand_in_is_named_and_fills_only_what_was_searched_on(exhibit, frames, runs, cell):
    made = exhibit()
    rows = runs({"darts-1st": [60.0, 61.0]}, dataset="digits", evaluation="retrained", protocol="quick")
    (group,) = scale_groups(made, *frames(rows))
    assert group.stand_in
    assert "digits in place of" in group.title
    found = measured_cells(made, numbers(), group, get_space)
    test = cell(found, "DARTS (1st)", "CIFAR-10 Test")
    assert (test["measured"], test["n_measured"]) == (60.5, 2)
    assert test["difference"] != test["difference"]
    assert cell(found, "DARTS (1st)", "CIFAR-100 Test")["n_measured"] == 0


def test_scales_are_never_mixed(exhibit, trial, frames, runs, cell):
    made = exhibit()
    rows = runs({"darts-1st": [60.0, 61.0]}) + runs({"darts-1st": [90.0, 91.0]}, protocol="quick")
    longer = [trial("darts-1st", seed, 70.0, key=f"l{seed}") for seed in (0, 1)]
    for row in longer:
        row["settings"] = row["settings"] | {"epochs": 9}
        row["origin"] = {"epochs": "settings"}
    rounded = [trial("darts-1st", seed, 80.0, key=f"t{seed}", precision="tf32") for seed in (0, 1)]
    found = scale_groups(made, *frames(rows + longer + rounded))
    assert sorted(group.title for group in found) == [
        "protocol cpu, CPU",
        "protocol cpu, CPU, epochs = 9",
        "protocol cpu, CPU, precision = tf32",
        "protocol quick, CPU",
    ]
    means = [
        cell(measured_cells(made, numbers(), p, get_space), "DARTS (1st)", "CIFAR-10 Test")["measured"] for p in found
    ]
    assert sorted(means) == [60.5, 70.0, 80.0, 90.5]


def test_trials_that_cannot_be_told_apart_are_not_pooled(exhibit, trial, frames, runs, cell):
    made = exhibit()
    rows = [*runs({"darts-1st": [60.0, 61.0]}), trial("darts-1st", 0, 99.0, key="again", version="1")]
    (group,) = scale_groups(made, *frames(rows))
    found = cell(measured_cells(made, numbers(), group, get_space), "DARTS (1st)", "CIFAR-10 Test")
    assert found["n_measured"] == 0
    assert "3 trials that differ in more than their seed" in found["note"]
    (group,) = scale_groups(made, *frames([*rows, *runs({"lambda-darts": [93.0, 94.0]})]))
    shown = exhibit_table(made, measured_cells(made, numbers(), group, get_space), group)
    first = [column.group for column in shown.columns].index("Measured (cpu)")
    assert "not pooled (3 trials" in next(row[first] for row in shown.rows() if row[0] == "DARTS (1st)")


def test_a_row_without_a_column_has_nothing_there(trial, frames):
    made = catalogue()["darts-prime/table1"]
    rows = [trial("darts-1st", seed, 60.0 + seed, space="darts", evaluation="retrained") for seed in (0, 1)]
    (group,) = scale_groups(made, *frames(rows))
    cells = measured_cells(made, numbers(), group, get_space)
    lacking = cells.groupby("label")["dataset"].nunique().loc[lambda n: n == 1].index
    assert "DARTS+" in lacking
    assert "nan" not in " ".join(cell for row in exhibit_table(made, cells, group).rows() for cell in row)


def test_a_row_can_be_a_methods_settings(exhibit, trial, frames, runs, cell):
    text = '\n[rows."DARTS (2nd)"]\nmethod = "darts-1st"\nsettings = { order = "other" }\n'
    rows = runs({"darts-1st": [60.0, 62.0]})
    others = [trial("darts-1st", seed, 80.0, key=f"o{seed}") for seed in (0, 1)]
    for row in others:
        row["settings"] = row["settings"] | {"order": "other"}
    made = exhibit(text)
    (group,) = scale_groups(made, *frames(others + rows))
    found = measured_cells(made, numbers(), group, get_space)
    assert cell(found, "DARTS (2nd)", "CIFAR-10 Test")["measured"] == 80.0


def test_a_grid_has_a_column_a_method():
    made = catalogue()["lambda-darts/table3"]
    assert made.layout == "grid"
    shown = exhibit_table(made, measured_cells(made, numbers(), None, get_space), None)
    assert [column.heading for column in shown.columns][1:4] == ["DARTS", "PC-DARTS", "R-DARTS"]
    assert len(shown.frame) == 12


def test_records_of_something_else_fill_nothing(exhibit, frames, runs):
    rows = runs({"darts-1st": [60.0]}, space="darts") + runs({"random": [60.0]})
    assert scale_groups(exhibit(), *frames(rows)) == []
