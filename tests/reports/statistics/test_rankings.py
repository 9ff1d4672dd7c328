"""Standings across blocks: against scipy and hands, what is left out and said, and the two figures."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.figures import ranking_figures
from reports.sentences.ranking_sentences import statements
from reports.statistics import effects
from reports.statistics.rankings import profile, rank_methods

BLOCKS = [("s1", "x"), ("s1", "y"), ("s2", "x"), ("s2", "y")]


def values(methods=("a", "b", "c"), blocks=tuple(BLOCKS), seeds=4, effect=1.0):
    """Method i is i * effect better; the blocks lie tens of points apart."""
    rng = np.random.default_rng(0)
    rows = [
        (method, *block, seed, 10 * place + index * effect + rng.normal())
        for index, method in enumerate(methods)
        for place, block in enumerate(blocks)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["method", "space", "dataset", "seed", "value"])


@pytest.fixture(scope="module")
def clear():
    return rank_methods(values(effect=3.0))


def test_ranks_are_of_means_within_blocks(clear):
    assert clear.methods == ["c", "b", "a"]
    assert list(clear.frame["rank"]) == [1.0, 2.0, 3.0]
    matrix = values(effect=3.0).groupby(["space", "dataset", "method"])["value"].mean().unstack().to_numpy()
    assert clear.friedman.chi2 == pytest.approx(stats.friedmanchisquare(*matrix.T).statistic)
    assert clear.friedman.p == pytest.approx(1 / 6**3)


def test_scores_are_centred_within_blocks(clear):
    frame = values(effect=3.0)
    means = frame.groupby(["space", "dataset", "method"])["value"].mean().unstack().mean(axis=1)
    expected = [row["value"] - means[row["space"], row["dataset"]] for row in frame.to_dict("records")]
    assert sorted(clear.scores["score"]) == pytest.approx(sorted(expected))
    # However far apart the blocks lie, that says nothing.
    moved = frame.assign(value=frame["value"] + 1000 * (frame["dataset"] == "y"))
    assert rank_methods(moved).frame["iqm"].to_numpy() == pytest.approx(clear.frame["iqm"].to_numpy())


def test_iqm_is_the_mean_of_the_middle_half(clear):
    own = np.sort(clear.scores.loc[clear.scores["method"] == "b", "score"])
    row = clear.frame.set_index("method").loc["b"]
    assert row["iqm"] == pytest.approx(own[4:12].mean())
    assert row["low"] < row["iqm"] < row["high"]
    assert row["convention"].startswith("interquartile mean of 16 scores over 4 blocks")


def test_interval_of_the_iqm_resamples_within_blocks(clear):
    own = clear.scores[clear.scores["method"] == "b"]
    strata = [group["score"].to_numpy() for _, group in own.groupby(["space", "dataset"])]
    rng = np.random.default_rng(7)
    drawn = [
        stats.trim_mean(np.concatenate([rng.choice(stratum, len(stratum)) for stratum in strata]), 0.25)
        for _ in range(1500)
    ]
    row = clear.frame.set_index("method").loc["b"]
    assert (row["low"], row["high"]) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.08)


def test_improvement_is_the_mean_of_a12_over_blocks(clear):
    frame = values(effect=3.0)
    found = [
        effects.a12(*(block.loc[block["method"] == name, "value"].to_numpy() for name in "ba"))
        for _, block in frame.groupby(["space", "dataset"])
    ]
    row = clear.pairs.set_index(["method", "baseline"]).loc[("b", "a")]
    assert row["improvement"] == pytest.approx(np.mean(found))
    assert row["low"] <= row["improvement"] <= row["high"]


def test_what_is_supported_is_said(clear):
    said = " ".join(statements(clear))
    assert "The methods rank significantly differently (Friedman p = 0.0046, 3 methods over 4 blocks)." in said
    assert "c ranks ahead of a: mean ranks 1.00 and 3.00 (Nemenyi p = 0.013)." in said
    assert "The other 2 of 3 pairs do not differ significantly" in said
    best = clear.frame.iloc[0]
    assert f"The best interquartile mean is c's, {best['iqm']:+.2f}, 95 % interval {best['low']:+.2f} to" in said
    assert said.endswith("no other interval reaches it.")
    assert clear.enough


def test_two_blocks_of_three_methods_could_not_have_told():
    found = rank_methods(values(blocks=BLOCKS[:2], effect=9.0))
    assert not found.enough
    assert "the smallest p that Friedman's test can give is 0.17" in statements(found)[0]
    assert "with 3 methods that takes 3 blocks" in statements(found)[0]
    assert ranking_figures.critical_difference_diagram(found, "s", "c.") is None


def test_ranks_that_could_not_be_told_apart_are_called_that():
    # Friedman's test can reject two blocks of five that agree; Nemenyi's difference is more than ranks can differ by.
    found = rank_methods(values(methods=tuple("abcde"), blocks=BLOCKS[:2], effect=9.0))
    assert found.critical > 4
    assert "No two of 5 methods over 2 blocks could have differed significantly" in " ".join(statements(found))


def test_no_difference_is_called_not_significant():
    found = rank_methods(values(effect=0.0))
    assert statements(found)[0].startswith("The methods do not rank significantly differently (Friedman p = ")


def test_ties_everywhere_rank_alike():
    found = rank_methods(values().assign(value=1.0))
    assert found.friedman.p == 1.0
    assert set(found.frame["rank"]) == {2.0}
    assert set(found.frame["iqm"]) == {0.0}


def test_the_same_results_in_another_order_tie():
    shuffled = {"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1], "c": [0.2, 0.3, 0.1]}
    rows = [(m, s, d, seed, v) for m, own in shuffled.items() for s, d in BLOCKS for seed, v in enumerate(own)]
    found = rank_methods(pd.DataFrame(rows, columns=["method", "space", "dataset", "seed", "value"]))
    assert set(found.frame["rank"]) == {2.0}


def test_two_methods_need_no_friedman():
    found = rank_methods(values(methods=("a", "b")))
    assert found.friedman is None
    assert "Friedman's test needs three methods" in statements(found)[0]
    assert f"with probability {found.pairs.iloc[0]['improvement']:.2f}" in statements(found)[0]


def test_a_method_that_misses_blocks_is_left_out_by_name():
    frame = values()
    found = rank_methods(frame[~((frame["method"] == "c") & (frame["space"] == "s2"))])
    assert found.methods == ["b", "a"]
    assert len(found.blocks) == 4
    assert statements(found)[0] == "c is left out across blocks: it has no trial on s2 / x, s2 / y."


def test_a_block_that_misses_methods_is_left_out_by_name():
    frame = values(methods=tuple("abcdef"))
    found = rank_methods(
        frame[~(frame["method"].isin(["b", "c"]) & (frame["space"] == "s2") & (frame["dataset"] == "y"))]
    )
    assert len(found.methods) == 6
    assert found.blocks == ["s1 / x", "s1 / y", "s2 / x"]
    assert statements(found)[0] == "s2 / y is left out across blocks: it has no trial of b, c."


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (values(blocks=BLOCKS[:1]), "There is one space and data set"),
        (values(methods=("a",)), "There is one method"),
        (values().assign(convention="best of 3"), "No value is of a single search"),
        (pd.concat([values(("a",), BLOCKS[:2]), values(("b",), BLOCKS[2:])]), "No two methods share two spaces"),
    ],
)
def test_too_little_is_said_and_nothing_computed(frame, words):
    found = rank_methods(frame)
    assert statements(found)[-1].startswith(words)
    assert found.frame.empty
    assert found.pairs.empty
    assert not found.enough


def test_one_seed_has_ranks_but_no_interval():
    found = rank_methods(values(seeds=1))
    assert len(found.frame) == 3
    assert found.frame["low"].isna().all()
    assert "a method with a single seed in some block gets no interval" in statements(found)[-1]


def test_profile_is_the_share_at_least_so_high(clear):
    scores, share = profile(clear, "b")
    own = clear.scores.loc[clear.scores["method"] == "b", "score"].to_numpy()
    assert [np.mean(own >= score) for score in scores] == pytest.approx(share)


def test_profiles_are_drawn_as_they_are(clear):
    drawn = ranking_figures.performance_profiles(clear, "across", "some conditions")
    axes = drawn.figure.axes[0]
    assert len(axes.lines) == 3
    for method, line in zip(clear.methods, axes.lines, strict=True):
        x, y = line.get_xdata(), line.get_ydata()
        own = clear.scores.loc[clear.scores["method"] == method, "score"].to_numpy()
        for score in (own.min() - 0.01, *((own[1:] + own[:-1]) / 2), own.max() + 0.01):
            if x[0] < score < x[-1]:
                assert y[np.searchsorted(x, score)] == pytest.approx(np.mean(own >= score))
        assert f"{method} {np.median(own):.2f}".replace("-", "−") in drawn.alt
    assert "Some conditions." in drawn.caption


def test_critical_difference_diagram_shows_ranks_and_bars(nasty):
    found = rank_methods(values(methods=("a", "b", "c", nasty), effect=0.6))
    drawn = ranking_figures.critical_difference_diagram(found, "across", "some conditions")
    axes = drawn.figure.axes[0]
    words = " ".join(text.get_text() for text in axes.texts)
    for name, rank in zip(found.methods, found.frame["rank"], strict=True):
        assert name in words
        assert f"{name} {rank:.2f}" in drawn.alt
    assert f"critical difference {found.critical:.2f}" in words
    lines = [line for line in axes.lines if line.get_linewidth() == 1.6]
    assert np.ptp(lines[0].get_xdata()) == pytest.approx(found.critical)
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() > 3]
    mean = found.frame["rank"].to_numpy()
    assert len(bars) >= 1
    for start, end in bars:
        assert {start, end} <= set(mean)
        inside = mean[(mean >= start) & (mean <= end)]
        assert len(inside) >= 2
        assert np.ptp(inside) <= found.critical
    assert "<b>" not in drawn.svg()


def test_names_stay_on_the_diagram():
    found = rank_methods(
        values(methods=("a", "b", "c [alpha.lr = 0.0003, inner.momentum = 0.9, inner.weight_decay = 0.003]"))
    )
    drawn = ranking_figures.critical_difference_diagram(found, "across", "c.")
    figure = drawn.figure
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y0 >= 0
        assert box.y1 <= height


def test_statistics_of_ranks_are_not_numbers_without_three_methods():
    assert math.isnan(rank_methods(values(methods=("a",))).critical)
