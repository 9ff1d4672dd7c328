"""The landscape, on a table made by a rule so that every answer is known, and on the real one where it is installed."""

import os
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.collapse import landscape
from reports.pages.landscape_page import gather
from reports.records.blocks import blocks
from reports.records.results import Results
from spaces.common.errors import InputError
from spaces.nats.genotype import NatsGenotype
from spaces.tabular.table import BenchmarkTable

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """90 % less 2 a skip-connection, 5 a `none`, and 1 more for a skip-connection on 0->1; validation 10 lower."""
    cells = list(product(OPERATIONS, repeat=6))
    test = [90.0 - 2 * c.count("skip_connect") - 5 * c.count("none") - (c[0] == "skip_connect") for c in cells]
    frame = pd.DataFrame({"architecture": [str(NatsGenotype(cell)) for cell in cells]})
    for columns in landscape.TABULAR_DATASETS.values():
        frame[columns[0]], frame[columns[1]] = test, np.array(test) - 10
    return frame


@pytest.fixture(scope="module")
def composed(table: pd.DataFrame) -> pd.DataFrame:
    return landscape.composition(table)


def test_composition_counts_and_places(composed: pd.DataFrame) -> None:
    row = composed[composed["architecture"] == "|none~0|+|skip_connect~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"].iloc[
        0
    ]
    assert (row["skip_connect"], row["none"]) == (1, 4)
    assert (row["0->2"], row["0->3"], row["2->3"]) == ("skip_connect", "nor_conv_3x3", "none")


def test_by_count(composed: pd.DataFrame) -> None:
    found = landscape.by_count(composed, "cifar10").set_index(["operation", "count"])
    assert found.loc[("skip_connect", 6), "median"] == 77
    assert found.loc[("none", 6), "best"] == 60
    assert found.loc["skip_connect"]["n"].tolist() == [4096, 6144, 3840, 1280, 240, 24, 1]
    assert found.loc[("none", 0), "best"] == 90


def test_by_place(composed: pd.DataFrame) -> None:
    found = landscape.by_place(composed, "cifar100").set_index(["operation", "edge"])["difference"]
    skips = found.loc["skip_connect"]
    assert skips["0->1"] == skips.min() < skips["0->2"]
    assert found.loc["none"].max() < skips.max()


def test_percentile(composed: pd.DataFrame) -> None:
    assert landscape.percentile(composed, "cifar10", 90) == 100
    assert landscape.percentile(composed, "cifar10", 60) == pytest.approx(100 / 5**6)
    assert landscape.percentile(composed, "cifar10", 59.9) == 0


def test_random_search_against_simulation(composed: pd.DataFrame) -> None:
    """Ranked by a validation accuracy that is not the test accuracy, ties included."""
    noisy = composed.copy()
    rng = np.random.default_rng(0)
    noisy["cifar10-valid.valid.12"] = (noisy["cifar10.test.200"] + rng.normal(size=len(noisy)) * 3).round()
    valid, test = (noisy[column].to_numpy() for column in ("cifar10-valid.valid.12", "cifar10.test.200"))
    for budget in (1, 3, 20):
        drawn = rng.integers(0, len(noisy), size=(20_000, budget))
        ties = rng.random(drawn.shape) * 1e-6  # of one rank, any
        best = drawn[np.arange(len(drawn)), (valid[drawn] + ties).argmax(1)]
        error = test[best].std() / np.sqrt(len(best))
        assert landscape.random_search(noisy, "cifar10", budget) == pytest.approx(test[best].mean(), abs=4 * error)
    assert landscape.random_search(composed, "cifar10", 1) == pytest.approx(composed["cifar10.test.200"].mean())


def test_all_skip_lies_below(composed: pd.DataFrame) -> None:
    found = landscape.all_skip(composed, "cifar10", [1, 1000])
    assert found["all_skip"].tolist() == [77, 77]
    assert found["difference"].iloc[1] == pytest.approx(-13, abs=1e-3)


def test_results_and_their_percentiles(table: pd.DataFrame, composed: pd.DataFrame, study) -> None:
    records, _ = study(methods=("a",), spaces=("nats-tss",))
    records = records.assign(dataset="cifar10", accuracy=[90.0, 60.0, 90.0])
    (row,) = landscape.results(composed, blocks(records)).to_dict("records")
    assert row["percentile"] == pytest.approx((100 + 100 / 5**6 + 100) / 3)
    assert row["random"] == landscape.random_search(composed, "cifar10", 4)
    page = gather(table, Results.of(records, pd.DataFrame()))
    assert [drawn.slug for drawn in page.drawn] == ["landscape-cifar10"]
    assert "protocol quick" in page.tables[0].caption
    # Another protocol is another row, never another value in the same mean.
    more = pd.concat([records, records.assign(protocol="cpu", key=records["key"] + "c")])
    assert len(landscape.results(composed, blocks(more))) == 2
    assert gather(table, Results.of(records.assign(dataset="digits"), pd.DataFrame())) is None


def test_a_part_of_the_table_is_refused(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"15,624 of 15,625"):
        landscape.composition(table.iloc[1:])
    holes = table.copy()
    holes.loc[3, "cifar10.test.200"] = np.nan
    with pytest.raises(InputError, match=r"cifar10\.test\.200"):
        landscape.by_count(landscape.composition(holes), "cifar10")


def test_the_real_table() -> None:
    """Published: the best mean test accuracies, and that of all skip-connections (Dong et al., 2021)."""
    table = BenchmarkTable.open(Path(os.environ.get("DARTBOARD_DATA", "/nonexistent")))
    if table is None or len(table) != 5**6:
        pytest.skip("the tabular benchmark is not installed")
    composed = landscape.composition(table.frame)
    far = landscape.all_skip(composed, "cifar10", [1, 100])
    assert far["all_skip"].round(2).tolist() == [54.3, 54.3]
    assert far["random"].is_monotonic_increasing
    assert landscape.percentile(composed, "cifar10", 94.37 + 0.01) == 100
    counts = landscape.by_count(composed, "cifar10").set_index(["operation", "count"])
    assert counts.loc[("skip_connect", 4), "median"] < composed["cifar10.test.200"].median()
