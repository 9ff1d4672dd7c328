"""A recipe's fields are checked one by one: what is wrong with one is a line that names it and what it may be."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from typing import Any

import pytest

from methods.darts import DARTS_1ST
from methods.probes.curvature import HESSIAN
from methods.random_search import RandomSearch
from methods.search.external.validation import validate
from methods.search.options import Option
from methods.search.piece_forms import describe
from methods.search.pieces import FORMS, Pieces
from methods.search.probe import Watched
from methods.search.stages import Stage
from spaces.common.errors import InputError


def term(step: Any) -> dict[str, Any]:
    """A term."""
    return {kind: 0.1 * alpha for kind, alpha in step.alpha.items()}


def scaled(step: Any, by: float) -> dict[str, Any]:
    """A term of some strength."""
    return {kind: by * alpha for kind, alpha in step.alpha.items()}


LAMBDA = Option("lambda", 1.0, "λ.")
TABLE = Option("table", "", "A file.")


def looked_into(path: Any, space: Any, settings: Any) -> str:
    return "read"


def test_every_piece_of_a_recipe_has_a_form() -> None:
    """What is callable in `DARTS_1ST`, a tuple of terms or nothing: no piece is added without being checked."""
    assert {own.name for own in fields(Pieces)} - {"name", "layerwise", "stages"} == set(FORMS)


@pytest.mark.parametrize(
    "changes",
    [
        {"outer": [term]},
        {"outer": (partial(scaled, by=2.0),)},
        {"inner": ()},
        {"without": {"darts": ["none"]}},
        {"per_space": {"analytic": {"epochs": 5}, "s2": {"learning_rate": 1}}},
        {"options": (LAMBDA, TABLE), "files": {"table": looked_into}, "settings": {"lambda": 2}},
        {"stop": lambda history, settings: False, "auxiliary_skip": None},
    ],
)
def test_what_a_recipe_may_hold_passes(changes: Mapping[str, Any]) -> None:
    validate(replace(DARTS_1ST, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 3}, "name must be text.*it is 3"),
        ({"name": None}, "name must be text.*it is None"),
        ({"name": "mine "}, "name must be one line without blanks at its ends"),
        ({"name": "mi\nne"}, "name must be one line"),
        ({"title": 1.0}, "title must be text"),
        ({"source": ("a", "b")}, "source must be text.*a tuple of 2 entries"),
        (
            {"relaxation": "softmax"},
            r"relaxation must be a function of \(alpha, context, split\): it is the text 'soft",
        ),
        ({"relaxation": term}, r"relaxation must be .*: term cannot be called so"),
        ({"gradient": None}, r"gradient must be a function of \(step\): it is None"),
        ({"gradient": RandomSearch}, "gradient must be a function.*the class RandomSearch"),
        ({"schedule": True}, "schedule must be a function.*it is True"),
        (
            {"outer": term},
            r"outer must be a tuple of functions of \(step\), such as \(term,\): it is the function term",
        ),
        ({"inner": term}, "inner must be a tuple of functions"),
        ({"watch": term}, "watch must be a tuple of functions"),
        ({"log": term}, r"log must be a tuple of functions of \(memory\)"),
        ({"outer": (term, "term")}, "outer must be .*: number 2 is the text 'term'"),
        ({"outer": (scaled,)}, "outer must be .*: scaled cannot be called so"),
        ({"outer": {"term": term}}, "outer must be a tuple.*a dictionary"),
        ({"auxiliary_skip": 0.5}, r"auxiliary_skip must be a function of \(context\) or None: it is 0.5"),
        ({"layerwise": "yes"}, "layerwise must be True or False"),
        ({"without": ("none",)}, r"without must be a mapping of spaces to tuples.*it is a tuple of 1 entry"),
        ({"without": ["none"]}, "without must be a mapping.*it is a list"),
        ({"without": {"DARTS": ("none",)}}, "without: unknown space 'DARTS'"),
        ({"without": {"darts": "none"}}, "without must be .*its 'darts' is the text 'none'"),
        ({"without": {"darts": ("conv_7x1",)}}, "without: unknown operation of darts 'conv_7x1'"),
        ({"without": {"s2": ("none",)}}, "without: unknown operation of s2 'none'"),
        ({"without": {"s2": ("skip_connect", "sep_conv_3x3")}}, "without: s2 .*no operation left"),
        ({"spaces": "nats-tss"}, "spaces must be a tuple of names of spaces.*the text 'nats-tss'"),
        ({"spaces": ("nats",)}, "spaces: unknown space 'nats': did you mean 'nats-tss'"),
        ({"spaces": (None,)}, "spaces must have names of spaces.*one is None"),
        ({"spaces": ()}, "spaces must be a tuple"),
        ({"options": {"lambda": 1.0}}, "options must be a tuple of options.*it is a dictionary"),
        ({"options": ("lambda",)}, "options must be .*one is the text 'lambda'"),
        ({"options": (LAMBDA, LAMBDA)}, "options: lambda is declared 2 times"),
        ({"options": (Option("epochs", 3, "Own."),)}, "options: epochs is a setting of every search"),
        ({"files": {"table": looked_into}}, "files: 'table' must be one of the options"),
        ({"files": looked_into}, "files must be a mapping"),
        (
            {"options": (TABLE,), "files": {"table": term}},
            r"files\['table'\] must be a function of \(path, space, settings\)",
        ),
        ({"settings": {"lr": 0.1}}, "settings: unknown setting 'lr'"),
        ({"settings": {"epochs": "many"}}, "settings: epochs = 'many' is not of type int"),
        ({"settings": {"epochs": 2.5}}, "settings: epochs = 2.5 is not of type int"),
        ({"settings": {"epochs": 0}}, "settings: epochs = 0 must be between 1 and"),
        ({"settings": {"order": "both"}}, "settings: order = 'both' must be one of"),
        ({"settings": ("epochs", 3)}, "settings must be a mapping"),
        ({"settings": {"s2": {"epochs": 3}}}, "settings must be .*its 's2' is a dictionary"),
        ({"per_space": {"Darts": {"epochs": 3}}}, "per_space: unknown space 'Darts'"),
        ({"per_space": {"momentum": 0.5}}, "per_space must be a mapping of spaces to mappings.*its 'momentum' is 0.5"),
        (
            {"per_space": {"darts": {"epoch": 3}}},
            r"per_space\['darts'\]: unknown setting 'epoch': did you mean 'epochs'",
        ),
        ({"per_space": {"darts": {"nesterov": 3}}}, r"per_space\['darts'\]: nesterov = 3 is not of type bool"),
        ({"per_space": {2: {"epochs": 3}}}, "per_space must have names of spaces"),
        ({"stages": Stage(1, 1, 1)}, "stages must be a tuple of stages"),
        ({"stages": ()}, "stages must be a tuple of stages"),
        ({"stages": (25, 25)}, "stages must be .*one is 25"),
        ({"stages": (Stage(0, 1, 1),)}, "stages: epochs must be a whole number, 1 or more"),
        ({"stages": (Stage(1, 1, 1, skip_dropout=2.0),)}, "stages: skip_dropout = 2.0 must lie between 0 and 1"),
        ({"probes": HESSIAN}, "probes must be a tuple of probes"),
        ({"probes": ("hessian",)}, "probes must be .*one is the text 'hessian'"),
        ({"probes": (Watched(HESSIAN, 0),)}, "probes: the stride of hessian must be 1 or more"),
    ],
)
def test_a_field_that_is_not_what_it_may_be_is_named(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        validate(replace(DARTS_1ST, **changes))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": 1}, "name must be text"),
        ({"spaces": ("darts", "s9")}, "spaces: unknown space 's9'"),
        ({"options": [("lambda", 1)]}, "options must be a tuple of options"),
        ({"quick": ("s2",)}, "quick must be a mapping of spaces to seeds"),
        ({"quick": {"s9": (0,)}}, "quick: unknown space 's9'"),
        ({"quick": {"s2": 3}}, "quick must be .*its 's2' is 3"),
    ],
)
def test_a_method_that_is_no_recipe_is_checked_too(changes: Mapping[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate(replace(RandomSearch(), **changes))


def test_a_piece_with_arguments_fixed_is_described_with_them() -> None:
    assert describe(partial(scaled, by=2.0)) == "scaled(by=2.0): A term of some strength."
    assert describe(term) == "term: A term."
