"""Whether methods collapse more or less often, by Fisher's exact test."""

import math

import pandas as pd
import pytest

from reports.sentences.contrast_sentences import statements
from reports.statistics.contrasts import LESS, compare_shares
from reports.statistics.significance import holm


def shares(**methods):
    return pd.DataFrame([(name, *counts) for name, counts in methods.items()], columns=["label", "collapsed", "n"])


def test_the_lady_tasting_tea():
    """Fisher, The Design of Experiments, 1935: three of four cups right, p = 34 / 70 two-sided."""
    (row,) = compare_shares(shares(a=(3, 4), b=(1, 4))).to_dict("records")
    assert row["p"] == pytest.approx(34 / 70)
    assert row["verdict"] == "not significant"


def test_a_share_of_collapses_is_tested_against_the_baseline():
    # By hand: of the (16 choose 8) tables with 7 in all, those as extreme as 7 and 0 are 7 and 0, 0 and 7.
    frame = compare_shares(shares(darts=(7, 8), milenas=(5, 8), stopped=(0, 8)), "darts")
    assert list(zip(frame["label"], frame["against"], strict=True)) == [("milenas", "darts"), ("stopped", "darts")]
    assert frame["p"].iloc[1] == pytest.approx(2 * math.comb(8, 7) / math.comb(16, 7))
    assert list(frame["p_holm"]) == pytest.approx(list(holm(frame["p"].to_numpy())))
    assert list(frame["verdict"]) == ["not significant", LESS]
    assert statements(frame)[1].startswith(
        f"stopped against darts: {LESS}; 0 of 8 and 7 of 8 searches collapsed (Fisher"
    )


def test_all_pairs_few_searches_and_none():
    frame = compare_shares(shares(a=(3, 3), b=(0, 3), c=(0, 0)))
    assert list(zip(frame["label"], frame["against"], strict=True)) == [("b", "a"), ("c", "a"), ("c", "b")]
    # Three of three and none of three: 2 of the 20 tables.
    assert frame["p"].iloc[0] == pytest.approx(0.1)
    assert list(frame["verdict"]) == ["too few seeds", "not compared", "not compared"]
    assert set(frame["family"]) == {"1 comparison of all pairs"}
    assert "not compared" in statements(frame)[1]
    assert compare_shares(shares(a=(1, 2))).empty


def test_what_correction_takes_away_is_called_that():
    frame = compare_shares(shares(base=(0, 5), a=(4, 5), b=(5, 5), c=(0, 5), d=(1, 5)), "base")
    row = frame.set_index("label").loc["a"]
    assert row["p"] <= 0.05 < row["p_holm"]
    assert row["verdict"] == "not significant after correction"
