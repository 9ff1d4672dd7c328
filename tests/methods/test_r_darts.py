"""R-DARTS: the signal by hand, where a search goes back to, and what its weight decay does to the weights."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch

from methods import Search, get_method
from methods.probes import get_probe
from methods.r_darts import alarms, eigenvalues
from methods.search.probe import Watched
from methods.search.settings import Settings, resolve
from spaces.common.eigenvalue_alarm import local_averages

COLUMN = "probe.hessian.dominant_decayed"


@pytest.fixture
def quick_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant in place of the Hessian, where any eigenvalue does."""
    monkeypatch.setattr("methods.probes.curvature.hessian", lambda step, batch: torch.eye(3))


def settings_of(name: str, **changes: Any) -> Settings:
    return resolve(get_method(name).options, {"test": {"epochs": 50, **changes}})[0]


def rows(values: list[float]) -> list[dict[str, Any]]:
    """A history whose second, fourth, … epoch has an eigenvalue."""
    return [
        {"epoch": epoch, **({COLUMN: values[epoch // 2 - 1]} if epoch % 2 == 0 else {})}
        for epoch in range(1, 2 * len(values) + 1)
    ]


def test_local_averages_by_hand() -> None:
    assert local_averages([1.0, 2, 3, 4, 5, 6, 16], 5) == [None, None, 2, 2.5, 3, 4, 34 / 5]


def test_settings_are_those_of_the_paper() -> None:
    options = {option.name: option.default for option in get_method("r-darts-ada").options}
    assert (options["window"], options["delta"], options["ratio"], options["start_epoch"]) == (5, 4, 0.75, 10)
    assert (options["decay_factor"], options["decay_max"]) == (10, 0.03)
    assert get_method("r-darts-es").probes == (Watched(get_probe("hessian"), 2),)
    assert get_method("r-darts-es").removes("darts") == ("none",)
    assert get_method("r-darts-l2").weight_decay([], settings_of("r-darts-l2")) == pytest.approx(81e-4)


def test_alarm_by_hand() -> None:
    """Ten eigenvalues of 1, then 2s: the first average above 4/3 of that four before is (1 + 1 + 1 + 2 + 2) / 5.

    That is the twelfth measurement, after epoch 24; it goes back 4 + 2 measurements, to epoch 12.
    """
    method, settings = get_method("r-darts-es"), settings_of("r-darts-es")
    history = rows([1.0] * 10 + [2.0] * 5)
    assert list(alarms(eigenvalues(history[:24]), settings)) == [(11, 5)]
    assert [method.stop(history[:epoch], settings) for epoch in (22, 23, 24)] == [False, False, True]
    assert method.select_epoch(history[:24], settings) == 11
    assert history[method.select_epoch(history[:24], settings)]["epoch"] == 12
    assert method.select_epoch(history[:22], settings) == 21


def test_nothing_is_called_before_its_start_or_without_growth() -> None:
    settings = settings_of("r-darts-es")
    early = rows([1.0] * 3 + [2.0] * 6)
    assert not list(alarms(eigenvalues(early), settings))
    assert list(alarms(eigenvalues(early), settings_of("r-darts-es", start_epoch=0)))
    assert not list(alarms(eigenvalues(rows([2.0] * 10 + [1.0] * 10)), settings))
    assert not list(alarms(eigenvalues(rows([-2.0] * 10 + [-1.0] * 10)), settings))


def test_a_recipe_reads_its_own_stride_alone() -> None:
    """Measured after every epoch for somebody else, the odd epochs change nothing."""
    history = rows([1.0] * 10 + [2.0] * 5)
    crowded = [{**row, COLUMN: row.get(COLUMN, 77.0)} for row in history]
    assert eigenvalues(crowded) == eigenvalues(history)


def test_weight_decay_is_raised_and_compared_afresh() -> None:
    method, settings = get_method("r-darts-ada"), settings_of("r-darts-ada")
    first = rows([1.0] * 10 + [2.0] * 2)
    assert method.weight_decay(first[:22], settings) == pytest.approx(3e-4)
    assert method.weight_decay(first, settings) == pytest.approx(3e-3)
    assert method.weight_decay(rows([1.0] * 10 + [2.0] * 8), settings) == pytest.approx(3e-3)
    again = rows([1.0] * 10 + [2.0] * 12 + [4.0] * 4)
    assert method.weight_decay(again, settings) == pytest.approx(3e-2)
    assert method.weight_decay(rows([1.0] * 10 + [2.0] * 12 + [4.0] * 12 + [9.0] * 12), settings) == 0.03
    assert not method.stop(again, settings)


def test_a_search_stops_goes_back_and_resumes(make_search: Callable[..., Search]) -> None:
    """With a threshold that anything passes the search stops as soon as it can, and returns an earlier epoch."""
    eager = {"epochs": 8, "window": 1, "delta": 1, "ratio": 1e9, "start_epoch": 2}
    search = make_search("r-darts-es", "nats-tss", **eager)
    rows = list(search)
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert [COLUMN in row for row in rows] == [False, True, False, True]
    assert search.answer_epoch == 2
    assert search.genotype == rows[1]["genotype"]


@pytest.mark.usefixtures("quick_hessian")
def test_a_raised_weight_decay_acts_and_is_resumed(make_search: Callable[..., Search]) -> None:
    eager = {
        "epochs": 5,
        "window": 1,
        "delta": 1,
        "ratio": 1e9,
        "start_epoch": 0,
        "decay_max": 1.0,
        "decay_factor": 1e3,
    }
    whole, plain = make_search("r-darts-ada", "nats-tss", **eager), make_search("darts-2nd", "nats-tss", epochs=5)
    states = []
    for stop in range(1, 11):
        whole.advance()
        if stop in (8, 9):  # at the end of the epoch that raises it, and in the one after
            states.append(deepcopy(whole.state_dict()))
    adapted, same = whole.history, list(plain)
    losses = [[row["train_loss"] for row in found] for found in (adapted, same)]
    assert losses[0][:4] == losses[1][:4]
    assert losses[0][4] != losses[1][4]
    learner: Any = whole.learner
    assert learner.settings.weight_decay == learner.optimiser.param_groups[0]["weight_decay"] == pytest.approx(0.5)
    for state in states:
        resumed = make_search("r-darts-ada", "nats-tss", **eager)
        resumed.load_state_dict(state)
        list(resumed)
        assert resumed.history == adapted


def test_k_is_a_power_of_three_of_weight_decay(make_search: Callable[..., Search]) -> None:
    strong: Any = make_search("r-darts-l2", "nats-tss", k=2, weight_decay=1e-3)
    same: Any = make_search("darts-2nd", "nats-tss", weight_decay=9e-3)
    off: Any = make_search("r-darts-l2", "nats-tss", k=0)
    for one, other in ((strong, same), (off, make_search("darts-2nd", "nats-tss"))):
        assert [row["train_loss"] for row in one] == [row["train_loss"] for row in other]
    pairs = zip(strong.learner.net.parameters(), same.learner.net.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.usefixtures("quick_hessian")
def test_probes_asked_for_beside_do_not_reach_the_recipe(make_search: Callable[..., Search]) -> None:
    """Measured after every epoch, the search still stops after the fourth, not after the third."""
    eager = {"epochs": 5, "window": 1, "delta": 1, "ratio": 1e9, "start_epoch": 2}
    asked = [Watched(get_probe("hessian"), 1)]
    alone, watched = (
        make_search("r-darts-es", "nats-tss", **eager),
        make_search("r-darts-es", "nats-tss", probes=asked, **eager),
    )
    assert [row["train_loss"] for row in alone] == [row["train_loss"] for row in watched]
    assert alone.genotype == watched.genotype
    assert all(COLUMN in row for row in watched.history)


@pytest.mark.usefixtures("quick_hessian")
def test_dropping_the_answer_piece_returns_the_last(make_search: Callable[..., Search]) -> None:
    eager = {"epochs": 8, "window": 1, "delta": 1, "ratio": 1e9, "start_epoch": 2}
    last = replace(get_method("r-darts-es"), select_epoch=get_method("darts-2nd").select_epoch)
    search = make_search(last, "nats-tss", **eager)
    list(search)
    assert search.answer_epoch == 4
