"""Executors: the same bytes in one process and in several, and a broken trial costs no other."""

from pathlib import Path
from typing import Any

import pytest

from suite.executors.local import run_all
from suite.plan import Plan
from suite.trial import run_trial

pytestmark = pytest.mark.own_engine
EXECUTORS = pytest.mark.parametrize("executor", ["serial", "pooled"])


def test_executors_give_the_same_bytes(serial, pooled, outcome) -> None:
    assert len(outcome(serial.runs)) == 2
    assert outcome(serial.runs) == outcome(pooled.runs)


@EXECUTORS
def test_every_trial_begins_once_and_ends_once(request: pytest.FixtureRequest, executor: str) -> None:
    events = request.getfixturevalue(executor).events
    for index in range(3):
        mine = [event[1:] for event in events if event[0] == index]
        assert mine[0] == ("search", 0, 4)
        assert [phase for phase, *_ in mine if phase in ("done", "failed")] == ["failed" if index == 0 else "done"]


@EXECUTORS
def test_a_diverged_search_does_not_cost_the_others(request: pytest.FixtureRequest, executor: str) -> None:
    ran = request.getfixturevalue(executor)
    assert [(failure.users, "diverged" in failure.words) for failure in ran.failures] == [(True, True)]
    assert ran.failures[0].plan == ran.plans[0]


def test_one_broken_trial_does_not_cost_the_others(
    plans: list[Plan], outcome: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import suite.executors.local

    def broken(plan: Plan, *args: object, **kwargs: object) -> object:
        if plan.method == "darts-1st":
            raise RuntimeError("out of order")
        return run_trial(plan, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(suite.executors.local, "run_trial", broken)
    failures = run_all(plans, tmp_path / "runs", tmp_path, jobs=1, on_event=lambda _: None)
    assert [failure.plan.method for failure in failures] == ["darts-1st"]
    assert "out of order" in failures[0].words
    assert not failures[0].users
    assert len(outcome(tmp_path / "runs")) == 1
