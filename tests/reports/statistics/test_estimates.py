"""Tests, intervals, equivalence and power of two samples, against R 4.2.2 (the calls are quoted) and against hands."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from reports.statistics import effects, intervals, power, significance
from reports.statistics.equivalence import tost
from reports.statistics.significance import Estimate, Summary, estimate

X, Y = np.array([20.1, 21.4, 19.8, 22.0, 20.7]), np.array([18.0, 20.9, 19.9, 19.2, 20.1])


def test_welch_is_rs():
    # t.test(x, y)
    found = estimate(X, Y, paired=False)
    assert found.difference == pytest.approx(1.18)
    assert (found.p, found.freedom) == pytest.approx((0.1011023, 7.7491494), rel=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.2910974793, 2.6510974793))


def test_students_paired_t_is_rs():
    # t.test(x, y, paired = TRUE)
    found = estimate(X, Y, paired=True)
    assert found.p == pytest.approx(0.09569389, rel=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.3290177098, 2.6890177098))


def test_welch_from_summaries_is_scipys():
    # scipy 1.17: stats.ttest_ind_from_stats(97.5, 0.14, 4, 97.2, 0.09, 3, equal_var=False)
    ours, theirs = Summary(97.5, 0.14, 4), Summary(97.2, 0.09, 3)
    found = significance.welch(ours, theirs)
    assert found.difference == pytest.approx(0.3)
    assert found.p == pytest.approx(0.018656162955489962)
    again = significance.welch(theirs, ours)
    assert (again.p, again.low, again.high) == pytest.approx((found.p, -found.high, -found.low))


def test_summary_of_a_sample():
    assert Summary.of(np.array([1.0, 2, 6])) == Summary(3.0, pytest.approx(math.sqrt(7)), 3)


@pytest.mark.parametrize(("std", "n"), [(math.nan, 1), (0.2, 1), (math.nan, 4)])
def test_welch_without_a_spread_gives_no_test(std, n):
    found = significance.welch(Summary(97.5, std, n), Summary(97.2, 0.1, 4))
    assert found.difference == pytest.approx(0.3)
    assert all(math.isnan(value) for value in (found.low, found.high, found.p, found.freedom))


@pytest.mark.parametrize("paired", [True, False])
def test_constants_cannot_be_tested(paired):
    found = estimate(np.full(3, 2.0), np.full(3, 1.0), paired)
    assert (found.low, found.high) == (1.0, 1.0)
    assert math.isnan(found.p)
    equivalent = tost(found, 2.0)
    assert math.isnan(equivalent.p)
    assert (equivalent.within, equivalent.attainable) == (1.0, 0.0)
    assert math.isnan(power.detectable(found, (3, 3), paired, 0.05))
    assert math.isnan(power.needed(found, (3, 3), paired, 0.05))


def test_wilcoxon_is_rs():
    # wilcox.test(x, y, paired = TRUE), exact; wilcox.test(x, y), which approximates as two values tie
    assert significance.ranks(X, Y, paired=True) == pytest.approx(0.125)
    assert significance.ranks(X, Y, paired=False) == pytest.approx(0.1732171126)


def test_rank_sum_counted_by_hand():
    # Of the 20 ways to choose 3 of 6 ranks two are as far out.
    assert significance.ranks(np.array([4.0, 5, 6]), np.array([1.0, 2, 3]), paired=False) == pytest.approx(0.1)


def test_wilcoxon_where_nothing_can_be_ranked():
    assert significance.ranks(np.ones(4), np.ones(4), paired=True) == 1.0
    assert significance.ranks(np.ones(4), np.ones(4), paired=False) == 1.0
    assert math.isnan(significance.ranks(np.ones(1), np.ones(4), paired=False))


def test_bca_is_efrons_formula_over_every_resample():
    """All 4^4 resamples, z0 and the acceleration written out: another program than scipy's sampling."""
    sample = np.array([1.0, 2.0, 4.0, 9.0])
    means = np.sort([np.mean(drawn) for drawn in itertools.product(sample, repeat=4)])
    middle = (np.mean(means < sample.mean()) + np.mean(means <= sample.mean())) / 2
    z0 = stats.norm.ppf(middle)
    jackknife = np.array([np.delete(sample, i).mean() for i in range(4)])
    pull = jackknife.mean() - jackknife
    acceleration = (pull**3).sum() / (6 * (pull**2).sum() ** 1.5)
    ends = [z0 + z for z in stats.norm.ppf([0.025, 0.975])]
    levels = [stats.norm.cdf(z0 + end / (1 - acceleration * end)) for end in ends]
    assert intervals.bca(sample) == pytest.approx(np.quantile(means, levels), abs=0.15)


def test_bca_of_many_values_is_nearly_students():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, 200), rng.normal(0, 2, 150)
    for samples, expected in (
        ((first,), significance.student(first)),
        ((first, second), estimate(first, second, False)),
    ):
        assert intervals.bca(*samples) == pytest.approx((expected.low, expected.high), abs=0.05)
        assert intervals.bca(*samples) == intervals.bca(*samples)


def test_bca_without_spread_or_values():
    assert intervals.bca(np.full(4, 3.0)) == (3.0, 3.0)
    assert intervals.bca(np.full(4, 3.0), np.full(3, 1.0)) == (2.0, 2.0)
    assert all(math.isnan(end) for end in intervals.bca(np.array([1.0])))


def test_stratified_resamples_only_within_strata():
    # Nothing varies within a stratum, so nothing varies, however far apart the strata lie.
    strata = [np.full(3, 0.0), np.full(4, 100.0)]
    assert intervals.stratified(strata, lambda *s, axis: np.concatenate(s, axis).mean(axis)) == (400 / 7, 400 / 7)
    assert all(math.isnan(end) for end in intervals.stratified([np.ones(1), np.ones(3)], np.maximum))


def test_a12_and_deltas_worked_by_hand():
    # Pairs of (2, 3) against (1, 2): 2>1, 2=2, 3>1, 3>2: three and a half of four.
    first, second = np.array([2.0, 3]), np.array([1.0, 2])
    assert effects.a12(first, second) == 3.5 / 4
    assert effects.cliffs_delta(first, second) == 3 / 4
    assert effects.improvement(np.array([1.0, -1, 0, 2])) == 2.5 / 4
    assert effects.a12(np.stack([first, second]), np.stack([second, first])).tolist() == [3.5 / 4, 0.5 / 4]


def test_tost_is_rs_two_one_sided_tests():
    # paired: t.test(x - y, mu = -1.5, alternative = "greater"), and mu = 1.5, "less"; the larger p counts
    assert tost(estimate(X, Y, True), 1.5).p == pytest.approx(0.2938290881)
    # unpaired: t.test(x, y, mu = 2.5, alternative = "less")
    assert tost(estimate(X, Y, False), 2.5).p == pytest.approx(0.03607157986)
    assert tost(estimate(Y, X, False), 2.5).p == pytest.approx(0.03607157986)


def test_supported_margin_is_the_90_percent_interval():
    # t.test(x - y, conf.level = 0.9): 0.02132607 to 2.33867393
    found = tost(estimate(X, Y, True), math.nan)
    assert math.isnan(found.p)
    assert found.within == pytest.approx(2.33867392773)
    assert found.attainable == pytest.approx((2.33867392773 - 0.02132607227) / 2)
    assert tost(estimate(X, Y, True), found.within).p == pytest.approx(0.05)


def test_detectable_difference_is_rs():
    # power.t.test(n = 6, sd = 2, power = 0.8, type = "paired"); n = 6, sig.level = 0.01, "two.sample"; R solves to 1e-4
    paired, unpaired = Estimate(0.3, 2 / math.sqrt(6), 5), Estimate(0.3, 2 * math.sqrt(2 / 6), 10)
    assert power.detectable(paired, (6, 6), True, 0.05) == pytest.approx(2.869118746, rel=1e-4)
    assert power.detectable(unpaired, (6, 6), False, 0.01) == pytest.approx(4.752338086, rel=1e-4)


def test_seeds_needed_are_rs():
    # power.t.test(delta = 1, sd = 2, power = 0.8, type = "paired"): 33.37; "two.sample": 63.77
    assert power.needed(Estimate(-1.0, 2 / math.sqrt(6), 5), (6, 6), True, 0.05) == 34
    assert power.needed(Estimate(1.0, 2 * math.sqrt(2 / 6), 10), (6, 6), False, 0.05) == 64


def test_permutation_sets_a_floor_that_no_difference_gets_below():
    huge = Estimate(100.0, 1.0, 2)
    assert math.isinf(power.detectable(huge, (3, 3), True, 0.05))  # 2 / 2^3
    assert power.needed(huge, (3, 3), True, 0.05) == 6  # 2 / 2^6 = 0.031
    assert power.needed(huge, (3, 3), True, 0.05 / 3) == 7
    assert power.needed(huge, (3, 3), False, 0.05) == 4  # 2 / 70 = 0.029
    assert power.floor((1, 5), False) == 1.0


@pytest.mark.parametrize("difference", [0.0, 1e-3])
def test_a_difference_that_nobody_can_afford_to_find(difference):
    assert math.isinf(power.needed(Estimate(difference, 1.0, 4), (5, 5), True, 0.05))


def test_power_does_not_lose_itself_far_out():
    # statsmodels' own solve_power stops at 5.50 here; at a noncentrality of 55 the true power is 1.
    found = power.detectable(Estimate(1.0, 0.5, 15), (16, 16), True, 0.05 / 190)
    assert power._power(found / 2, (16, 16), True, 0.05 / 190) == pytest.approx(0.8)
    assert power.needed(Estimate(1.0, 0.5, 12), (13, 13), True, 0.05 / 190) == 73
