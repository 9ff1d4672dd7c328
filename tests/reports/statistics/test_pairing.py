"""Pairing by seed: only where it is declared, with what is shared stated, and whether it paid measured."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.records.blocks import blocks
from reports.sentences import pairing_sentences
from reports.sentences.comparisons import with_statements
from reports.statistics import pairing
from reports.statistics.comparison import compare

COLLAPSING = {
    "darts": [58.1, 91.0, 60.2, 59.5, 90.2, 61.7, 88.8, 57.0],
    "stopped": [91.2, 90.1, 92.5, 93.0, 89.9, 91.4, 92.2, 90.8],
}


def frame(shared=None, **methods):
    rows = [(method, seed, value) for method, values in methods.items() for seed, value in enumerate(values)]
    values = pd.DataFrame(rows, columns=["method", "seed", "value"])
    return values if shared is None else values.assign(shared=shared)


def told(values):
    """The comparison with its statements."""
    return with_statements(compare(values), values)


def test_seeds_are_labels_unless_something_is_shared():
    row = told(frame(**COLLAPSING)).iloc[0]
    assert not row["paired"]
    assert (row["interval"], row["unmatched"]) == ("Welch's t", "")
    assert row["t_p"] == pytest.approx(stats.ttest_ind(*COLLAPSING.values(), equal_var=False).pvalue)
    assert math.isnan(row["correlation"])
    paired = told(frame("the order of batches", **COLLAPSING)).iloc[0]
    assert (paired["paired"], paired["shared"], paired["interval"]) == (True, "the order of batches", "paired t")
    assert paired["t_p"] == pytest.approx(stats.ttest_rel(*COLLAPSING.values()).pvalue)
    # What collapses in some seeds does not pair with what never does: unpaired, more could be told.
    assert row["p"] < paired["p"]


def test_four_seeds_unpaired_can_tell_what_four_pairs_cannot():
    values = {"a": [58.0, 57.1, 59.3, 58.8], "b": [93.0, 92.1, 93.3, 92.7]}
    assert compare(frame(**values))["verdict"][0] == "significantly better"
    assert compare(frame("streams", **values))["verdict"][0] == "too few seeds"


def test_other_streams_do_not_pair_and_that_is_said():
    values = frame(**COLLAPSING)
    values["shared"] = np.where(values["method"] == "darts", "batches of 64", "batches of 32")
    row = told(values).iloc[0]
    assert not row["paired"]
    assert "do not share the same: batches of 32 and batches of 64" in row["statement"]


def test_whether_pairing_paid_is_measured():
    rng = np.random.default_rng(0)
    seeds = rng.normal(0, 3, 8)
    first, second = 90 + seeds + rng.normal(0, 0.5, 8), 91 + seeds + rng.normal(0, 0.5, 8)
    found = pairing.gain(first, second)
    assert found.correlation == pytest.approx(stats.pearsonr(first, second).statistic)
    paired, apart = stats.ttest_rel(first, second), stats.ttest_ind(first, second, equal_var=False)
    widths = [np.ptp(test.confidence_interval(0.95)) for test in (paired, apart)]
    assert found.width == pytest.approx(widths[0] / widths[1])
    assert (
        "Pairing narrowed the interval: correlation over seeds"
        in pairing_sentences.statements(compare(frame("x", a=first, b=second)))[0]
    )
    apart = pairing_sentences.statements(compare(frame("the split", **COLLAPSING)))
    assert apart[0].startswith(
        "Methods are paired by seed, because trials of one seed share the split. Pairing did not narrow"
    )


def test_too_few_pairs_or_no_spread_tell_nothing_of_it():
    for first, second in (([1.0, 2.0], [2.0, 4.0]), ([1.0, 1.0, 1.0], [1.0, 2.0, 3.0])):
        assert math.isnan(pairing.gain(np.array(first), np.array(second)).width)
    assert "cannot be measured" in pairing_sentences.statements(compare(frame("x", a=[1, 2], b=[2, 4])))[0]
    assert pairing_sentences.statements(compare(frame(a=[1, 2], b=[2, 4]))) == []


def test_our_trials_pair_where_they_see_the_same_images_in_the_same_order(study):
    records, _ = study(methods=("a", "b"), spaces=("nats-tss",), seeds=range(4))
    same = {"batch_size": 64, "weights_share": 0.5}
    (block,) = blocks(records.assign(settings=[same] * len(records)))
    row = compare(block.values()).iloc[0]
    assert row["paired"]
    assert "batches of 64" in row["shared"]
    assert "initial weights" in row["shared"]
    settings = [same if method == "a" else same | {"batch_size": 32} for method in records["method"]]
    (block,) = blocks(records.assign(settings=settings))
    assert not compare(block.values()).iloc[0]["paired"]
