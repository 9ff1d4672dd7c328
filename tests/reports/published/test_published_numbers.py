"""The published numbers: their schema, and anchors known from elsewhere than the typed files."""

import shutil

import numpy as np
import pandas as pd
import pytest

from reports.published import published_numbers
from spaces import get_space
from spaces.common.errors import InputError


@pytest.fixture(scope="module")
def numbers():
    return published_numbers.numbers()


@pytest.fixture
def folder(tmp_path):
    """A copy of the data, to be spoilt."""
    return shutil.copytree(published_numbers.DATA, tmp_path / "published")


def cell(numbers, paper, exhibit, row, column, dataset=None):
    found = numbers[(numbers["paper"] == paper) & (numbers["exhibit"] == exhibit)]
    found = found[(found["row"] == row) & (found["column"] == column)]
    if dataset:
        found = found[found["dataset"] == dataset]
    assert len(found) == 1
    return found.iloc[0]


def test_every_exhibit_is_there_and_whole(numbers):
    found = numbers.groupby(["paper", "exhibit"], sort=False).size()
    # Rows times columns, counted in the texts: Table 3 of Λ-DARTS is 12 by 6, Table 6 of RARTS 5 by 2.
    counted = {
        "lambda-darts": (66, 114, 72, 6, 6, 3, 6, 21, 24, 6, 45),
        "amended-darts": (64, 96, 4, 4, 6, 4),
        "darts-prime": (75, 40, 21),
        "pr-darts": (84, 98),
        "rarts": (66, 60, 55, 12, 12, 10),
    }
    for paper, sizes in counted.items():
        assert dict(found[paper]) == dict(zip(published_numbers.EXHIBITS[paper], sizes, strict=True))
    assert list(found.index.get_level_values("paper").unique()) == list(published_numbers.PAPERS)


def test_columns_have_their_types(numbers):
    assert list(numbers.columns)[: len(published_numbers.CSV_COLUMNS)] == list(published_numbers.CSV_COLUMNS)
    assert numbers["number"].dtype == np.float64
    assert numbers["spread"].dtype == np.float64
    assert str(numbers["n"].dtype) == "Int64"
    text = [column for column in published_numbers.CSV_COLUMNS if column not in ("spread", "n")]
    assert all(isinstance(value, str) for value in numbers[text].to_numpy().ravel())


def test_no_cell_stands_there_twice(numbers):
    assert not numbers.duplicated(published_numbers.CELL_KEY).any()


def test_a_spread_needs_a_number_and_a_doubt_its_reason(numbers):
    assert numbers.loc[numbers["spread"].notna(), "number"].notna().all()
    assert numbers.loc[numbers["flag"] != "", "note"].ne("").all()
    assert numbers.loc[numbers["n"].notna(), "convention"].isin({"unstated", "setting"}).sum() == 0


def test_what_the_tables_rest_on_is_read_rightly(numbers):
    # The all-skip cell and the best means of the benchmark, as its table has them.
    skip = numbers[(numbers["paper"] == "lambda-darts") & (numbers["exhibit"] == "Table 1")]
    for order in ("DARTS (1st)", "DARTS (2nd)"):
        assert list(skip.loc[skip["row"] == order, "number"]) == [39.77, 54.30, 15.03, 15.61, 16.43, 16.32]
    assert list(skip.loc[(skip["row"] == "Optimal") & (skip["split"] == "test"), "number"]) == [94.37, 73.51, 47.31]
    misprint = cell(numbers, "pr-darts", "Table 1", "PC-DARTS + cutout", "Test Error (%) C10")
    assert (misprint["number"], misprint["flag"]) == (2.81, "misprint")
    assert cell(numbers, "amended-darts", "Table 1", "PC-DARTS w/ Cutout", "Test Err. (%)")["printed"] == "2.57 ± 0.07"
    assert cell(numbers, "rarts", "Table 1", "PC-DARTS", "Test Error (%)")["number"] == 2.57
    assert cell(numbers, "lambda-darts", "Table 2", "P-DARTS", "CIFAR-10 Test Acc (%)")["number"] == 97.50
    assert cell(numbers, "lambda-darts", "Table 2", "P-DARTS #2", "CIFAR-10 Test Acc (%)")["printed"] == "97.19 ± 0.14"
    prime = cell(numbers, "darts-prime", "Table 1", "DARTS-PRIME", "Test Error (%)", "CIFAR-100")
    assert (prime["number"], prime["spread"], prime["n"], prime["convention"]) == (17.44, 0.57, 4, "mean over searches")
    assert cell(numbers, "rarts", "Table 4", "RARTS", "Error (%)", "CIFAR-10")["number"] == 11.48


def test_published_sizes_agree_with_counted_ones(numbers):
    """Parameters that were counted from the published architectures, in millions, within the rounding of a table."""
    counted = {"darts-2nd": 3.349342, "pc-darts": 3.634678}
    for method, millions in counted.items():
        printed = numbers[(numbers["method"] == method) & (numbers["metric"] == "parameters")]
        printed = printed[(printed["dataset"] == "CIFAR-10") & (printed["space"] == "darts") & (printed["cited"] != "")]
        assert (printed["number"] - millions).abs().max() < 0.06, method


def test_labels_name_methods(numbers):
    unnamed = numbers[numbers["method"] == ""]
    assert set(zip(unnamed["paper"], unnamed["exhibit"], strict=True)) == {("rarts", "Table 2")}
    by_column = numbers[(numbers["paper"] == "lambda-darts") & (numbers["exhibit"] == "Table 3")]
    assert set(by_column["heading"]) == {"S1", "S2", "S3", "S4"}
    assert set(by_column.loc[by_column["role"] == "own", "label"]) == {"Λ-DARTS"}
    for paper in published_numbers.PAPERS:
        assert (numbers.loc[numbers["paper"] == paper, "role"] == "own").any()
        own = numbers[(numbers["paper"] == paper) & (numbers["role"] == "own")]
        assert (own["cited"] == "").all()


def test_every_alias_is_used(numbers):
    used = set(zip(numbers["paper"], numbers["label"], strict=True))
    assert {(row.paper, row.label) for row in published_numbers.method_labels().itertuples()} == used - {
        ("rarts", column)
        for column in ("Latency Weight", "Batch Size", "Learning Rate", "Weight Decay", "Latency (ms)")
    }


@pytest.mark.parametrize("row", published_numbers.genotypes().to_dict("records"), ids=lambda row: row["name"])
def test_published_genotypes_parse(row):
    space = get_space(row["space"])
    found = space.parse(row["genotype"])
    assert str(space.parse(str(found))) == str(found)


@pytest.mark.parametrize(
    ("column", "text", "words"),
    [
        ("paper", "rart", "known: 'lambda-darts'"),
        ("metric", "accuracy", "known: 'test error'"),
        ("convention", "mean", "known: 'mean over searches'"),
        ("space", "s5", "known: 'nats-tss'"),
        ("exhibit", "Table 9", "known: 'Table 1'"),
        ("flag", "odd", "known: ''"),
        ("value", "0.03", "test error lies between 1 and 80"),
        ("value", "3..0", "test error lies between 1 and 80"),
        ("spread", "wide", "write a number or nothing"),
        ("n", "0", "write a number from 1"),
        ("unit", "M", "test error is in '%'"),
    ],
)
def test_a_cell_that_does_not_fit_is_named(folder, column, text, words):
    path = folder / "rarts.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[0, column] = text
    frame.to_csv(path, index=False)
    with pytest.raises(InputError) as caught:
        published_numbers.numbers(folder)
    assert str(caught.value).startswith(f"{path}, line 2: column {column!r} is {text!r}: ")
    assert words in str(caught.value)


def test_a_line_typed_twice_is_named(folder):
    path = folder / "pr_darts.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines, lines[1]]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"pr_darts.csv, line 184: .* the line repeats another's"):
        published_numbers.numbers(folder)


def test_a_missing_column_is_named(folder):
    path = folder / "names.csv"
    pd.read_csv(path).drop(columns="role").to_csv(path, index=False)
    with pytest.raises(InputError, match=r"names.csv: the columns are .*: make them paper, label, method, role, note"):
        published_numbers.method_labels(folder)
