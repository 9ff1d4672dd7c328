"""The audit, against scipy's own Welch test, Holm by hand, and conflicts that are known."""

import pandas as pd
import pytest
from scipy import stats

from reports.pages.audit_page import audited
from reports.published import audit, published_numbers
from spaces.common.errors import InputError

QUANTITY = ["method", "space", "dataset", "quantity"]


@pytest.fixture(scope="module")
def numbers():
    return published_numbers.numbers()


@pytest.fixture(scope="module")
def claims(numbers):
    return audit.claims(numbers)


@pytest.fixture(scope="module")
def disagreements(numbers):
    return audit.disagreements(numbers)


def table(frame, paper, exhibit):
    return frame[(frame["paper"] == paper) & (frame["exhibit"] == exhibit)]


def one(frame, **wanted):
    for column, value in wanted.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def group(frame, method, space, dataset, quantity):
    return frame[(frame[QUANTITY] == [method, space, dataset, quantity]).all(axis=1)]


def test_a_win_is_tested_as_scipy_would(claims):
    pruning = table(claims, "rarts", "Table 6")
    printed = {"Baseline": (12.3, 1.4), "Random Pruning": (12.0, 1.1), "DARTS-1": (10.1, 2.0), "DARTS-2": (9.8, 1.7)}
    expected = {
        against: stats.ttest_ind_from_stats(mean, std, 5, 8.2, 1.9, 5, equal_var=False).pvalue
        for against, (mean, std) in printed.items()
    }
    assert dict(zip(pruning["against"], pruning["p"], strict=True)) == pytest.approx(expected, rel=1e-9)
    for against, (mean, std) in printed.items():
        row = one(pruning, against=against)
        assert (row["low"], row["high"]) == pytest.approx(expected_interval(mean, std, 5, 8.2, 1.9, 5))
    # Holm over the table's four: 4 times the smallest, 3 times the next, and so on, never decreasing.
    corrected, least = {}, 0.0
    for rank, against in enumerate(sorted(expected, key=expected.__getitem__)):
        least = corrected[against] = max(least, (4 - rank) * expected[against])
    assert dict(zip(pruning["against"], pruning["p_holm"], strict=True)) == pytest.approx(corrected)
    assert dict(zip(pruning["against"], pruning["verdict"], strict=True)) == {
        "Baseline": audit.SUPPORTED,
        "Random Pruning": audit.SUPPORTED,
        "DARTS-1": audit.UNSUPPORTED,
        "DARTS-2": audit.UNSUPPORTED,
    }


def expected_interval(mean, std, n, other, other_std, m):
    a, b = std**2 / n, other_std**2 / m
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))
    reach = stats.t.ppf(0.975, freedom) * (a + b) ** 0.5
    return mean - other - reach, mean - other + reach


def test_more_is_better_or_less_is(claims):
    accuracy = one(table(claims, "lambda-darts", "Table 7"), against="SDARTS-RS")
    error = one(table(claims, "darts-prime", "Table 1"), against="DARTS (our trials)", dataset="CIFAR-10")
    assert (accuracy["advantage"], accuracy["outcome"]) == (0.09, "ahead")
    assert (error["advantage"], error["outcome"]) == (0.20, "ahead")
    worse = one(table(claims, "rarts", "Table 1"), against="P-DARTS")
    assert (worse["advantage"], worse["outcome"], worse["verdict"]) == (-0.15, "behind", audit.NO_WIN)


def test_a_spread_of_nothing_is_read_as_what_rounds_to_it(claims):
    row = one(table(claims, "lambda-darts", "Table 1"), against="DARTS-", heading="CIFAR-10 Test")
    assert row["p"] == pytest.approx(
        stats.ttest_ind_from_stats(94.36, 0.005, 4, 93.80, 0.40, 4, equal_var=False).pvalue
    )
    assert (row["verdict"], row["printed"], row["printed_against"]) == (
        audit.UNSUPPORTED,
        "94.36 ± 0.00",
        "93.80 ± 0.40",
    )
    tie = one(table(claims, "lambda-darts", "Table 1"), against="β-DARTS", heading="CIFAR-10 Test")
    assert (tie["outcome"], tie["verdict"], tie["p"]) == ("level", audit.NO_WIN, 1.0)
    assert one(table(claims, "lambda-darts", "Table 1"), against="DARTS (1st)", heading="CIFAR-10 Test")["p"] < 1e-12


@pytest.mark.parametrize(
    ("paper", "exhibit", "against", "obstacle"),
    [
        ("lambda-darts", "Table 3", "SDARTS-RS", audit.BEST_OF_SEVERAL),
        ("darts-prime", "Table 1", "DARTS 2nd", audit.BEST_OF_SEVERAL),
        ("pr-darts", "Table 1", "GDAS + cutout", audit.NO_SPREAD),
        ("rarts", "Table 4", "DARTS-1", audit.NO_SPREAD),
        ("lambda-darts", "Table 11", "DARTS-", audit.NO_RUNS),
    ],
)
def test_what_cannot_be_judged_is_not(claims, paper, exhibit, against, obstacle):
    rows = table(claims, paper, exhibit)
    rows = rows[(rows["against"] == against) & (rows["outcome"] == "ahead")]
    assert len(rows)
    assert set(rows["obstacle"]) == {obstacle}
    assert set(rows["verdict"]) == {audit.UNJUDGED}
    assert rows["p"].isna().all()


def test_an_assumed_number_of_runs_stands_in_its_line(numbers, claims):
    assumed = audit.claims(numbers, assumed_n=3)
    rows = table(assumed, "lambda-darts", "Table 11")
    row = one(rows, against="DARTS-", method="Λ-DARTS - Λ±(ω, α)")
    assert row["assumed_n"] == 3
    assert "97.41 ± 0.08 (n = 3 assumed)" in row["statement"]
    assert "97.57 ± 0.05 (n = 4)" in row["statement"]
    assert row["p"] == pytest.approx(stats.ttest_ind_from_stats(97.57, 0.05, 4, 97.41, 0.08, 3, equal_var=False).pvalue)
    assert claims["assumed_n"].isna().all()
    assert not (assumed["obstacle"] == audit.NO_RUNS).any()
    # Where the paper states n, nothing is assumed.
    pd.testing.assert_frame_equal(
        table(assumed, "rarts", "Table 6"), table(claims, "rarts", "Table 6"), check_dtype=False
    )


def test_no_method_meets_itself_or_the_optimum(claims):
    assert "Optimal" not in set(claims["against"])
    assert set(claims.loc[claims["against"].str.startswith("Λ-"), "against"]) == {"Λ-DARTS (outer)"}
    assert len(table(claims, "lambda-darts", "Table 10")) == 0
    assert len(table(claims, "lambda-darts", "Table 1")) == 9 * 6


def test_every_win_has_one_verdict(claims):
    wins = claims["outcome"] == "ahead"
    assert set(claims.loc[wins, "verdict"]) == {audit.SUPPORTED, audit.UNSUPPORTED, audit.UNJUDGED}
    assert set(claims.loc[~wins, "verdict"]) == {audit.NO_WIN}
    judged = claims["verdict"].isin({audit.SUPPORTED, audit.UNSUPPORTED})
    assert ((claims["p_holm"] <= 0.05) == (claims["verdict"] == audit.SUPPORTED))[judged].all()
    assert (claims["p_holm"] >= claims["p"])[judged].all()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("darts-1st", "darts", "CIFAR-10", "search cost"), {0.4, 0.7, 1.5, 1.6}),
        (("darts-1st", "nats-tss", "CIFAR-10", "test accuracy"), {54.30, 59.84}),
        (("pc-darts", "darts", "CIFAR-10", "test accuracy"), {97.43, 97.19, 97.29, 96.85}),
        (("p-darts", "darts", "CIFAR-10", "test accuracy"), {97.50, 97.19, 94.62}),
        (("gdas", "darts", "CIFAR-10", "test accuracy"), {97.07, 97.18}),
    ],
)
def test_known_disagreements_are_found_and_explained(disagreements, key, expected):
    found = group(disagreements, *key)
    assert set(found["number"]) == expected
    assert set(found["reason"]).isdisjoint({audit.UNKNOWN_REASON, ""})


@pytest.mark.parametrize(
    "key",
    [
        ("r-darts-l2", "darts", "CIFAR-10", "test accuracy"),  # 2.95 % error, 97.05 %
        ("bayesnas", "darts", "CIFAR-10", "search cost"),  # 0.2, 0.18
        ("darts-minus", "darts", "CIFAR-10", "test accuracy"),  # 2.59 % error, 97.41 %
        ("lambda-darts-sign", "darts", "CIFAR-100", "test accuracy"),  # average and best in one table
    ],
)
def test_what_agrees_is_no_disagreement(numbers, disagreements, key):
    printed = numbers[(numbers[["method", "space", "dataset"]] == list(key[:3])).all(axis=1)]
    quantity = printed["metric"].map(lambda name: published_numbers.METRICS[name].quantity)
    assert (quantity == key[3]).sum() >= 2
    assert group(disagreements, *key).empty


def test_every_reason_is_needed(disagreements):
    keys = set(disagreements[QUANTITY].itertuples(index=False, name=None))
    assert set(published_numbers.reasons()[QUANTITY].itertuples(index=False, name=None)) <= keys


def test_headline_counts(claims, disagreements):
    words = audit.headline(claims, disagreements)
    wins = claims[claims["outcome"] == "ahead"]
    assert f"against another {len(claims)} times and are ahead {len(wins)} times" in words
    assert f"support {(wins['verdict'] == audit.SUPPORTED).sum()} of these wins" in words
    assert f"{len(disagreements.groupby(QUANTITY))} quantities" in words


def test_one_paper_alone(claims):
    found = audited(("rarts",))
    assert set(found.claims["paper"]) == {"rarts"}
    assert len(found.claims) == (claims["paper"] == "rarts").sum()
    assert found.headline.startswith("RARTS sets its own method against another ")
    for _, numbers in found.disagreements.groupby(QUANTITY):
        assert "rarts" in set(numbers["paper"])
    with pytest.raises(InputError, match="did you mean 'rarts'"):
        audited(("rart",))
