"""Verdicts, shares and survival curves, on histories written by hand."""

from math import comb

import numpy as np
import pandas as pd
import pytest

from reports.collapse.definition import COLLAPSED, HEALTHY, UNKNOWN, Criterion, shares, statements, survival, trials
from reports.records.blocks import blocks
from reports.records.results import by_trial
from reports.statistics.survival import kaplan_meier
from spaces import get_space
from spaces.common.errors import InputError
from spaces.nats.genotype import NatsGenotype


def cell(idle: int, operation: str = "skip_connect") -> str:
    return str(NatsGenotype((operation,) * idle + ("nor_conv_3x3",) * (6 - idle)))


@pytest.fixture
def judge(study, space_of):
    """(records, histories) of one trial a row of `courses`, method → idle edges after each epoch, then judged."""

    def make(courses, criterion=None, answer=None, **columns):
        records, histories = study(methods=sorted(courses), spaces=("nats-tss",), seeds=range(1))
        rows, kept = [], []
        for record in records.to_dict("records"):
            for number, course in enumerate(courses[record["method"]]):
                key = f"{record['key']}-{number}"
                rows.append({**record, "key": key, "seed": number, "study": "one", "answer_epoch": answer})
                like = histories[histories["key"] == record["key"]].iloc[0].to_dict()
                kept += [
                    {**like, "key": key, "seed": number, "epoch": epoch, "genotype": cell(idle), **columns}
                    for epoch, idle in enumerate(course, 1)
                ]
        frame = pd.DataFrame(rows)
        (block,) = blocks(frame)
        return trials(block.records, by_trial(pd.DataFrame(kept)), space_of, criterion or Criterion())

    return make


@pytest.mark.parametrize(
    ("course", "verdict", "onset"),
    [
        ([1, 2, 3], HEALTHY, np.nan),
        ([1, 4, 5], COLLAPSED, 2),
        ([4, 4, 4], COLLAPSED, 1),
        ([4, 5, 2], HEALTHY, np.nan),
        ([4, 1, 5], COLLAPSED, 3),  # what came and went before is no part of it
    ],
)
def test_verdict_and_onset(judge, course, verdict, onset) -> None:
    (row,) = judge({"a": [course]}).to_dict("records")
    assert row["verdict"] == verdict
    assert row["onset"] == pytest.approx(onset, nan_ok=True)
    assert (row["idle"], row["edges"], row["epochs"]) == (course[-1], 6, 3)


def test_the_threshold_is_a_parameter_and_a_share(judge) -> None:
    assert judge({"a": [[3, 3]]}, Criterion(0.5))["verdict"].tolist() == [COLLAPSED]
    assert judge({"a": [[3, 3]]}, Criterion(0.51))["verdict"].tolist() == [HEALTHY]
    assert judge({"a": [[5, 5]]}, Criterion(1.0))["verdict"].tolist() == [HEALTHY]
    for bad in (0, 1.1, -1):
        with pytest.raises(InputError, match="share of the cell's edges"):
            Criterion(bad)


def test_what_counts_ends_with_the_architecture_that_was_returned(judge) -> None:
    """A search that stops late and goes back returns an architecture from before its collapse."""
    (row,) = judge({"a": [[1, 2, 5, 5]]}, answer=2).to_dict("records")
    assert (row["verdict"], row["epochs"], row["idle"]) == (HEALTHY, 2, 2)
    (row,) = judge({"a": [[1, 2, 5, 5]]}, answer=3).to_dict("records")
    assert (row["verdict"], row["onset"]) == (COLLAPSED, 3)


def test_evidence_names_what_was_counted(judge) -> None:
    (row,) = judge({"a": [[1, 4, 5]]}, tabular_accuracy=91.5).to_dict("records")
    assert row["evidence"].startswith(
        "5 of 6 edges are idle (5 skip_connect) after epoch 3, enough of them from epoch 2 on; its accuracy in the"
    )
    assert "91.50 %" in row["evidence"]
    (row,) = judge({"a": [[2, 1]]}).to_dict("records")
    assert row["evidence"].startswith("1 of 6 edges is idle (1 skip_connect) after epoch 2, at most 2 after any")
    (row,) = judge({"a": [[3, 2]]}).to_dict("records")
    assert "2 of 6 edges are idle (2 skip_connect) after epoch 2, at most 3 after any" in row["evidence"]
    # True of a random candidate too, which has no supernet.
    (row,) = judge({"a": [[3, 2]]}, tabular_accuracy=np.nan).to_dict("records")
    assert "its accuracy on the architecture split is" in row["evidence"]


def test_a_trial_without_a_history_is_not_dropped(study, space_of) -> None:
    records, histories = study(methods=("a",), spaces=("nats-tss",), seeds=range(3))
    (block,) = blocks(records)
    found = trials(block.records, by_trial(histories[histories["seed"] < 2]), space_of, Criterion())
    assert found["verdict"].tolist()[2] == UNKNOWN
    counted = shares(found, 0.2)
    assert (counted["n"].tolist(), counted["unknown"].tolist()) == ([2], [1])
    assert "(1 more without history)" in statements(counted)[0]
    none = shares(trials(block.records, {}, space_of, Criterion()), 0.2)
    assert statements(none)[0].startswith("a: no trial has a history")


def test_shares_have_wilsons_interval(judge) -> None:
    """Wilson's interval of 1 in 4 and of 0 in 3, from its formula."""
    found = shares(judge({"a": [[5, 5], [1, 1], [1, 1], [5, 1]], "b": [[1, 1]] * 3}), 0.179).set_index("label")
    z, n, p = 1.959963984540054, 4, 0.25
    centre, reach = (
        (p + z**2 / 2 / n) / (1 + z**2 / n),
        z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + (z / 2 / n) ** 2),
    )
    assert found.loc["a", ["low", "high"]].tolist() == pytest.approx([centre - reach, centre + reach])
    assert found.loc["b", ["low", "high"]].tolist() == pytest.approx([0, z**2 / 3 / (1 + z**2 / 3)])
    assert found.loc["a", "onset"] == 1
    words = statements(found.reset_index())
    assert words[0].startswith("a: 1 of 4 trials collapsed, with a median onset at epoch 1; ")
    assert words[1].startswith("b: 0 of 3 trials collapsed; 95 % interval of the share 0 to 56 %")
    assert "17.9 % of random architectures" in words[1]


@pytest.mark.parametrize(
    ("space", "idle", "share"),
    [
        # Four or more idle edges of six, as counted in docs/collapse.md over the whole table.
        ("nats-tss", 0.6, (2160 + 576 + 64) / 5**6),
        ("nats-tss", 1.0, 64 / 5**6),
        # Five skip-connections or more of eight, at even odds, or one operation in seven.
        ("s2", 0.6, sum(comb(8, k) for k in range(5, 9)) / 2**8),
        ("darts", 0.6, sum(comb(8, k) * 6 ** (8 - k) for k in range(5, 9)) / 7**8),
    ],
)
def test_the_base_rate_is_that_of_the_space(space, idle, share) -> None:
    assert Criterion(idle).base_rate(get_space(space)) == pytest.approx(share)


def test_survival_by_hand() -> None:
    """Remission under 6-MP (Freireich et al., Blood 21, 1963), the textbooks' example, worked out by hand.

    21 times, of which 9 are events: S falls by (1 - d / n) at each of them.
    """
    times = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    events = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    whole = kaplan_meier(pd.Series(times), pd.Series(events, dtype=bool))
    assert whole["epoch"].tolist() == [0, *sorted(set(times))]
    assert whole["censored"].sum() == 12
    assert whole.set_index("epoch")["censored"][[6, 10, 11, 32, 35]].tolist() == [1, 1, 1, 2, 1]
    assert whole.iloc[-1][["epoch", "at_risk", "survival"]].tolist() == [35, 1, whole["survival"].min()]
    curve = whole[(whole["events"] > 0) | (whole["epoch"] == 0)].reset_index(drop=True)
    assert curve["epoch"].tolist() == [0, 6, 7, 10, 13, 16, 22, 23]
    assert curve["at_risk"].tolist() == [21, 21, 17, 15, 12, 11, 7, 6]
    by_hand = [1.0]
    for dead, risk in ((3, 21), (1, 17), (1, 15), (1, 12), (1, 11), (1, 7), (1, 6)):
        by_hand.append(by_hand[-1] * (1 - dead / risk))
    assert curve["survival"].tolist() == pytest.approx(by_hand)
    assert curve["survival"].round(3).tolist() == [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    # Greenwood's variance at 10, on the scale of log(-log S).
    variance = 3 / (21 * 18) + 1 / (17 * 16) + 1 / (15 * 14)
    s = by_hand[3]
    reach = 1.959963984540054 * np.sqrt(variance) / abs(np.log(s))
    assert curve.loc[3, ["low", "high"]].tolist() == pytest.approx([s ** np.exp(reach), s ** np.exp(-reach)])


def test_survival_censors_at_the_last_epoch(judge) -> None:
    found = survival(judge({"a": [[1, 1, 1, 1], [5, 5, 5, 5], [1, 1, 5, 5], [1, 2]], "b": [[1], [2, 2]]}))
    of_a = found[found["label"] == "a"]
    assert of_a["epoch"].tolist() == [0, 1, 2, 3, 4]
    assert of_a["at_risk"].tolist() == [4, 4, 3, 2, 1]
    assert of_a["events"].tolist() == [0, 1, 0, 1, 0]
    assert of_a["censored"].tolist() == [0, 0, 1, 0, 1]
    assert of_a["survival"].tolist() == pytest.approx([1, 0.75, 0.75, 0.375, 0.375])
    of_b = found[found["label"] == "b"]
    assert of_b[["epoch", "survival", "censored"]].to_numpy().tolist() == [[0, 1, 0], [1, 1, 1], [2, 1, 1]]


def test_a_search_that_goes_back_is_censored_where_it_went(judge) -> None:
    """What it did after the epoch whose architecture it returned is no part of its verdict."""
    found = survival(judge({"a": [[1, 1, 1, 5, 5]]}, answer=2))
    assert found[["epoch", "at_risk", "survival", "censored"]].to_numpy().tolist() == [[0, 1, 1, 0], [2, 1, 1, 1]]


def test_no_search_left_is_known_to_the_end_of_the_last(judge) -> None:
    found = survival(judge({"a": [[1, 5, 5, 5, 5], [5, 5, 5]]}))
    assert found[["epoch", "at_risk", "survival"]].to_numpy().tolist() == [[0, 2, 1], [1, 2, 0.5], [2, 1, 0], [5, 0, 0]]


def test_all_collapsed_at_once_has_no_interval() -> None:
    curve = kaplan_meier(pd.Series([2, 2]), pd.Series([True, True]))
    assert curve["survival"].tolist() == [1, 0]
    assert curve["low"].isna().all()
