"""What a piece returns is checked where a search first sees it: a line names the piece and what it must return."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from methods import Search, get_method
from methods.darts import DARTS_1ST, first_order, softmax
from methods.search.stages import Stage
from spaces.common.errors import InputError


def changed(weights: Mapping[str, torch.Tensor], **changes: Any) -> dict[str, Any]:
    return {kind: changes.get(kind, own) for kind, own in weights.items()}


def searched(make_search: Callable[..., Search], epochs: int = 1, **changes: Any) -> Search:
    """Epochs of one step on S2."""
    return make_search(replace(DARTS_1ST, name="mine", **changes), "s2", epochs=epochs, batches=(1, 1))


TWO = re.escape("'normal' [14, 2], 'reduce' [14, 2]")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gradient": lambda step: None}, f"gradient <lambda> must return a dictionary of tensors, {TWO}: it returned"),
        ({"gradient": lambda step: step.loss(step.valid)}, "gradient .* it returned a tensor"),
        ({"gradient": lambda step: {"normal": first_order(step)["normal"]}}, "gradient .* it has no 'reduce'"),
        ({"gradient": lambda step: {**first_order(step), "cell": 0}}, "gradient .* it has 'cell' too"),
        ({"gradient": lambda step: changed(first_order(step), normal=None)}, "gradient .* its 'normal' is None"),
        (
            {"gradient": lambda step: changed(first_order(step), normal=torch.zeros(14))},
            r"gradient .* its 'normal' is a tensor \[14\], not \[14, 2\]",
        ),
        (
            {"gradient": lambda step: {k: g.double() for k, g in first_order(step).items()}},
            "gradient .* its 'normal' is of torch.float64, not of torch.float32",
        ),
        ({"outer": (lambda step: None,)}, "outer <lambda> must return .*: it returned None"),
        ({"outer": (lambda step: list(step.alpha.values()),)}, "outer .*: it returned a list of 2 entries"),
        ({"outer": (lambda step: changed(step.alpha, reduce=torch.zeros(2, 14)),)}, r"outer .*'reduce' is .*\[2, 14\]"),
        (
            {"outer": (lambda step: changed(step.alpha, reduce=torch.zeros(14, 2, dtype=torch.float64)),)},
            "outer .*'reduce' is of torch.float64",
        ),
        ({"inner": (lambda step: None,)}, "inner <lambda> must return a list of [0-9]+ tensors.*: it returned None"),
        ({"inner": (lambda step: list(step.net.parameters())[1:],)}, "inner .* it returned [0-9]+$"),
        ({"inner": (lambda step: dict(step.net.named_parameters()),)}, "inner .* it returned a dictionary"),
        (
            {"inner": (lambda step: [None, *list(step.net.parameters())[1:]],)},
            r"inner .* its '[a-z]+[\w.]*' is None",
        ),
        ({"relaxation": lambda alpha, at, split: None}, "relaxation <lambda> must return .*: it returned None"),
        (
            {"relaxation": lambda alpha, at, split: changed(softmax(alpha, at, split), normal=torch.ones(14, 3))},
            r"relaxation .*its 'normal' is a tensor \[14, 3\], not \[14, 2\]",
        ),
        (
            {"relaxation": lambda alpha, at, split: {"normal": softmax(alpha, at, split)["normal"]}},
            "relaxation .*it has no 'reduce'",
        ),
        (
            {"relaxation": lambda alpha, at, split: alpha.values()},
            "relaxation .*it returned an object of type dict_values",
        ),
        ({"start": lambda space, seed: space.mask}, "start .*'normal' is of torch.bool, not of floating point"),
        ({"start": lambda space, seed: {}}, "start .* it has no 'normal', 'reduce'"),
        ({"perturbation": lambda step: None}, "perturbation .* it returned None"),
        ({"schedule": lambda step: None}, "schedule <lambda> must return True or False: it returned None"),
        ({"selection": lambda space, weights: weights}, "selection .* must return a genotype of s2.*a dictionary"),
        ({"skip_dropout": lambda at: 2.0}, "skip_dropout .* a number from 0 to 1: it returned 2.0"),
        ({"auxiliary_skip": lambda at: None}, "auxiliary_skip .* a number, 0 or more: it returned None"),
        ({"weight_decay": lambda history, settings: -1.0}, "weight_decay .* a number, 0 or more: it returned -1.0"),
        ({"stop": lambda history, settings: None, "epochs": 2}, "stop .* must return True or False"),
        ({"log": (lambda memory: 3,)}, "log .* must return a dictionary of names .*: it returned 3"),
        ({"log": (lambda memory: {"epoch": 3},)}, "log .*'epoch' is a column already"),
        ({"log": (lambda memory: {"mine.x": "high"},)}, "log .*its 'mine.x' is the text 'high'"),
        ({"log": (lambda memory: {"mine.x": 1}, lambda memory: {"mine.x": 2})}, "'mine.x' is a column already"),
    ],
)
def test_a_piece_that_returns_something_else_is_named(
    make_search: Callable[..., Search], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        list(searched(make_search, **changes))
    assert re.match(rf"{re.escape(__file__)}: line [0-9]+: mine: ", str(caught.value))
    assert len(str(caught.value).splitlines()) == 1


def test_the_row_that_a_search_returns_must_be_there(make_search: Callable[..., Search]) -> None:
    search = searched(make_search, select_epoch=lambda history, settings: len(history))
    list(search)
    with pytest.raises(InputError, match=r"select_epoch .* 0 to 0: it returned 1"):
        search.genotype  # noqa: B018


def test_a_registered_piece_is_named_without_a_place(make_search: Callable[..., Search]) -> None:
    def split(step: Any) -> Any:
        return {"normal": first_order(step)["normal"]}

    split.__module__ = "methods.elsewhere"
    with pytest.raises(InputError, match=r"^mine: gradient split must return"):
        list(searched(make_search, gradient=split))


@pytest.mark.parametrize(
    "changes",
    [
        {"outer": (lambda step: {kind: alpha.new_zeros(()) for kind, alpha in step.alpha.items()},)},
        {"inner": (lambda step: tuple(w.new_zeros(()) for w in step.net.parameters()),)},
        {"schedule": lambda step: torch.tensor(True)},
        {"outer": (lambda step: dict(reversed(step.alpha.items())),)},
    ],
)
def test_what_can_be_added_is_added(make_search: Callable[..., Search], changes: dict[str, Any]) -> None:
    rows = list(searched(make_search, **changes))
    assert len(rows) == 1


def test_an_outer_term_is_added_by_its_names(make_search: Callable[..., Search]) -> None:
    """The order of a dictionary is nobody's business."""

    def ordered(step: Any) -> Any:
        return {"normal": torch.ones(14, 2), "reduce": -torch.ones(14, 2)}

    def turned(step: Any) -> Any:
        return dict(reversed(ordered(step).items()))

    one, other = (list(searched(make_search, outer=(term,)))[-1] for term in (ordered, turned))
    assert one["alpha.normal"] == other["alpha.normal"]
    assert one["alpha.reduce"] == other["alpha.reduce"]


def test_weights_may_be_given_to_each_cell(make_search: Callable[..., Search]) -> None:
    def each(alpha: Any, at: Any, split: str) -> Any:
        cells = {kind: at.space.cells_of(kind, at.settings.cells) for kind in alpha}
        return {kind: own.repeat(cells[kind], 1, 1) for kind, own in softmax(alpha, at, split).items()}

    shared, own = (list(searched(make_search, relaxation=piece)) for piece in (softmax, each))
    assert own[0]["train_loss"] == pytest.approx(shared[0]["train_loss"], rel=1e-4)


def test_the_pieces_of_a_step_are_checked_once_in_each_stage(make_search: Callable[..., Search]) -> None:
    """The check of a gradient asks whether it has alpha's kinds: in two stages of two steps it does so twice."""
    looked = []

    class Counted(dict):  # type: ignore[type-arg]
        def __contains__(self, name: object) -> bool:
            looked.append(name)
            return super().__contains__(name)

    stages = (Stage(epochs=1, cells=3, operations=2),) * 2
    recipe = replace(DARTS_1ST, name="mine", stages=stages, gradient=lambda step: Counted(first_order(step)))
    search = make_search(recipe, "s2")
    list(search)
    assert search.steps_taken == 4
    assert looked == ["normal", "reduce"] * 2


def test_a_piece_of_alpha_is_checked_when_its_schedule_lets_it(make_search: Callable[..., Search]) -> None:
    search = searched(make_search, 2, schedule=lambda step: step.epoch == 1, gradient=lambda step: None)
    assert search.advance() is not None
    with pytest.raises(InputError, match="gradient <lambda> must return"):
        search.advance()


def test_checks_change_no_bit_of_a_registered_search(make_search: Callable[..., Search]) -> None:
    """A search whose results are handed through equals one whose checks are taken out."""
    with_checks = list(make_search("pr-darts", "nats-tss"))
    search = make_search(get_method("pr-darts"), "nats-tss")
    search.learner.checks._first = lambda what, piece: False  # type: ignore[attr-defined]
    assert list(search) == with_checks
