"""A record says of every value who set it: a recipe, the space, the protocol, or whoever asked for the trial."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest

from methods.search.settings import Settings
from reports.pages.rerun_command import set_by
from suite.evaluation import Evaluation
from suite.plan import plan
from suite.protocol import PROTOCOLS
from suite.trial import run_trial


def test_the_layers_of_a_retraining_and_of_a_trial_are_named() -> None:
    origin = plan("darts-1st", "nats-tss", "digits", 0, "cpu").origin
    assert origin["evaluate.epochs"] == "protocol cpu"
    assert origin["evaluate.cells"] == "protocol cpu"
    assert origin["evaluate.batch_size"] == "space nats-tss"
    assert origin["images"] == origin["threads"] == "protocol cpu"
    assert "evaluate.momentum" not in origin
    assert "size" not in origin


def test_what_is_given_for_a_trial_is_its_own() -> None:
    given = {"evaluate.epochs": 2, "images": 32, "size": 4, "threads": 1, "epochs": 3}
    origin = plan("darts-1st", "s2", "digits", 0, "quick", given).origin
    assert {origin[name] for name in given} == {"settings"}
    assert origin["evaluate.cells"] == "protocol quick"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("space", ["nats-tss", "darts", "s3"])
def test_only_what_is_at_its_base_value_has_no_layer(protocol: str, space: str) -> None:
    made = plan("darts-1st", space, "digits", 0, protocol)
    found = {**made.settings.flat(), **{f"evaluate.{name}": value for name, value in asdict(made.evaluation).items()}}
    base = {**Settings().flat(), **{f"evaluate.{own.name}": own.default for own in fields(Evaluation)}}
    assert {name for name, value in found.items() if value != base[name]} == {
        name for name in made.origin if name in found
    }


def test_a_record_tells_the_layer_of_every_setting_that_it_has(tiny_npz: Path, tmp_path: Path) -> None:
    made = plan("darts-1st", "nats-tss", f"npz:{tiny_npz}", 0, "quick", {"epochs": 1, "evaluate.epochs": 1})
    record = run_trial(made, tmp_path / "runs", tmp_path)
    assert set(record.origin) <= set(record.settings)
    row = {"origin": record.origin}
    names = ("epochs", "evaluate.epochs", "evaluate.cells", "images", "threads", "size")
    layers = ["settings", "settings", "protocol quick", "protocol quick", "protocol quick", "base"]
    assert [set_by(row, name) for name in names] == layers
