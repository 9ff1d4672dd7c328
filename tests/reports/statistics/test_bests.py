"""Best of k: against every subset counted, tabled normal scores, and what becomes of a best that somebody gives."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from reports.published.published_numbers import CONVENTIONS
from reports.sentences.best_sentences import statements
from reports.statistics.best_of_k import bests, expected_best, normal_best
from reports.statistics.comparison import compare, summarise
from reports.statistics.values.convention import best_of, readable
from reports.tables.tables import best
from spaces.common.errors import InputError


@pytest.mark.parametrize("k", range(1, 7))
def test_expected_best_is_the_mean_over_every_subset(k):
    sample = np.array([93.1, 97.0, 90.2, 97.0, 95.5, 54.3])
    expected = np.mean([max(subset) for subset in itertools.combinations(sample, k)])
    assert expected_best(sample, k) == pytest.approx(expected)


def test_more_than_there_are_has_no_expectation():
    assert math.isnan(expected_best(np.array([1.0, 2.0]), 3))


@pytest.mark.parametrize(
    ("k", "score"), [(1, 0.0), (2, 0.56419), (3, 0.84628), (4, 1.02938), (5, 1.16296), (10, 1.53875), (20, 1.86748)]
)
def test_normal_scores_are_the_tabled_ones(k, score):
    """Harter, Biometrika 48, 1961, table 1."""
    assert normal_best(10.0, 2.0, k) == pytest.approx(10 + 2 * score, abs=2e-5)


def test_normal_best_agrees_with_simulation():
    drawn = np.random.default_rng(0).normal(97.2, 0.1, size=(200_000, 4)).max(axis=1)
    assert normal_best(97.2, 0.1, 4) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / math.sqrt(len(drawn)))


@pytest.mark.parametrize(
    ("words", "k"),
    [
        *(("best of 4", 4), ("Best of 10, test accuracy", 10), ("best of four", 4), ("best-of-4", 4)),
        *(("best out of 4 searches", 4), ("best of 12 searches, observed", 12), ("best of twelve (test)", 12)),
        *(
            ("best", math.nan),
            ("best of searches", math.nan),
            ("best of several runs", math.nan),
            ("Best, test", math.nan),
        ),
        *(
            ("test accuracy", None),
            ("best epoch", None),
            ("mean over retrainings", None),
            ("unstated", None),
            ("as given", None),
        ),
    ],
)
def test_convention_tells_a_best(words, k):
    assert readable(words)
    assert best_of(words) == pytest.approx(k, nan_ok=True)


@pytest.mark.parametrize(
    "words",
    [
        *(
            "best of 0",
            "bestof4",
            "best of a few",
            "best run",
            "test accuracy, best of 4",
            "max of 4",
            "the top 1 of 4",
        ),
        *("mean over searches", "mean over 4 searches: test", "mean over runs", "mean of 4", "optimum", "setting"),
    ],
)
def test_what_is_no_searchs_value_is_refused(words):
    assert not readable(words)
    values = pd.DataFrame({"method": "a", "seed": [0, 1], "value": 1.0, "convention": ["test", words]})
    with pytest.raises(InputError, match=r"column 'convention' is .* in row 2: write 'best of K' for a best"):
        bests(values)


def test_every_convention_of_the_published_numbers_is_read_or_refused():
    """A published number put into `compare`: what each of the papers' conventions becomes."""
    assert {words for words in CONVENTIONS if not readable(words)} == {
        *("mean over searches", "mean over runs", "optimum", "setting")
    }
    assert {words for words in CONVENTIONS if readable(words) and best_of(words) is not None} == {"best of searches"}


def test_a_best_of_nobody_knows_how_many():
    rows = [("a", seed, value, "test") for seed, value in enumerate([96.0, 97.0])]
    rows += [("a", "x", 97.5, "best of searches"), ("b", "x", 98.0, "best")]
    frame = bests(pd.DataFrame(rows, columns=["method", "seed", "value", "convention"]))
    given = frame.set_index("convention").loc["best of searches, given"]
    assert math.isnan(given["k"])
    assert math.isnan(given["expected"])
    assert (given["n"], given["common_k"]) == (2, 2)
    said = statements(frame)
    assert said[0].startswith("a: 97.50 is best of searches, ")
    assert "no expected best" in said[0]
    assert len(said) == 2
    alone = bests(pd.DataFrame(rows[-1:], columns=["method", "seed", "value", "convention"]))
    assert alone[["k", "n", "mean", "expected", "common_k"]].isna().sum(axis=1).tolist() == [4]
    assert best(alone, "alone").rows() == [["b", "best, given", "98.00", "–", "–", "–", "0", "–"]]


@pytest.fixture
def frame():
    rows = [("a", seed, value, "test accuracy") for seed, value in enumerate([96.9, 97.1, 97.3, 97.2, 97.0])]
    rows += [("b", seed, value, "test accuracy") for seed, value in enumerate([97.0, 97.4, 96.8])]
    rows += [("b", "x", 97.9, "best of 4"), ("c", "x", 97.4, "best of 10")]
    return pd.DataFrame(rows, columns=["method", "seed", "value", "convention"])


def test_bests_stand_beside_their_expectation(frame):
    rows = bests(frame).set_index(["method", "convention"])
    observed = rows.loc[("a", "best of 5 searches, observed")]
    assert (observed["value"], observed["k"], observed["n"]) == (97.3, 5, 5)
    sample = frame.loc[frame["method"] == "a", "value"].to_numpy(dtype=float)
    assert observed["expected"] == pytest.approx(sample.mean() + 1.16296 * sample.std(ddof=1), abs=1e-5)
    # The same k for all is the smallest there is: three.
    assert set(rows["common_k"]) == {3}
    assert observed["expected_common"] == pytest.approx(
        np.mean([max(subset) for subset in itertools.combinations(sample, 3)])
    )
    given = rows.loc[("b", "best of 4, given")]
    assert (given["value"], given["k"], given["n"]) == (97.9, 4, 3)
    assert given["expected"] == pytest.approx(97.0667 + 1.02938 * 0.305505, abs=1e-4)
    alone = rows.loc[("c", "best of 10, given")]
    assert alone["n"] == 0
    assert math.isnan(alone["expected"])


def test_a_best_is_in_no_mean_and_no_test(frame):
    table = summarise(frame).set_index("method")
    assert list(table.index) == ["a", "b"]
    assert table.loc["b", "mean"] == pytest.approx(np.mean([97.0, 97.4, 96.8]))
    assert table.loc["b", "convention"] == "mean over 3 searches: test accuracy"
    rows = compare(frame)
    assert list(zip(rows["method"], rows["baseline"], strict=True)) == [("b", "a")]
    assert rows.iloc[0]["n_method"] == 3


def test_what_became_of_it_is_said(frame):
    said = statements(bests(frame))
    assert said[0].startswith("b: 97.90 is best of 4, ")
    assert "is in no mean and no test" in said[0]
    assert said[0].endswith("from its 3 searches, is 97.38.")
    assert "c: 97.40 is best of 10" in said[1]
    assert "takes at least two searches" in said[1]
