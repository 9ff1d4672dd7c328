"""Which way is better: known by a name, declared, and kept to wherever a method is said to be ahead."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.published.published_numbers import METRICS
from reports.sentences.comparisons import with_statements
from reports.sentences.ranking_sentences import statements
from reports.statistics.best_of_k import bests
from reports.statistics.comparison import compare, summarise
from reports.statistics.rankings import profile, rank_methods
from reports.statistics.values.direction import HIGHER, LOWER, is_share, known, told
from spaces.common.errors import InputError

FLIPPED = {HIGHER: LOWER, LOWER: HIGHER}


def frame(better=LOWER, blocks=(("s1", "x"),), **methods):
    """Values of each method at seeds 0, 1, … of each block, some of which lie tens of points apart."""
    rows = [
        (method, *block, seed, value + 20 * place)
        for method, values in methods.items()
        for place, block in enumerate(blocks)
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["method", "space", "dataset", "seed", "value"]).assign(better=better)


ERRORS = {
    "good": [2.6, 2.5, 2.7, 2.55, 2.65, 2.4],
    "fair": [3.1, 3.3, 2.9, 3.0, 3.2, 3.4],
    "bad": [7.7, 7.2, 7.3, 9, 8, 7],
}
BLOCKS = (("s1", "x"), ("s1", "y"), ("s2", "x"), ("s2", "y"))


@pytest.mark.parametrize(
    ("name", "better"),
    [
        *((name, LOWER) for name in ("error", "test error", "Top-1 Error", "loss", "valLoss", "perplexity", "PPL")),
        *((name, LOWER) for name in ("search_seconds", "time", "latency", "Parameters", "params", "MACs", "FLOPs")),
        *((name, LOWER) for name in ("multiply-adds", "GPU memory", "search cost", "err.")),
        *((name, HIGHER) for name in ("accuracy", "Accuracy", "test_acc", "top1", "Top-5 accuracy")),
        *((name, None) for name in ("value", "skip_share", "epochs", "time to accuracy", "accuracy loss", "timestamp")),
    ],
)
def test_a_metrics_name_says_which_way_is_better(name, better):
    assert known(name) == better


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.better])
def test_the_published_metrics_agree(name):
    assert known(name) == (HIGHER if METRICS[name].better > 0 else LOWER)
    assert is_share(name) == (METRICS[name].units == ("%",))


def test_a_convention_says_so_where_it_names_an_accuracy_or_an_error():
    assert (told("test error, last epoch"), told("test accuracy"), told("last of 3 times")) == (LOWER, HIGHER, None)
    values = frame(**ERRORS).drop(columns="better").assign(convention="test error")
    assert set(compare(values, "bad")["better"]) == {LOWER}
    assert set(compare(values.drop(columns="convention"), "bad")["better"]) == {HIGHER}


def test_the_lowest_is_ahead_wherever_that_is_said():
    values = frame(blocks=BLOCKS, **ERRORS)
    rows = with_statements(compare(values, "bad"), values).set_index(["method", "space", "dataset"])
    good = rows.loc["good"]
    assert set(good["verdict"]) == {"significantly better"}
    assert (good["difference"] < 0).all()
    assert set(zip(good["a12"], good["cliffs_delta"], good["improvement"], strict=True)) == {(1.0, 1.0, 1.0)}
    assert all("good is better (lower) than bad" in words for words in good["statement"])
    observed = bests(values)[lambda found: found["space"] == "s1"].query("dataset == 'x'").set_index("method")
    assert observed.loc["bad", "value"] == min(ERRORS["bad"])
    assert (observed["expected"] < observed["mean"]).all()
    assert (observed["expected_common"] < observed["mean"]).all()
    found = rank_methods(values)
    assert found.methods == ["good", "fair", "bad"]
    assert found.frame["iqm"].is_monotonic_decreasing
    assert found.pairs.set_index(["method", "baseline"]).loc[("good", "bad"), "improvement"] == 1.0
    assert "good ranks ahead of bad" in " ".join(statements(found))
    assert f"The best interquartile mean is good's, {found.frame.iloc[0]['iqm']:+.2f}" in statements(found)[-1]
    at = {method: profile(found, method) for method in found.methods}
    assert at["good"][0].min() > at["bad"][0].max()  # its profile lies above everywhere


def test_ranks_hold_where_blocks_are_better_in_two_ways():
    accuracies = frame(better=HIGHER, blocks=BLOCKS[:2], **{name: 100 - np.array(own) for name, own in ERRORS.items()})
    found = rank_methods(pd.concat([accuracies, frame(blocks=BLOCKS[2:], **ERRORS)]))
    assert list(found.frame["rank"]) == [1.0, 2.0, 3.0]
    assert found.methods[0] == "good"
    assert statements(found)[0].startswith("Higher is better on s1 / x, s1 / y, lower on s2 / x, s2 / y")


def test_one_block_has_one_direction():
    values = frame(**ERRORS)
    values.loc[0, "better"] = HIGHER
    with pytest.raises(InputError, match="of s1 / x some values are better higher and some lower"):
        compare(values)
    with pytest.raises(InputError, match=r"column 'better' is 'up' in 18 rows .*: write 'higher' or 'lower'"):
        compare(values.assign(better="up"))


def mirrored(values):
    return values.assign(value=-values["value"], better=values["better"].map(FLIPPED))


def close(first, second):
    np.testing.assert_allclose(first.to_numpy(dtype=float), second.to_numpy(dtype=float), rtol=1e-6, atol=1e-9)


numbers = st.floats(-50, 50).map(lambda x: round(x, 3))
samples = st.integers(2, 5).flatmap(
    lambda n: st.dictionaries(st.sampled_from("abc"), st.lists(numbers, min_size=n, max_size=n), min_size=2)
)


@settings(max_examples=15, deadline=None)
@given(samples, st.booleans())
def test_negated_values_with_the_direction_turned_round_give_mirrored_results(methods, paired):
    values = frame(better=HIGHER, blocks=BLOCKS[:2], **methods).assign(shared="streams" if paired else "nothing")
    turned = mirrored(values)
    summary, back = summarise(values), summarise(turned)
    close(
        summary[["mean", "median", "low", "high", "min", "max"]], -back[["mean", "median", "high", "low", "max", "min"]]
    )
    close(summary[["n", "std"]], back[["n", "std"]])
    pairs, back = compare(values, margin=1.0), compare(turned, margin=1.0)
    alike = [
        "a12",
        "cliffs_delta",
        "improvement",
        "p",
        "p_holm",
        "t_p",
        "wilcoxon_p",
        "tost_p",
        "detectable",
        "n_needed",
    ]
    close(pairs[["difference", "low", "high"]], -back[["difference", "high", "low"]])
    close(pairs[alike], back[alike])
    assert list(pairs["verdict"]) == list(back["verdict"])
    best, back = bests(values), bests(turned)
    close(
        best[["value", "mean", "expected", "expected_common"]], -back[["value", "mean", "expected", "expected_common"]]
    )
    stands, back = rank_methods(values), rank_methods(turned)
    assert stands.methods == back.methods
    close(stands.frame[["rank", "iqm", "low", "high"]], back.frame[["rank", "iqm", "low", "high"]])
    close(stands.pairs[["improvement", "nemenyi_p"]], back.pairs[["improvement", "nemenyi_p"]])
    assert statements(stands) == statements(back)
