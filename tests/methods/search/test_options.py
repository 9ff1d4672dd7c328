"""Options: declarations that contradict themselves are refused, values are read as the default's type and checked."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from methods.search.options import Option, declared, layered, setting
from methods.search.settings import Settings
from spaces.common.errors import InputError
from suite.evaluation import Evaluation
from suite.plan import plan

RATE = Option("rate", 0.5, "A rate.", above=0, at_most=1)
COUNT = Option("count", 3, "A count.", at_least=1)
ORDER = Option("order", "up", "An order.", choices=("up", "down"))
SWITCH = Option("switch", False, "A switch.")


def test_a_value_is_of_the_type_of_the_default() -> None:
    values, origin = layered((RATE, COUNT, ORDER, SWITCH), {"a": {"rate": 1, "count": "7"}, "b": {"switch": "true"}})
    assert values == {"rate": 1.0, "count": 7, "order": "up", "switch": True}
    assert [type(value) for value in values.values()] == [float, int, str, bool]
    assert origin == {"rate": "a", "count": "a", "switch": "b"}
    assert RATE.of(SimpleNamespace(options=values)) == 1.0


def test_a_layer_that_repeats_a_value_did_not_set_it() -> None:
    assert layered((RATE,), {"a": {"rate": 0.25}, "b": {"rate": 0.25}})[1] == {"rate": "a"}
    assert layered((RATE,), {"a": {"rate": 0.5}})[1] == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rate": 0.0}, "b: of.rate = 0.0 must be above 0 and at most 1"),
        ({"rate": "x"}, "b: of.rate = 'x' is not of type float (such as 0.5)"),
        ({"rate": True}, "b: of.rate = True is not of type float (such as 0.5)"),
        ({"rate": "nan"}, "b: of.rate = nan must be finite"),
        ({"rate": 10**400}, "b: of.rate = " + "1" + "0" * 59 + "… is not of type float (such as 0.5)"),
        ({"count": 0}, "b: of.count = 0 must be 1 or more"),
        ({"count": 2.0}, "b: of.count = 2.0 is not of type int (such as 3)"),
        ({"order": "left"}, "b: of.order = 'left' must be one of up, down"),
        ({"switch": 1}, "b: of.switch = 1 is not of type bool (such as False)"),
        ({"rates": 1}, "b: unknown setting 'rates': did you mean 'rate'?"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        layered((RATE, COUNT, ORDER, SWITCH), {"a": {}, "b": given}, prefix="of.")
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("arguments", "limits", "said"),
    [
        (("my option", 1, "Words."), {}, "--set NAME=VALUE"),
        ((1, 1, "Words."), {}, "an option's name is text"),
        (("a", [1, 2], "Words."), {}, "the default of a must be a number.*of type list"),
        (("a", None, "Words."), {}, "of type NoneType"),
        (("a", np.float64(1), "Words."), {}, "of type float64"),
        (("a", float("nan"), "Words."), {}, "a = nan must be finite"),
        (("a", 1, " "), {}, "a needs a sentence"),
        (("a", 1, "Words."), {"at_least": 2}, "default: a = 1 must be 2 or more"),
        (("a", "1", "Words."), {"at_least": 2}, "a has a range and must be a number"),
        (("a", "x", "Words."), {"choices": ("y", "z")}, "default: a = 'x' must be one of y, z"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(
    arguments: tuple[Any, ...], limits: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        Option(*arguments, **limits)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"at_least": 0}, "0 or more"),
        ({"at_most": 0}, "0 or less"),
        ({"at_least": -1, "at_most": 1}, "between -1 and 1"),
        ({"at_least": 0, "below": 0.5}, "at least 0 and below 0.5"),
        ({"above": -1, "below": 1e12}, "above -1 and below 1e+12"),
        ({}, ""),
    ],
)
def test_what_is_allowed_in_words(limits: dict[str, float], words: str) -> None:
    assert Option("a", 0.0, "Words.", **limits).allowed == words


def test_the_fields_of_a_dataclass_are_declared_as_options() -> None:
    @dataclass
    class Sizes:
        width: int = setting(3, "A width.", at_least=1)
        notes: str = ""

    assert declared(Sizes) == (Option("width", 3, "A width.", at_least=1),)


@pytest.mark.parametrize("kind", [Settings, Evaluation])
def test_the_default_of_a_setting_has_its_type(kind: type[Any]) -> None:
    for option in declared(kind):
        annotated = kind.__annotations__[option.name]
        choices = getattr(annotated, "__args__", ())
        assert option.choices == choices
        assert type(option.default) is (annotated if not choices else str)
        assert option.kind in ("bool", "str") or {"at_most", "below"} & option.bounds.keys()


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            {"evaluate.cutout": 10**30},
            "settings: evaluate.cutout = 1000000000000000000000000000000 must be between 0 and",
        ),
        ({"evaluate.learning_rate": 1e300}, "settings: evaluate.learning_rate = 1e[+]300 must be above 0"),
        ({"evaluate.nesterov": True, "evaluate.momentum": 0}, "settings: evaluate.nesterov needs momentum"),
        ({"epochs": 10**20}, "settings: epochs = 100000000000000000000 must be between 1 and"),
        ({"cells": 10**5}, "settings: cells = 100000 must be between 1 and"),
        ({"alpha_learning_rate": 1e300}, "settings: alpha_learning_rate = 1e[+]300 must be between 0 and"),
        ({"images": 10**12}, "settings: images = 1000000000000 must be between 0 and"),
        ({"threads": 0}, "settings: threads = 0 must be between 1 and 1024"),
    ],
)
def test_a_setting_beyond_what_can_be_computed_is_refused(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan("darts-1st", "s2", "digits", 0, overrides=overrides)


@pytest.mark.parametrize("seed", [-1, 2**63, pytest.param(2**20_000, id="of 6,021 digits")])
def test_a_seed_that_a_record_cannot_hold_is_refused(seed: int) -> None:
    with pytest.raises(InputError, match=r"trial: seed = .* must be between 0 and"):
        plan("darts-1st", "s2", "digits", seed)
