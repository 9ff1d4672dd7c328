"""A search that was warmed up is the same search. On a GPU that takes steps, which these tests take on the CPU."""

from collections.abc import Callable

import pytest
import torch

from methods import Search
from methods.probes import get_probe
from methods.search.learners.learner import SearchSetup
from methods.search.loop import HistoryRow
from methods.search.probe import Watched

STEPS = 2


@pytest.fixture
def stepping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A warm-up takes steps, as on a GPU."""
    monkeypatch.setattr(SearchSetup, "warm_up_steps", property(lambda setup: STEPS))


@pytest.fixture
def warmed(make_search: Callable[..., Search], stepping: None) -> Callable[..., list[HistoryRow]]:
    """The history of a search that is warmed up before every step."""

    def run(*given: object, **options: object) -> list[HistoryRow]:
        search = make_search(*given, **options)
        while not search.done:
            search.warm_up()
            search.advance()
        search.warm_up()  # of a search that is done: nothing is left to be warmed up for
        return search.history

    return run


SLOW = [
    *(("darts-2nd-exact", "nats-tss"), ("lambda-sdarts-rs", "nats-tss"), ("darts-minus", "s1"), ("prime+crb", "s2")),
    *(("random", "nats-tss"), ("milenas", "nats-tss"), ("amended-darts", "nats-tss"), ("darts-1st", "s4")),
    *(
        ("darts+es", "nats-tss"),
        ("p-darts", "darts"),
        ("fixed-deep", "darts"),
        ("lambda-darts", "s1"),
        ("darts+fimt+crb", "nats-tss"),
    ),
]


@pytest.mark.parametrize(
    ("method", "space"),
    [
        *(("darts-1st", "nats-tss"), ("pr-darts", "nats-tss"), ("rarts", "nats-tss"), ("random", "nats-tss")),
        *(("p-darts", "nats-tss"), ("lambda-darts", "nats-tss"), ("prime+crb", "nats-tss")),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW),
    ],
)
def test_a_warm_up_changes_no_bit(
    make_search: Callable[..., Search], warmed: Callable[..., list[HistoryRow]], method: str, space: str
) -> None:
    """Before any step, so also before the first one of a stage."""
    assert warmed(method, space, epochs=3) == list(make_search(method, space, epochs=3))


@pytest.mark.usefixtures("stepping")
def test_a_stage_is_entered_once_and_its_supernet_kept(
    make_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was captured of the supernet would be lost with it."""
    search, stages = make_search("p-darts", "nats-tss", epochs=3), []
    enter = search.learner._enter  # type: ignore[attr-defined]
    monkeypatch.setattr(search.learner, "_enter", lambda stage, space: stages.append(stage) or enter(stage, space))
    while not search.done:
        search.warm_up()
        search.advance()
    assert stages == [1, 2]


def test_what_watches_every_step_sees_none_of_a_warm_up(
    make_search: Callable[..., Search], warmed: Callable[..., list[HistoryRow]]
) -> None:
    probes = [Watched(get_probe("layer-gradients")), Watched(get_probe("weights"))]
    expected = list(make_search("darts-1st", "nats-tss", probes=probes))
    assert any(name.startswith("probe.layer-gradients") for name in expected[0])
    assert warmed("darts-1st", "nats-tss", probes=probes) == expected


@pytest.mark.usefixtures("stepping")
def test_steps_are_taken(make_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture itself: without steps the tests above would show nothing."""
    search, taken = make_search("darts-1st", "nats-tss"), []
    step = search.learner.step
    monkeypatch.setattr(search.learner, "step", lambda *given: taken.append(given) or step(*given))
    before = [p.clone() for p in search.learner.net.parameters()]  # type: ignore[attr-defined]
    search.warm_up()
    assert len(taken) == STEPS
    assert all(map(torch.equal, search.learner.net.parameters(), before))  # type: ignore[attr-defined]


def test_a_cpu_takes_no_steps_for_it(make_search: Callable[..., Search], monkeypatch: pytest.MonkeyPatch) -> None:
    search = make_search("darts-1st", "nats-tss")
    monkeypatch.setattr(search.learner, "step", None)
    search.warm_up()
