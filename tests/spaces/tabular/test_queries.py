"""Queries of the tabular benchmark: their answers, and what they refuse."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spaces import get_space
from spaces.common.errors import InputError
from spaces.tabular.columns import ALL_SKIP, MEASURES, OPERATIONS, check_architecture
from spaces.tabular.table import Answer, BenchmarkTable, import_table


def test_the_operations_are_those_of_the_space():
    """The table repeats them, so that a query need not import torch."""
    assert get_space("nats-tss").operations == OPERATIONS


def test_no_table_is_none(tmp_path):
    assert BenchmarkTable.open(tmp_path) is None
    assert BenchmarkTable.open(tmp_path / "no-such-folder") is None


def test_an_answer_names_its_data_set_and_source(sample, table):
    answer = table.query(sample.first, "cifar100")
    expected = Answer(60.0, None, 3, "cifar100", "test", 200, "nats_small_tss.csv", 0)
    assert answer == expected
    assert table.query(sample.first, "cifar100", epochs=12).seeds is None


def test_the_valid_split_of_cifar10_is_that_of_its_own_trainings(sample, table):
    answer = table.query(sample.first, "cifar10", split="valid")
    assert (answer.dataset, answer.split) == ("cifar10-valid", "valid")
    assert answer.std == pytest.approx(np.std([59.5, 59.75, 60.75], ddof=1), abs=1e-6)
    assert answer == table.query(sample.first, "cifar10-valid", split="valid")


def test_all_accuracies_of_an_architecture_are_those_of_single_queries(table):
    found = table.accuracies(ALL_SKIP)
    assert found["cifar10.test"] == pytest.approx(54.30)
    assert len(found) == len(MEASURES)
    for name, accuracy in found.items():
        assert accuracy == table.query(ALL_SKIP, *name.split(".")).accuracy


def test_the_frame_holds_all_rows_in_official_order(table):
    frame = table.frame
    assert frame["index"].tolist() == [0, 1651, 1835]
    assert frame.loc[2, "cifar10.test.200"] == pytest.approx(54.30)
    assert frame["cifar10.params"].tolist() == [500_000] * 3
    assert len(table) == 3


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda s: (s.first.replace("nor_conv_1x1", "nor_conv_1x2"), "cifar10"), "did you mean 'nor_conv_1x1'"),
        (lambda s: ("|none~0|+|none~0|none~1|", "cifar10"), "no architecture of nats-tss"),
        (lambda s: (s.none.replace("none~2", "none~3"), "cifar10"), "no architecture of nats-tss"),
        (lambda s: (s.none + "|", "cifar10"), "no architecture of nats-tss"),
        (lambda s: (s.none, "cifar-100"), "did you mean 'cifar100'"),
        (lambda s: (s.none, "cifar10", "train"), "no split 'train' of cifar10"),
        (lambda s: (s.none, "cifar10", "test", 50), "50 epochs"),
        (lambda s: (s.none.replace("none~0", "skip_connect~0"), "cifar10"), "3 of 15,625"),
    ],
)
def test_what_a_query_cannot_answer_is_one_line(sample, table, asked, words):
    with pytest.raises(InputError) as caught:
        table.query(*asked(sample))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_sampled_architectures_pass_the_check(sample):
    for architecture in sample.index:
        check_architecture(architecture)


def test_a_query_needs_neither_torch_nor_pandas(sample, tmp_path):
    import_table(sample.write_csv(tmp_path / "table.csv"), tmp_path)
    code = (
        "import sys; from pathlib import Path; from spaces.tabular.table import BenchmarkTable; "
        f"BenchmarkTable.open(Path({str(tmp_path)!r})).query({ALL_SKIP!r}, 'cifar10'); "
        "print([name for name in ('torch', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


REAL = Path(os.environ.get("DARTBOARD_DATA", "no-such-root"))
BEST = {"cifar10": 94.37, "cifar100": 73.51, "imagenet16-120": 47.31}


@pytest.mark.known
@pytest.mark.skipif(BenchmarkTable.open(REAL) is None, reason="no NATS-Bench table in $DARTBOARD_DATA")
def test_the_real_table_has_the_published_numbers(sample, opened):
    table = opened(REAL)
    if len(table) < 15_625:
        pytest.skip("the table in $DARTBOARD_DATA is a part")
    for dataset, published in BEST.items():
        assert round(table.frame[f"{dataset}.test.200"].max(), 2) == published
        assert round(table.query(ALL_SKIP, dataset).accuracy, 2) == sample.published[f"{dataset}.test"]
    valid = [round(table.query(ALL_SKIP, dataset, "valid").accuracy, 2) for dataset in BEST]
    assert valid == [39.77, 15.03, 16.43]
    assert table.query(sample.none, "cifar10").index == 1651
    assert table.query(sample.none.replace("none", "nor_conv_3x3"), "cifar10").index == 1462
