"""The clock of costs stands still while the machine gets ready, and only then."""

from collections.abc import Callable

import pytest

from spaces.common import cost_clock
from spaces.common.cost_clock import now, prepared, preparing
from spaces.engine.cuda_graphs.capture import NotCaptured, captured


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass at once."""
    time = [0.0]
    monkeypatch.setattr(cost_clock, "perf_counter", lambda: time[0])

    def pass_by(seconds: float) -> None:
        time[0] += seconds

    return pass_by


def test_only_work_is_counted(wait: Callable[[float], None]) -> None:
    start, before = now(), prepared()
    wait(1)
    with preparing():
        wait(10)
        with preparing():
            wait(100)
        wait(1000)
    wait(2)
    assert now() - start == pytest.approx(3)
    assert prepared() - before == pytest.approx(1110)


def test_a_failure_starts_the_clock_again(wait: Callable[[float], None]) -> None:
    start = now()

    def fail() -> None:
        with preparing():
            wait(10)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    wait(1)
    assert now() - start == pytest.approx(1)


def test_a_capture_is_not_counted(wait: Callable[[float], None]) -> None:
    start = now()
    captured(lambda run: run, lambda: None)
    captured(lambda run: wait(10) or run, lambda: None)  # type: ignore[func-returns-value]

    def refuse(run: object) -> Callable[[], None]:
        wait(100)
        raise RuntimeError("no")

    with pytest.raises(NotCaptured):
        captured(refuse, lambda: None)
    assert now() == start
