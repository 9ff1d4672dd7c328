"""What a trial costs: never the compiler, the self-test or a capture, whichever trial needs them first."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from methods import Search
from spaces.common import cost_clock
from spaces.engine import kernel_choice
from spaces.engine.cpp_kernels.library import library
from suite.plan import Plan
from suite.trial import run_trial

pytestmark = pytest.mark.own_engine
TICK, COMPILING = 1e-3, 1000.0


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A time that goes on by a tick with every look at it, so that equal work takes equal seconds; lets more pass."""
    time = [0.0]

    def look() -> float:
        time[0] += TICK
        return time[0]

    def pass_by(seconds: float) -> None:
        time[0] += seconds

    monkeypatch.setattr(cost_clock, "perf_counter", look)
    return pass_by


@pytest.fixture
def compiles(wait: Callable[[float], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """An empty cache and a compiler that takes its time; the libraries that it makes."""
    ready, made = library(), []
    if isinstance(ready, str):
        pytest.skip(ready)

    def compile_slowly(compiler: str, out: Path) -> None:
        wait(COMPILING)
        out.parent.mkdir(parents=True)
        shutil.copy(ready._name, out)
        made.append(out)

    monkeypatch.setattr("spaces.engine.cpp_kernels.library._compile", compile_slowly)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    library.cache_clear()
    kernel_choice.forget()
    yield made
    library.cache_clear()
    kernel_choice.forget()


@pytest.mark.parametrize("late", [False, True], ids=["before the clock", "while it runs"])
def test_the_first_trial_of_an_empty_cache_costs_what_the_second_does(
    compiles: list[Path], plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    if late:  # as in a stage that needs another kernel
        monkeypatch.setattr(Search, "warm_up", lambda search: None)
    first, second = (run_trial(replace(plans[0], seed=seed), tmp_path, tmp_path) for seed in (0, 1))
    assert len(compiles) == 1
    assert compiles[0].is_relative_to(tmp_path / "cache")
    assert first.warm_up_seconds == pytest.approx(COMPILING, abs=1)
    assert second.warm_up_seconds < 1
    assert 0 < first.search_seconds == pytest.approx(second.search_seconds, abs=2 * TICK)
    assert 0 < first.evaluate_seconds == pytest.approx(second.evaluate_seconds, abs=2 * TICK)
    assert 0 < first.search_seconds < 1


def test_probes_and_warm_ups_are_summed_over_the_parts_of_a_search(
    wait: Callable[[float], None], plans: list[Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process that continues a search gets ready anew. Nothing of that is an epoch's or a probe's."""
    monkeypatch.setattr(Search, "warm_up", lambda search: wait(100))
    watched = replace(plans[0], probes={"cell": 1})
    whole = run_trial(watched, tmp_path / "whole", tmp_path)

    class Interruption(Exception):
        pass

    def interrupt(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("search", 2) and not interrupted:
            interrupted.append(done)
            raise Interruption

    interrupted: list[int] = []
    with pytest.raises(Interruption):
        run_trial(watched, tmp_path / "parts", tmp_path, on_progress=interrupt)
    parts = run_trial(watched, tmp_path / "parts", tmp_path, on_progress=interrupt)
    assert whole.warm_up_seconds == pytest.approx(100, abs=1)
    assert parts.warm_up_seconds == pytest.approx(200, abs=1)
    assert 0 < whole.probe_seconds == pytest.approx(parts.probe_seconds, abs=2 * TICK)
    assert parts.search_seconds == pytest.approx(whole.search_seconds, abs=2 * TICK)
    assert parts.history_digest == whole.history_digest
