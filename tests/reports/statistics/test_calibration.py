"""Do tests err in 5 % of cases and intervals cover 95 %? Simulated, with the numbers that docs/statistics.md quotes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from reports.statistics import equivalence, intervals, rankings, ranks, significance
from reports.statistics.power import POWER, detectable
from reports.statistics.significance import ALPHA, Estimate

DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"
SHARE, DROP = 0.3, 40.0


SIZES, ACROSS = (3, 4, 5, 6, 10), (3, 4, 10)


def normal(rng, *shape):
    return rng.normal(size=shape)


def collapsing(rng, *shape):
    """Three searches in ten end 40 points lower: mean -12."""
    return rng.normal(size=shape) - DROP * (rng.random(shape) < SHARE)


MEANS = {normal: 0.0, collapsing: -SHARE * DROP}


def middle():
    """The interquartile mean of endless collapsing values, by their quantile function, less their mean."""
    u = 0.25 + (np.arange(100_000) + 0.5) / 200_000
    low, high = stats.norm.ppf(u / SHARE) - DROP, stats.norm.ppf((u - SHARE) / (1 - SHARE))
    return float(np.where(u < SHARE, low, high).mean()) - MEANS[collapsing]


MIDDLES = {normal: 0.0, collapsing: middle()}


def mean_of(sample):
    found = significance.student(sample)
    return found.low, found.high


def welch_of(first, second):
    found = significance.welch(significance.Summary.of(first), significance.Summary.of(second))
    return found.low, found.high


def covers_mean(interval, draw, n, rng):
    """Whether an interval of a mean holds the true mean."""
    low, high = interval(draw(rng, n))
    return low <= MEANS[draw] <= high


def covers_percentage(draw, n, rng):
    """Whether the interval of a mean of percentages, of a method at 93 %, holds the true mean."""
    _, low, high = intervals.of_mean(93 + draw(rng, n), (0.0, 100.0))
    return low <= 93 + MEANS[draw] <= high


def covers_difference(interval, draw, n, rng):
    """Whether an interval of the difference of two alike, unpaired samples holds zero."""
    low, high = interval(draw(rng, n), draw(rng, n))
    return low <= 0 <= high


def rejects(p, draw, n, rng):
    """Whether a test calls two samples of one distribution different."""
    return p(draw(rng, n), draw(rng, n)) <= ALPHA


def paired_t(first, second):
    return significance.student(first - second).p


def welch_p(first, second):
    return significance.estimate(first, second, False).p


def accepts_equivalence(paired, draw, n, rng):
    """Whether TOST calls methods equivalent that are not: normal ones a margin of one unit apart, or one that collapses
    and one that never does, 12 apart, within a margin of 5.
    """
    margin, shift = (1.0, 1.0) if draw is normal else (5.0, 0.0)
    first, second = draw(rng, n) + shift, normal(rng, n)
    return equivalence.tost(significance.estimate(first, second, paired), margin).p <= ALPHA


def iqm_covers(blocks, draw, n, rng):
    """Whether the interval of one of three alike methods' IQM holds the true one, over `blocks` of n seeds."""
    values = draw(rng, blocks, 3, n)
    scores = values - values.mean(axis=(1, 2), keepdims=True)
    low, high = intervals.stratified(list(scores[:, 0]), rankings._iqm)
    return low <= MIDDLES[draw] <= high


def improvement_covers(blocks, draw, n, rng):
    """Whether the interval of the probability of improvement of alike methods holds one half."""
    low, high = intervals.stratified(list(draw(rng, 2 * blocks, n)), rankings._improvement)
    return low <= 0.5 <= high


CELLS = {
    "Mean, Student's t": partial(covers_mean, mean_of),
    "Mean of percentages, t of the logit": covers_percentage,
    "Mean, BCa": partial(covers_mean, intervals.bca),
    "Difference, Welch's t": partial(covers_difference, welch_of),
    "Difference, BCa": partial(covers_difference, intervals.bca),
    "Sign-flip permutation": partial(rejects, lambda first, second: significance.sign_flip(first - second).p),
    "Relabelling permutation": partial(rejects, lambda first, second: significance.relabel(first, second).p),
    "Paired t": partial(rejects, paired_t),
    "Welch's t": partial(rejects, welch_p),
    "Wilcoxon, signed ranks": partial(rejects, partial(significance.ranks, paired=True)),
    "Wilcoxon, rank sum": partial(rejects, partial(significance.ranks, paired=False)),
    "False equivalence by TOST, paired": partial(accepts_equivalence, True),
    "False equivalence by TOST, unpaired": partial(accepts_equivalence, False),
    "IQM over 4 blocks, bootstrap": partial(iqm_covers, 4),
    "IQM over 12 blocks, bootstrap": partial(iqm_covers, 12),
    "Improvement over 4 blocks, bootstrap": partial(improvement_covers, 4),
    "Improvement over 12 blocks, bootstrap": partial(improvement_covers, 12),
}


def measured(name, draw, n, draws):
    """The share of `draws` in which the cell `name` holds, at n seeds of the distribution `draw`."""
    rng = np.random.default_rng([n, draws])
    return float(np.mean([CELLS[name](draw, n, rng) for _ in range(draws)]))


def quoted():
    """The rates of docs/statistics.md: (cell, distribution, n, %) and (blocks, methods, three %)."""
    cells, rankings = [], []
    for line in DOCS.read_text(encoding="utf-8").splitlines():
        name, *rest = (field.strip() for field in line.strip("|").split("|"))
        if name in CELLS:
            draw = {"normal": normal, "collapsing": collapsing}[rest[0]]
            cells += [
                (name, draw, n, float(rate))
                for n, rate in zip(ACROSS if "blocks" in name else SIZES, rest[1:], strict=True)
            ]
        elif " × " in name and name.replace(" × ", "").isdigit():
            blocks, methods = map(int, name.split(" × "))
            rankings.append((blocks, methods, *map(float, rest)))
    return cells, rankings


def near(quoted, found, draws, drawn=400):
    """Whether two simulated rates, in % and as a share, agree within four standard errors of both."""
    share = min(0.99, max(0.01, quoted / 100))
    return abs(found - quoted / 100) <= 4 * np.sqrt(share * (1 - share) * (1 / draws + 1 / drawn))


def ranking(blocks, methods, draws):
    """Error rates over alike methods: (Friedman's permutation p, its chi2, any pair apart by Nemenyi)."""
    rng = np.random.default_rng([blocks, methods])
    found = [ranks.friedman(rng.normal(size=(blocks, methods))) for _ in range(draws)]
    critical = ranks.critical_difference(methods, blocks)
    return tuple(
        float(np.mean(hits))
        for hits in (
            [test.p <= ALPHA for test in found],
            [test.p_chi2 <= ALPHA for test in found],
            [np.ptp(test.ranks) >= critical for test in found],
        )
    )


@pytest.mark.parametrize("name", ["Sign-flip permutation", "Relabelling permutation", "Paired t", "Welch's t"])
@pytest.mark.parametrize("draw", [normal, collapsing])
@pytest.mark.parametrize("n", [3, 4, 6])
def test_no_test_errs_in_more_than_five_percent(name, draw, n):
    draws = 300
    assert measured(name, draw, n, draws) <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / draws)


@pytest.mark.parametrize(
    ("name", "n"),
    [
        *(("Mean, Student's t", 3), ("Mean, Student's t", 4), ("Difference, Welch's t", 3)),
        ("Mean of percentages, t of the logit", 3),
    ],
)
def test_intervals_by_t_cover_normal_values(name, n):
    draws = 2000
    assert measured(name, normal, n, draws) >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / draws)


def test_bca_covers_too_little_at_three_seeds_which_is_why_it_is_not_the_main_interval():
    assert 0.6 < measured("Mean, BCa", normal, 3, 300) < 0.82


def test_no_interval_knows_of_a_collapse_that_no_seed_showed():
    # In 0.7^3 of all samples no search collapsed: no interval from such a sample reaches the true mean.
    assert measured("Mean, Student's t", collapsing, 3, 2000) == pytest.approx(1 - 0.7**3, abs=0.04)


def test_equivalence_is_declared_wrongly_in_at_most_five_percent():
    draws = 1000
    assert measured("False equivalence by TOST, paired", normal, 4, draws) <= ALPHA + 3 * np.sqrt(0.05 * 0.95 / draws)


def test_friedman_and_nemenyi_err_in_at_most_five_percent():
    draws = 300
    for rate in ranking(4, 4, draws):
        assert rate <= ALPHA + 3 * np.sqrt(ALPHA * (1 - ALPHA) / draws)


@pytest.mark.parametrize("paired", [True, False])
def test_power_is_what_the_permutation_test_has(paired):
    """The difference that so many seeds are said to find in 80 % of cases is found in about so many."""
    rng, n, draws = np.random.default_rng(1), 8 if paired else 6, 300
    test = significance.sign_flip if paired else significance.relabel
    error = np.sqrt(1 / n) if paired else np.sqrt(2 / n)
    effect = detectable(Estimate(1.0, error, n - 1), (n, n), paired, ALPHA)
    samples = (
        (rng.normal(effect, 1, n),) if paired else (rng.normal(effect, 1, n), rng.normal(0, 1, n)) for _ in range(draws)
    )
    assert np.mean([test(*sample).p <= ALPHA for sample in samples]) == pytest.approx(POWER, abs=0.08)


def test_every_cell_is_quoted():
    cells, rankings = quoted()
    assert {(name, draw) for name, draw, *_ in cells} == {(name, draw) for name in CELLS for draw in MEANS}
    assert len(rankings) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_quoted_rates_are_measured_again(name):
    draws = 200
    for _, draw, n, rate in (cell for cell in quoted()[0] if cell[0] == name):
        assert near(rate, measured(name, draw, n, draws), draws), (draw.__name__, n, rate)


@pytest.mark.slow
def test_quoted_rates_of_ranks_are_measured_again():
    draws = 500
    for blocks, methods, *rates in quoted()[1]:
        for rate, found in zip(rates, ranking(blocks, methods, draws), strict=True):
            assert near(rate, found, draws), (blocks, methods, rate, found)
