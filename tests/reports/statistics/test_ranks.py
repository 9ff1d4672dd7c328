"""Friedman and Nemenyi: against R 4.2.2, scikit-posthocs, published tables and arrangements counted by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from reports.statistics import ranks

MATRIX = np.array([[94.1, 93.2, 92.0], [73.5, 70.1, 71.2], [46.2, 45.9, 44.0], [97.5, 97.2, 97.0], [83.5, 83.0, 83.1]])


def test_friedman_is_rs():
    # friedman.test(m): chi-squared 7.6, p-value 0.02237077
    found = ranks.friedman(MATRIX)
    assert found.ranks.tolist() == [1.0, 2.4, 2.6]
    assert (found.chi2, found.p_chi2) == pytest.approx((7.6, 0.02237077), rel=1e-6)


def test_friedman_by_hand():
    # Ranks 1 2 3, 1 2 3, 1 3 2: sums 3, 7, 8. 12 / (3 * 3 * 4) * (9 + 49 + 64) - 3 * 3 * 4 = 122 / 3 - 36.
    found = ranks.friedman(np.array([[9.0, 8, 7], [9, 8, 7], [9, 7, 8]]))
    assert found.chi2 == pytest.approx(122 / 3 - 36)
    # Every arrangement of three blocks of three, counted here.
    squares = [
        sum(sum(column) ** 2 for column in zip(*rows, strict=True))
        for rows in itertools.product(itertools.permutations((1, 2, 3)), repeat=3)
    ]
    assert found.p == pytest.approx(np.mean(np.array(squares) >= 122))


@pytest.mark.parametrize(("blocks", "methods"), [(2, 3), (3, 3), (2, 4), (4, 3)])
def test_smallest_p_is_that_of_blocks_which_all_agree(blocks, methods):
    found = ranks.friedman(np.tile(np.arange(methods, dtype=float), (blocks, 1)))
    assert found.p == pytest.approx(found.smallest)
    assert found.smallest == pytest.approx(1 / math.factorial(methods) ** (blocks - 1))


def test_many_blocks_are_sampled_and_agree_with_chi2():
    rng = np.random.default_rng(3)
    found = ranks.friedman(rng.normal(size=(40, 5)) + np.linspace(0, 0.6, 5))
    assert found.smallest == 1 / 10_000
    assert found.p == pytest.approx(found.p_chi2, abs=0.01)
    assert 0.001 < found.p < 0.5


def test_ties_everywhere_are_no_evidence():
    found = ranks.friedman(np.ones((4, 3)))
    assert found.p == 1.0
    assert math.isnan(found.chi2)
    assert found.ranks.tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (7, 2.949), (10, 3.164)]
)
def test_critical_values_are_demsars(methods, q):
    """Demšar 2006, table 5a; the 2.343 there is 2.3437 cut, not rounded."""
    blocks = methods * (methods + 1) / 6  # then the critical difference is q itself
    assert ranks.critical_difference(methods, 1) / math.sqrt(blocks) == pytest.approx(q, abs=1e-3)


def test_critical_difference_is_rs():
    # qtukey(0.95, 3, Inf) / sqrt(2) * sqrt(3 * 4 / (6 * 5))
    assert ranks.critical_difference(3, 5) == pytest.approx(1.482286402)


def test_nemenyi_is_rs_and_scikit_posthocs():
    # ptukey(1.2 / sqrt(3 * 4 / (6 * 5)) * sqrt(2), 3, Inf, lower.tail = FALSE)
    assert ranks.nemenyi(1.2, 3, 5) == pytest.approx(0.1394046429)
    posthocs = pytest.importorskip("scikit_posthocs")
    expected = posthocs.posthoc_nemenyi_friedman(pd.DataFrame(MATRIX)).to_numpy()
    mean = ranks.friedman(MATRIX).ranks
    for first, second in itertools.combinations(range(3), 2):
        assert ranks.nemenyi(mean[first] - mean[second], 3, 5) == pytest.approx(expected[first, second])


def test_nemenyi_is_five_percent_at_the_critical_difference():
    assert ranks.nemenyi(-ranks.critical_difference(6, 9), 6, 9) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("mean_ranks", "difference", "bars"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.0, [(0, 1), (1, 2), (2, 3)]),
        ([1.0, 2.0, 3.0, 4.0], 2.5, [(0, 2), (1, 3)]),
        ([1.0, 2.0, 3.0], 5.0, [(0, 2)]),
        ([1.0, 2.5, 4.0], 1.0, []),
        ([1.0, 1.2, 4.0, 4.1, 4.2], 0.5, [(0, 1), (2, 4)]),
    ],
)
def test_bars_join_the_widest_runs(mean_ranks, difference, bars):
    assert ranks.alike(np.array(mean_ranks), difference) == bars
