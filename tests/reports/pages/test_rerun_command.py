"""The command that runs a trial again, read off its record."""

import shlex

import pytest

from reports.pages.rerun_command import OWN, UNRECORDED, doubts, search_command, set_by

RECORD = {
    **{"method": "lambda-darts", "space": "s2", "dataset": "npz:my set", "seed": 3, "protocol": "cpu"},
    **{"device": "cuda: H100", "engine": "fast, fp32, with C++ kernels", "probes": {}},
    "settings": {"epochs": 7, "order": "weights-alpha", "evaluate.epochs": 3, "nesterov": True, "cells": 5},
    "origin": {"epochs": "settings", "nesterov": "settings", "evaluate.epochs": "settings", "cells": "protocol cpu"},
}


def options(line):
    words = shlex.split(line)
    return words[:3], [tuple(words[place : place + 2]) for place in range(3, len(words), 2)]


def test_the_trial_and_what_was_given_for_it_are_named():
    start, found = options(search_command(RECORD))
    assert start == ["dartboard", "search", "lambda-darts"]
    assert found == [
        *(("--space", "s2"), ("--dataset", "npz:my set"), ("--seed", "3"), ("--protocol", "cpu")),
        *(("--set", "epochs=7"), ("--set", "evaluate.epochs=3"), ("--set", "nesterov=true"), ("--device", "cuda")),
    ]


@pytest.mark.parametrize(
    ("engine", "precision", "extra"),
    [
        ("reference, fp32", None, [("--engine", "reference")]),
        ("reference, bf16 autocast", "bf16", [("--precision", "bf16")]),
        ("fast, tf32, with Triton kernels", "tf32", [("--precision", "tf32")]),
        ("reference, tf32", "tf32", [("--engine", "reference"), ("--precision", "tf32")]),
        ("fast, fp32, in plain torch: no compiler", "fp32", []),
        ("fast, fp32, with Triton kernels, CUDA graphs where passes allow", "fp32", []),
        ("fast, fp32, with Triton kernels, without CUDA graphs", "fp32", [("--no-graphs",)]),
    ],
)
def test_an_unusual_engine_is_named(engine, precision, extra):
    told = {} if precision is None else {"precision": precision}
    assert options(search_command({**RECORD, "engine": engine, **told}))[1][8:] == extra


def test_probes_are_asked_for_at_a_stride_that_has_all():
    found = options(search_command({**RECORD, "probes": {"hessian": 4, "cell": 6}}))[1]
    assert found[-2:] == [("--probes", "cell,hessian"), ("--probe-every", "2")]


def test_whoever_set_a_value_is_named_and_base_is_said_of_what_nobody_set():
    origin = {"cells": "recipe x on s2", "evaluate.epochs": "space s2", "images": "protocol cpu", "threads": OWN}
    record = {"origin": origin}
    assert [set_by(record, name) for name in origin] == ["recipe x on s2", "space s2", "protocol cpu", OWN]
    assert [set_by(record, name) for name in ("momentum", "evaluate.momentum", "size")] == ["base"] * 3


def test_a_record_that_does_not_tell_its_protocols_values_does_not_call_them_base():
    """As records were before their origin had more than the search's settings."""
    record = {"origin": {"cells": "protocol cpu", "evaluate.epochs": OWN, "images": OWN}}
    assert [set_by(record, name) for name in ("cells", "evaluate.epochs", "images")] == ["protocol cpu", OWN, OWN]
    assert [set_by(record, name) for name in ("evaluate.cells", "size", "threads")] == [UNRECORDED] * 3
    assert set_by(record, "momentum") == "base"
    assert set_by({}, "momentum") == UNRECORDED


def test_what_the_command_cannot_know_is_said():
    outside, kept = doubts(RECORD, known=False)
    assert "lambda-darts is not a registered method" in outside
    assert "npz:my set is a data set of your own" in kept
    assert doubts({**RECORD, "dataset": "cifar10"}, known=True) == []
    (missing,) = doubts({**RECORD, "dataset": "cifar10", "origin": None}, known=True)
    assert "does not say which settings were given" in missing
