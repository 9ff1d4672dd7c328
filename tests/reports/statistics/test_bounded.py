"""Percentages and fractions: no interval and no expected best leaves what the values can be."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.statistics import intervals, significance
from reports.statistics.best_of_k import bests, bounded_best, normal_best
from reports.statistics.comparison import compare, summarise

ALL = (0.0, 100.0)
accuracies = st.lists(st.floats(0, 100).map(lambda x: round(x, 2)), min_size=2, max_size=6)


def frame(unit="%", better="higher", **methods):
    rows = [(method, seed, value) for method, values in methods.items() for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["method", "seed", "value"]).assign(unit=unit, better=better)


@settings(max_examples=40, deadline=None)
@given(accuracies, accuracies, st.sampled_from(["higher", "lower"]))
def test_nothing_of_a_percentage_leaves_0_to_100(first, second, better):
    values = frame(better=better, a=first, b=second)
    summary = summarise(values)
    assert summary["low"].between(-1e-9, 100 + 1e-9).all()
    assert summary["high"].between(-1e-9, 100 + 1e-9).all()
    assert (summary["low"] <= summary["mean"] + 1e-9).all()
    assert (summary["mean"] <= summary["high"] + 1e-9).all()
    assert compare(values)[["low", "difference", "high"]].iloc[0].between(-100 - 1e-9, 100 + 1e-9).all()
    expected = bests(values)["expected"]
    assert expected.between(-1e-9, 100 + 1e-9).all()


def test_the_interval_that_left_the_percentages_does_not():
    collapsing = [93.1, 94.0, 12.5, 92.7]
    plain, bounded = summarise(frame(unit="points", a=collapsing)), summarise(frame(a=collapsing))
    assert plain["high"][0] > 100 > bounded["high"][0]
    assert plain["low"][0] < 10 < bounded["low"][0] + 10
    assert bests(frame(unit="points", a=collapsing))["expected"][0] > 100 > bests(frame(a=collapsing))["expected"][0]
    fractions = summarise(frame(unit="fraction", a=[value / 100 for value in collapsing]))
    assert (100 * fractions[["low", "high"]]).to_numpy() == pytest.approx(bounded[["low", "high"]].to_numpy())


def test_errors_are_accuracies_seen_from_the_other_end():
    accurate = frame(a=[93.1, 94.0, 52.5, 92.7], b=[95.2, 96.1, 94.8, 95.9])
    wrong = accurate.assign(value=100 - accurate["value"], better="lower")
    summary, other = summarise(accurate), summarise(wrong)
    assert (100 - other[["high", "low"]]).to_numpy() == pytest.approx(summary[["low", "high"]].to_numpy())
    best, lowest = bests(accurate), bests(wrong)
    columns = ["value", "expected", "expected_common"]
    assert (100 - lowest[columns]).to_numpy() == pytest.approx(best[columns].to_numpy())
    pair, turned = compare(accurate).iloc[0], compare(wrong).iloc[0]
    assert (turned["a12"], turned["verdict"]) == (pair["a12"], pair["verdict"])
    assert (-turned["high"], -turned["low"]) == pytest.approx((pair["low"], pair["high"]))


def test_the_interval_is_that_of_the_logit_by_hand():
    sample = np.array([96.0, 97.0, 98.0])
    # Mean 0.97, standard error 0.01 / sqrt(3), of the logit that over 0.97 * 0.03; t(0.975, 2) = 4.302653.
    reach = 4.302653 * 0.01 / math.sqrt(3) / (0.97 * 0.03)
    ends = [100 / (1 + math.exp(-(math.log(0.97 / 0.03) + side))) for side in (-reach, reach)]
    assert intervals.of_mean(sample, ALL)[1:] == pytest.approx(ends, abs=1e-4)


def test_far_from_the_limits_it_is_students():
    sample = np.array([49.0, 50.5, 51.0, 50.2])
    mean = significance.student(sample)
    assert intervals.of_mean(sample, ALL)[1:] == pytest.approx((mean.low, mean.high), abs=2e-3)


def test_without_limits_spread_or_values_it_is_the_estimates_own():
    mean = significance.student(np.array([97.0, 99.0]))
    assert intervals.bounded(mean, None) == (mean.low, mean.high)
    assert intervals.of_mean(np.full(3, 100.0), ALL) == (100.0, 100.0, 100.0)
    assert all(math.isnan(end) for end in intervals.of_mean(np.array([97.0]), ALL)[1:])


def test_values_that_do_not_keep_to_their_unit_have_no_limits():
    row = summarise(frame(a=[99.0, 101.0, 100.5])).iloc[0]
    assert row["high"] == pytest.approx(significance.student(np.array([99.0, 101.0, 100.5])).high)


@pytest.mark.parametrize(
    ("mean", "std", "k"), [(97, 0.3, 4), (91.2, 1.5, 8), (74.8, 17.5, 8), (99.5, 0.6, 10), (0.5, 1.0, 3)]
)
def test_the_expected_best_is_that_of_simulated_beta_values(mean, std, k):
    share, spread = mean / 100, std / 100
    size = share * (1 - share) / spread**2 - 1
    drawn = 100 * np.random.default_rng(0).beta(share * size, (1 - share) * size, (50_000, k)).max(axis=1)
    error = 4 * drawn.std() / math.sqrt(len(drawn))
    assert bounded_best(mean, std, k, ALL) == pytest.approx(drawn.mean(), abs=error)


def test_the_expected_best_at_its_edges():
    assert bounded_best(97.0, 0.3, 1, ALL) == 97.0
    assert bounded_best(97.0, 0.0, 8, ALL) == 97.0
    assert bounded_best(50.0, 1e-5, 3, ALL) == pytest.approx(normal_best(50.0, 1e-5, 3), abs=1e-9)
    assert bounded_best(50.0, 0.1, 8, ALL) == pytest.approx(normal_best(50.0, 0.1, 8), abs=1e-4)
    # No beta distribution spreads so far: all values at the limits, one in two at the upper.
    assert bounded_best(50.0, 60.0, 3, ALL) == pytest.approx(100 * (1 - 0.5**3))


def test_what_could_be_shown_is_no_more_than_is_possible():
    values = frame(a=[5.0, 95.0, 6.0, 90.0], b=[50.0, 5.0, 96.0, 9.0])
    assert math.isinf(compare(values)["detectable"][0])
    assert 100 < compare(values.assign(unit="points"))["detectable"][0] < math.inf


@pytest.mark.parametrize("shape", [(9, 1), (99 * 2, 2)])
def test_near_its_limit_the_interval_covers_where_students_does_not(shape):
    rng, draws, true = np.random.default_rng(1), 2000, 100 * shape[0] / sum(shape)
    bounded = students = 0
    for _ in range(draws):
        sample = 100 * rng.beta(*shape, 5)
        _, low, high = intervals.of_mean(sample, ALL)
        bounded += low <= true <= high
        mean = significance.student(sample)
        students += mean.low <= true <= mean.high
    assert bounded / draws >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / draws)
    assert bounded > students
