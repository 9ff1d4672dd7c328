"""The mechanism of probes: they are measured when they are due, and change nothing of a search."""

import io
from collections.abc import Callable
from typing import Any

import pytest
import torch

from methods import METHODS, Search
from methods.probes import PROBES, get_probe
from methods.search.probe import Probe, View, Watched
from spaces.common.errors import InputError

ALL = tuple(Watched(get_probe(name)) for name in PROBES)
# Their steps differ: noise and more passes, the draws of a gate, stages, a second set of weights, no alpha.
VARIED = ["pr-darts", "p-darts", "random"]  # draws in a step, several stages, no supernet; all others are slow tests


def without_probes(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if not name.startswith("probe.")}


@pytest.mark.parametrize(
    ("method", "space"),
    [
        pytest.param(name, space, marks=[] if name in VARIED and space == "nats-tss" else [pytest.mark.slow])
        for name, method in METHODS.items()
        for space in ("nats-tss", "s4")
        if space in method.spaces
    ],
)
def test_a_search_is_the_same_with_and_without(make_search: Callable[..., Search], method: str, space: str) -> None:
    plain, watched = make_search(method, space), make_search(method, space, probes=ALL)
    rows, seen = list(plain), list(watched)
    # A recipe's own probes are in both.
    own = {name for row in rows for name in row if name.startswith("probe.")}
    assert [{**without_probes(row), **{n: row[n] for n in own if n in row}} for row in seen] == rows
    assert any(name.startswith("probe.cell.") for name in seen[0])
    one, other = plain.learner.state_dict(), watched.learner.state_dict()
    for name, value in one["net"].items():
        assert torch.equal(value, other["net"][name])


def test_every_probe_has_its_columns(make_search: Callable[..., Search]) -> None:
    row = list(make_search("darts-1st", "nats-tss", epochs=1, probes=ALL))[-1]
    named = {name.split(".")[1] for name in row if name.startswith("probe.")}
    assert named == set(PROBES) - {"similarity"}  # one cell a stage has no pair
    assert len(row["probe.hessian.spectrum"]) == 30
    similarity = [Watched(get_probe("similarity"))]
    row = list(make_search("darts-1st", "nats-tss", epochs=1, probes=similarity, cells=2))[-1]
    assert {f"probe.similarity.{what}.{stage}" for what in ("outputs", "gradients") for stage in (1, 2, 3)} <= set(row)


def test_stride_and_absence(make_search: Callable[..., Search]) -> None:
    rows = list(make_search("darts-1st", "nats-tss", epochs=4, probes=[Watched(get_probe("cell"), 2)]))
    assert [any(name.startswith("probe.") for name in row) for row in rows] == [False, True, False, True]


def test_random_search_has_cells_but_no_curvature(make_search: Callable[..., Search]) -> None:
    row = list(make_search("random", "nats-tss", probes=ALL))[-1]
    assert {name.split(".")[1] for name in row if name.startswith("probe.")} == {"cell", "weights"}


def test_resumed_at_any_step_the_columns_are_the_same(make_search: Callable[..., Search]) -> None:
    probes = [Watched(get_probe(name)) for name in ("layer-gradients", "weights", "alignment")]
    whole = list(make_search("darts-1st", "nats-tss", probes=probes))
    for stop in (1, 2, 3):
        interrupted = make_search("darts-1st", "nats-tss", probes=probes)
        for _ in range(stop):
            interrupted.advance()
        buffer = io.BytesIO()
        torch.save(interrupted.state_dict(), buffer)
        resumed = make_search("darts-1st", "nats-tss", probes=probes)
        resumed.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
        list(resumed)
        assert resumed.history == whole


def test_a_number_that_does_not_exist_has_no_column(make_search: Callable[..., Search]) -> None:
    odd = Probe("odd", lambda view: {"nan": float("nan"), "list": [1.0, float("inf")], "one": 1})
    row = list(make_search("darts-1st", "nats-tss", probes=[Watched(odd)]))[-1]
    assert [name for name in row if name.startswith("probe.odd")] == ["probe.odd.one"]


def test_a_probe_is_given_one_batch_of_each_split_and_the_previous_weights(make_search: Callable[..., Search]) -> None:
    views: list[View] = []
    spy = Probe("spy", lambda view: views.append(view) or {})  # type: ignore[func-returns-value]
    search = make_search("darts-1st", "nats-tss", epochs=3, probes=[Watched(spy)])
    rows = list(search)
    batches = [(view.at.train.images, view.at.valid.images) for view in views]
    assert all(torch.equal(one, batches[0][0]) and torch.equal(other, batches[0][1]) for one, other in batches)
    assert views[0].before is None
    assert views[2].before["cell"] == rows[1]["weights.cell"]


def test_only_what_was_asked_for_counts_as_probing(make_search: Callable[..., Search]) -> None:
    search = make_search("darts-1st", "nats-tss", epochs=1)
    list(search)
    assert search.watch.seconds == 0
    search = make_search("darts-1st", "nats-tss", epochs=1, probes=[Watched(get_probe("fisher"))])
    list(search)
    assert search.watch.seconds > 0


def test_unknown_probe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'hessian'"):
        get_probe("hesian")


def test_probes_do_not_change_each_other(make_search: Callable[..., Search]) -> None:
    """The gap switches off what a derived network lacks, such as the fading skip, and puts it back."""
    names = ("gap", "alignment", "similarity")
    orders = (names, names[::-1])
    rows = [
        list(make_search("darts-minus", "nats-tss", cells=2, probes=[Watched(get_probe(n)) for n in order]))
        for order in orders
    ]
    assert rows[0] == rows[1]
