"""A trial's precision: part of its key, named in its record, and set for the whole process."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spaces.cells.precision import float32_products
from spaces.common.errors import InputError
from suite.compute import Compute
from suite.environment import make_deterministic
from suite.plan import Plan
from suite.store import RECORD, read_record
from suite.trial import key_of, run_trial

pytestmark = pytest.mark.usefixtures("products_in_fp32")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Old GPU")
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: True)


def test_the_precision_of_a_trial_holds_for_its_process() -> None:
    for precision, products in (("tf32", "tf32"), ("bf16", "fp32"), ("tf32", "tf32"), ("fp32", "fp32")):
        make_deterministic(1, precision)  # type: ignore[arg-type]
        assert float32_products() == products
    make_deterministic(1, "tf32")
    make_deterministic(1)
    assert float32_products() == "fp32"


@pytest.mark.usefixtures("gpu")
def test_tf32_needs_a_gpu_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Compute.requested("auto", "fast", "tf32", None)
    assert asked.resolved("cuda", 1).precision == "tf32"
    with pytest.raises(InputError, match=r"this trial runs on cpu.*choose fp32"):
        asked.resolved("cpu", 1)
    monkeypatch.setattr(torch.cuda, "is_tf32_supported", lambda: False)
    with pytest.raises(InputError, match="this trial runs on cuda: Old GPU: choose fp32"):
        asked.resolved("cuda", 1)


@pytest.mark.usefixtures("gpu")
def test_graphs_are_left_to_the_gpu_unless_they_are_asked_for() -> None:
    for graphs in (None, True, False):
        assert Compute.requested("auto", "fast", "fp32", graphs).resolved("cuda", 1).graphs is graphs
    for graphs in (None, False):
        assert not Compute.requested("auto", "fast", "fp32", graphs).resolved("cpu", 1).graphs


def test_precision_is_part_of_the_key_and_graphs_are_not(plans: list[Plan], tmp_path: Path) -> None:
    def key(**changes: object) -> str:
        return key_of(replace(plans[0], compute=replace(plans[0].compute, **changes)), tmp_path)  # type: ignore[arg-type]

    assert len({key(precision=precision) for precision in ("fp32", "tf32", "bf16")}) == 3
    assert len({key(graphs=graphs) for graphs in (None, True, False)}) == 1


def test_the_record_names_it(plans: list[Plan], tmp_path: Path) -> None:
    """One from before there was a name has it in what it says of its engine."""
    record = run_trial(replace(plans[0], compute=replace(plans[0].compute, precision="bf16")), tmp_path, tmp_path)
    assert (record.precision, record.engine) == ("bf16", "reference, bf16 autocast")
    path = tmp_path / record.key / RECORD
    document = json.loads(path.read_text())
    del document["precision"]
    for engine, expected in ((record.engine, "bf16"), ("fast, fp32, with C++ kernels", "fp32")):
        path.write_text(json.dumps(document | {"engine": engine}))
        earlier = read_record(path.parent)
        assert earlier
        assert earlier.precision == expected
