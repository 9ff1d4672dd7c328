"""Statistics against truth from elsewhere: hand-worked permutations, scipy's quoted values, Holm on paper."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.sentences.comparisons import with_statements
from reports.statistics import intervals, significance
from reports.statistics.comparison import compare, summarise
from reports.statistics.values.frame import LEAST, MOST
from spaces.common.errors import InputError


def frame(**methods):
    """Values of each method at seeds 0, 1, … on one space and data set; a dictionary gives its own seeds.

    Those of one seed share something, so that methods pair.
    """
    rows = []
    for method, values in methods.items():
        pairs = values.items() if isinstance(values, dict) else enumerate(values)
        rows += [(method, "s", "d", seed, value) for seed, value in pairs]
    columns = ["method", "space", "dataset", "seed", "value"]
    return pd.DataFrame(rows, columns=columns).assign(shared="the order of batches")


def told(values, baseline=None, margin=None):
    """The comparison with its statements."""
    return with_statements(compare(values, baseline, margin), values)


def only(table):
    assert len(table) == 1
    return table.iloc[0]


def test_summary_of_a_small_sample_worked_by_hand():
    row = only(summarise(frame(a=[1.0, 2.0, 6.0])))
    assert (row["n"], row["mean"], row["median"], row["min"], row["max"]) == (3, 3.0, 2.0, 1.0, 6.0)
    assert row["std"] == pytest.approx(math.sqrt(7))  # squares 4 + 1 + 9 over n - 1 = 2
    # t(0.975, 2) = 4.302653 from a table, times sqrt(7 / 3)
    assert row["low"] == pytest.approx(3 - 4.302653 * math.sqrt(7 / 3), abs=1e-5)
    assert row["high"] == pytest.approx(3 + 4.302653 * math.sqrt(7 / 3), abs=1e-5)


def test_summary_of_one_seed_has_no_spread():
    row = only(summarise(frame(a=[5.0])))
    assert row["mean"] == 5.0
    assert all(math.isnan(row[name]) for name in ("std", "low", "high"))


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3], 2 / 8),  # only all-plus and all-minus reach a sum of 6
        ([1, 2, -3], 1.0),  # the sum is 0, the centre
        ([4, 3, 2, -1], 4 / 16),  # sums of at least 8: 10 and 8; as many at the other end
        ([5, 1, 1, 1, 1, 1], 2 / 64),
        ([0, 0, 0, 0], 1.0),
    ],
)
def test_sign_flip_counted_by_hand(differences, p):
    test = significance.sign_flip(np.array(differences, dtype=float))
    assert test.p == pytest.approx(p)
    assert test.smallest == 2 / 2 ** len(differences)


def test_sign_flip_agrees_with_wilcoxon_on_ranks():
    # On differences whose sizes are their own ranks both count the same sums; scipy's Wilcoxon is another program.
    differences = np.array([1.0, -2, 3, 4, 5, 6, -7, 8])
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert significance.sign_flip(differences).p == pytest.approx(expected)


def test_relabelling_counted_by_hand():
    # Of the 20 ways to choose 3 of 6 values, only {4, 5, 6} and {1, 2, 3} are as far apart.
    test = significance.relabel(np.array([4.0, 5, 6]), np.array([1.0, 2, 3]))
    assert test.p == pytest.approx(0.1)
    assert test.smallest == pytest.approx(0.1)


def test_many_seeds_are_sampled_reproducibly():
    rng = np.random.default_rng(1)
    differences = rng.normal(0.5, 1, 30)
    first, again = significance.sign_flip(differences), significance.sign_flip(differences)
    assert first == again
    assert "9999 random" in first.name
    assert first.smallest == 2 / 10_000
    assert first.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_holm_worked_by_hand():
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1 = 0.03, 0.04, 0.04; the fourth allows no test and is no part.
    corrected = significance.holm(np.array([0.04, 0.01, np.nan, 0.02]))
    assert corrected[[0, 1, 3]] == pytest.approx([0.04, 0.03, 0.04])
    assert math.isnan(corrected[2])


def test_holm_is_statsmodels():
    p = np.random.default_rng(2).uniform(0, 0.2, 30)
    assert significance.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert len(significance.holm(np.array([]))) == 0


def test_comparison_pairs_by_seed_and_not_by_order():
    values = frame(base={0: 10.0, 1: 20.0, 2: 30.0}, new={2: 31.0, 0: 11.0, 1: 22.0})
    row = only(compare(values, "base"))
    assert row["paired"]
    assert row["difference"] == pytest.approx(4 / 3)
    expected = stats.ttest_rel([11, 22, 31], [10, 20, 30]).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_everything_stands_beside_the_difference():
    base, new = np.array([10.0, 20, 30, 40]), np.array([11.0, 24, 31, 42])
    row = only(compare(frame(base=base, new=new), "base"))
    assert (row["interval"], row["improvement"], row["cliffs_delta"]) == ("paired t", 1.0, 2 * row["a12"] - 1)
    assert row["t_p"] == pytest.approx(stats.ttest_rel(new, base).pvalue)
    assert row["wilcoxon_p"] == pytest.approx(stats.wilcoxon(new - base).pvalue)
    assert (row["bca_low"], row["bca_high"]) == intervals.bca(new - base)
    row = only(compare(frame(base=base, new=dict(enumerate(new, 9))), "base"))
    assert (row["interval"], row["improvement"]) == ("Welch's t", row["a12"])
    assert row["t_p"] == pytest.approx(stats.ttest_ind(new, base, equal_var=False).pvalue)
    assert row["wilcoxon_p"] == pytest.approx(stats.mannwhitneyu(new, base).pvalue)
    assert (row["bca_low"], row["bca_high"]) == intervals.bca(new, base)


def test_conventions_are_columns():
    values = frame(a=[1.0, 2], b=[2.0, 4]).assign(convention=["test"] * 3 + ["valid"], noise="search noise alone")
    rows = summarise(values).set_index("method")
    assert rows.loc["a", "convention"] == "mean over 2 searches: test"
    assert rows.loc["b", "convention"] == "mean over 2 searches: test; valid"
    assert rows.loc["b", "noise"] == "search noise alone"
    assert only(told(values))["conventions"] == ""


def test_values_of_two_conventions_are_compared_with_a_warning():
    values = frame(a=[1.0, 2], b=[2.0, 4]).assign(convention=["last epoch"] * 2 + ["best epoch"] * 2)
    row = only(told(values))
    assert row["statement"].endswith("Their conventions differ: b is best epoch; a is last epoch.")


def test_equivalence_is_a_claim_of_its_own():
    base = np.array([90.0, 91.0, 92.0, 93.0, 94.0, 95.0])
    close = base + np.array([0.1, -0.1, 0.05, -0.05, 0.1, -0.1])
    row = only(told(frame(base=base, new=close), "base", margin=0.5))
    expected = max(
        stats.ttest_1samp(close - base, -0.5, alternative="greater").pvalue,
        stats.ttest_1samp(close - base, 0.5, alternative="less").pvalue,
    )
    assert (row["margin"], row["tost_p"]) == (0.5, pytest.approx(expected))
    assert "They are equivalent within ±0.50 (TOST, Holm p < 0.0001)." in row["statement"]
    row = only(told(frame(base=base, new=close), "base"))
    assert math.isnan(row["margin"])
    assert "quivalen" not in row["statement"]
    low, high = stats.ttest_1samp(close - base, 0).confidence_interval(0.9)
    assert row["equivalent_within"] == pytest.approx(max(-low, high))


def test_equivalence_that_is_not_shown_and_that_could_not_be():
    base = np.arange(6.0)
    near = base + np.array([0.5, 0.3, 0.4, 0.3, 0.4, 0.5])
    assert "Equivalence within ±0.40 is not shown (TOST" in only(told(frame(a=base, b=near), margin=0.4))["statement"]
    wide = only(told(frame(a=base, b=base[::-1]), margin=0.4))
    assert f"it takes a margin of at least ±{wide['attainable_margin']:.2f}." in wide["statement"]
    constant = only(told(frame(a=base, b=base + 1), margin=2))
    assert "Equivalence within ±2.00 was not tested: the difference has no spread." in constant["statement"]


def test_equivalence_is_corrected_over_the_family():
    base = np.array([90.0, 91.0, 92.0, 93.0])
    rows = compare(
        frame(base=base, b=base + np.array([0.2, 0, 0.1, -0.1]), c=base + np.array([0.3, 0.1, 0, 0.2])),
        "base",
        margin=0.4,
    )
    assert list(rows["tost_p_holm"]) == pytest.approx(significance.holm(rows["tost_p"].to_numpy()))
    assert (rows["tost_p_holm"] > rows["tost_p"]).any()


def test_power_is_at_the_strictest_step_of_the_family():
    rng = np.random.default_rng(5)
    values = frame(base=rng.normal(0, 1, 12), b=rng.normal(0.2, 1, 12), c=rng.normal(0.2, 1, 12))
    one, both = told(values.query("method != 'c'"), "base"), told(values, "base")
    assert both.iloc[0]["detectable"] > one.iloc[0]["detectable"]
    assert both.iloc[0]["n_needed"] > one.iloc[0]["n_needed"]
    assert (
        f"a true difference of {both.iloc[0]['detectable']:.2f} is detected with 80 % power"
        in both.iloc[0]["statement"]
    )
    assert f"takes {both.iloc[0]['n_needed']:.0f} seeds of each" in both.iloc[0]["statement"]


def test_seeds_without_a_pair_are_named():
    row = only(told(frame(a={0: 1.0, 1: 2.0, 2: 4.0}, b={1: 2.0, 2: 3.0, 7: 5.0, 8: 6.0})))
    assert row["unmatched"] == "seeds 7, 8 of b have no pair, seed 0 of a has no pair"
    assert f"Not paired by seed: {row['unmatched']}." in row["statement"]
    apart = only(told(frame(a={0: 1.0, 1: 2.0}, b={2: 2.0, 3: 3.0})))
    assert apart["unmatched"] == "no seed of b is one of a"
    many = only(told(frame(a=np.arange(2.0), b=np.arange(9.0))))
    assert many["unmatched"] == "seeds 2, 3, 4, 5, 6 and 2 more of b have no pair"


def test_space_and_data_set_may_be_unstated():
    values = frame(a=[1.0, 2], b=[2.0, 4]).drop(columns=["space", "dataset"])
    assert only(compare(values))["space"] == "not stated"


def test_three_seeds_cannot_reject_and_the_words_say_so():
    row = only(told(frame(base=[1.0, 2, 3], new=[11.0, 12, 14]), "base"))
    assert (row["p"], row["smallest_p"], row["verdict"]) == (0.25, 0.25, "too few seeds")
    assert (
        "n = 3 seeds: the smallest p this test can give is 0.25, so no difference could have been significant."
        in row["statement"]
    )


def test_correction_can_make_enough_seeds_too_few():
    base = np.arange(6.0)
    rows = told(frame(base=base, a=base + 5, b=base + 6 + base / 7), "base")
    assert list(rows["p"]) == pytest.approx([2 / 64] * 2)
    assert list(rows["p_holm"]) == pytest.approx([4 / 64] * 2)
    assert set(rows["verdict"]) == {"not significant after correction"}
    assert "not significant after correction (p = 0.031)" in rows.iloc[0]["statement"]
    assert "Holm p = 0.062" in rows.iloc[0]["statement"]
    assert "With so few seeds no result could have been significant." in rows.iloc[0]["statement"]


def test_significant_in_words_with_its_direction():
    base = np.arange(8.0)
    rows = told(frame(base=base, better=base + 3, worse=base - base / 9 - 2), "base").set_index("method")
    assert rows.loc["better", "verdict"] == "significantly better"
    assert rows.loc["worse", "verdict"] == "significantly worse"
    assert rows.loc["better", "p_holm"] == pytest.approx(2 * 2 / 256)
    assert rows.loc["better", "statement"].startswith("Significant difference: better is better (higher) than base")
    assert "worse is worse (lower) than base" in rows.loc["worse", "statement"]


def test_a_difference_that_is_not_significant_in_words():
    row = only(told(frame(base=[1.0, 2, 3, 4, 5, 6], new=[2.0, 1, 4, 3, 6, 5]), "base"))
    assert row["verdict"] == "not significant"
    assert row["statement"].startswith("No significant difference between new and base: difference +0.00")


def test_ties_everywhere_are_said():
    row = only(told(frame(base=[7.0] * 6, new=[7.0] * 6), "base"))
    assert (row["p"], row["a12"], row["difference"], row["verdict"]) == (1.0, 0.5, 0.0, "not significant")
    assert "All values tie." in row["statement"]


def test_one_seed_allows_no_test_and_stays_outside_the_family():
    values = pd.concat([frame(base=[1.0, 2, 3], new=[2.0, 3, 4]), frame(lone={0: 9.0})])
    rows = told(values, "base").set_index("method")
    assert math.isnan(rows.loc["lone", "p"])
    assert rows.loc["lone", "difference"] == 7.0
    assert "that allows no test" in rows.loc["lone", "statement"]
    assert rows.loc["new", "family"] == "1 comparison with base"


def test_other_seeds_are_compared_unpaired_with_every_value():
    values = frame(base={0: 1.0, 1: 2.0, 2: 3.0}, new={1: 4.0, 2: 5.0, 3: 6.0, 4: 7.0})
    row = only(told(values, "base"))
    assert not row["paired"]
    assert (row["n_method"], row["n_baseline"]) == (4, 3)
    assert row["p"] == pytest.approx(2 / 35)
    assert "n = 4 and 3 seeds, unpaired" in row["statement"]


def test_all_pairs_and_their_family():
    rows = compare(frame(a=[1.0, 2], b=[2.0, 3], c=[3.0, 4]))
    assert list(zip(rows["method"], rows["baseline"], strict=True)) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert set(rows["family"]) == {"3 comparisons of all pairs"}


def test_group_without_the_baseline_is_named():
    values = pd.concat([frame(base=[1.0, 2], new=[2.0, 3]), frame(new=[5.0, 6]).assign(space="elsewhere")])
    row = only(told(values, "base").query("space == 'elsewhere'"))
    assert row["verdict"] == "not compared"
    assert row["statement"] == "new was not compared: base has no trial on elsewhere / d."


def test_a_single_method_gives_an_empty_frame_with_columns():
    rows = told(frame(a=[1.0, 2]))
    assert rows.empty
    assert {"p_holm", "statement"} <= set(rows.columns)


def test_unknown_baseline_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'darts-1st'"):
        compare(frame(**{"darts-1st": [1.0], "random": [2.0]}), "darts-1s")


@pytest.mark.parametrize("column", ["method", "seed", "value"])
def test_missing_column_is_named(column):
    with pytest.raises(InputError, match=f"column '{column}' is missing"):
        summarise(frame(a=[1.0]).drop(columns=column))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.iloc[:0], "no rows"),
        (lambda f: f.assign(value=[1.0, np.nan, 2.0]), "column 'value' is missing for method a, .* seed 1, in row 2"),
        (lambda f: f.assign(value=[1.0, np.inf, 2.0]), "column 'value' is 'inf'"),
        (lambda f: f.assign(value=["1", "2", "high"]), "column 'value' is 'high' .* in row 3"),
        (lambda f: f.assign(seed=[0, None, 2]), "column 'seed' is empty in row 2"),
        (lambda f: f.assign(method=["a", " ", "a"]), "column 'method' is empty in row 2"),
        (lambda f: f.assign(seed=[0, 1, 1]), "seed 1 has more than one row"),
        (lambda f: f.assign(seed=["0", "1", "1.0"]), "seeds '1' and '1.0' are one number in two notations"),
        (
            lambda f: f.assign(value=[1.0, 1e101, 2.0]),
            "column 'value' is '1e\\+101' .* give the values in another unit",
        ),
        (lambda f: f.assign(value=[1.0, -1e-61, 2.0]), "column 'value' is '-1e-61' .* give the values in another unit"),
    ],
)
def test_bad_values_are_refused_not_dropped(change, words):
    with pytest.raises(InputError, match=words):
        summarise(change(frame(a=[1.0, 2.0, 3.0])))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [LEAST, MOST / 8])
def test_the_largest_and_the_smallest_values_have_all_their_numbers(scale):
    steps = [1.0, 2.0, 4.0, 3.0]
    (row,) = compare(frame(a=[scale * x for x in steps], b=[2 * scale * x for x in steps]), margin=scale).to_dict(
        "records"
    )
    numbers = ("difference", "low", "high", "bca_low", "bca_high", "t_p", "wilcoxon_p", "tost_p", "equivalent_within")
    assert all(np.isfinite(row[name]) for name in numbers)
