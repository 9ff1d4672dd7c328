"""Augmentation and fit as settings: off for a user's own images, as usual for official ones, recorded and said."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from reports.pages.rerun_command import search_command
from spaces.common.errors import InputError
from suite import commands
from suite.data.registry import DATASETS
from suite.data.sets import Augment
from suite.plan import Plan, plan
from suite.study import expand, read
from suite.trial import data_of, key_of, run_trial

SHORT = {"epochs": 1, "batch_size": 8, "evaluate.epochs": 1}


def made(dataset: str, given: Mapping[str, object] = MappingProxyType({})) -> Plan:
    return plan("random", "nats-tss", dataset, 0, overrides={**SHORT, **given})


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("protocol", ["quick", "paper"])
def test_an_official_set_at_its_usual_augmentation_has_the_key_and_the_scale_it_had(dataset, protocol):
    usual = plan("random", "s2", dataset, 0, protocol)
    assert not {"augment", "fit"} & usual.determines().keys()
    assert "augmentation" not in usual.scale(10, retrained=True)
    same = {"augment.flip": usual.augment.flip, "augment.crop": str(usual.augment.crop)}
    said_again = plan("random", "s2", dataset, 0, protocol, same)
    assert said_again.key(dataset, "x", None) == usual.key(dataset, "x", None)


def test_another_augmentation_is_another_trial_and_is_said():
    usual = made("cifar10")
    keys = {usual.key("cifar10", "x", None)}
    for given, words in (({"augment.flip": "false"}, "flip"), ({"augment.crop": 0}, "crop")):
        other = made("cifar10", given)
        keys.add(other.key("cifar10", "x", None))
        assert "augmentation: " in other.scale(10, retrained=True)
        assert words not in other.scale(10, retrained=True)
    assert len(keys) == 3


def test_a_users_own_images_are_not_augmented_unless_asked(tiny_npz: Path):
    for protocol in ("quick", "paper"):
        own = plan("random", "s2", f"npz:{tiny_npz}", 0, protocol)
        assert own.augment == Augment(crop=0, flip=False)
        assert own.evaluation.cutout == 0
        assert own.scale(60, retrained=True).endswith("augmentation: none")
    asked = {"augment.flip": "true", "augment.crop": 2, "evaluate.cutout": 3}
    own = plan("random", "s2", f"npz:{tiny_npz}", 0, "paper", asked)
    assert (own.augment, own.evaluation.cutout) == (Augment(crop=2, flip=True), 3)
    search, retraining = own.augmentation(retrained=True).split("; ")
    assert "cutout" not in search
    assert all(words in retraining for words in ("2 pixels", "flip", "cutout of 3 pixels"))


def test_an_own_sets_key_holds_augmentation_and_fit(tiny_npz: Path):
    spec = f"npz:{tiny_npz}"
    given = ({}, {"augment.flip": True}, {"augment.crop": 1}, {"fit": "stretch"})
    assert len({made(spec, own).key("tiny", "x", None) for own in given}) == len(given)
    assert made(spec, {"fit": "pad"}).key("tiny", "x", None) == made(spec).key("tiny", "x", None)


@pytest.mark.parametrize(
    ("dataset", "given", "words"),
    [
        ("npz:x.npz", {"augment.flip": "maybe"}, "augment.flip = 'maybe' is not of type bool"),
        ("npz:x.npz", {"augment.flip": 1}, "augment.flip = 1 is not of type bool"),
        ("npz:x.npz", {"augment.crop": "-1"}, "augment.crop = -1 must be 0"),
        ("npz:x.npz", {"augment.crop": "2.5"}, "not of type int"),
        ("npz:x.npz", {"fit": "squash"}, "one of pad, stretch, crop"),
        ("npz:x.npz", {"fit": ""}, "one of pad, stretch, crop"),
        ("cifar10", {"fit": "pad"}, "cifar10 are square"),
        ("npz:x.npz", {"augment.flips": True}, "did you mean 'augment.flip'"),
    ],
)
def test_what_these_settings_cannot_be_is_said(dataset, given, words):
    with pytest.raises(InputError) as caught:
        plan("random", "nats-tss", dataset, 0, overrides=given)
    assert words in str(caught.value)


def test_a_crop_that_leaves_nothing_of_an_image_is_refused(tiny_npz: Path, tmp_path: Path):
    assert data_of(made(f"npz:{tiny_npz}", {"augment.crop": 7}), tmp_path).size == 8
    with pytest.raises(InputError, match=r"augment\.crop = 8 must be below the 8 pixels"):
        key_of(made(f"npz:{tiny_npz}", {"augment.crop": 8}), tmp_path)


def test_a_record_has_what_was_done_and_its_command_gives_it_again(tiny_npz: Path, tmp_path: Path):
    spec = f"npz:{tiny_npz}"
    plain = run_trial(made(spec), tmp_path, tmp_path)
    assert [plain.settings[key] for key in ("augment.crop", "augment.flip", "fit")] == [0, False, "pad"]
    assert plain.augmentation == "search: none; retraining: none"
    asked = {"augment.crop": 1, "augment.flip": True, "fit": "crop"}
    record = run_trial(plan("random", "nats-tss", spec, 0, overrides=SHORT | asked), tmp_path, tmp_path)
    assert record.settings.items() >= asked.items()
    assert record.history_digest != plain.history_digest
    words = shlex.split(search_command(json.loads(record.model_dump_json())))
    settings = dict(words[place + 1].split("=") for place, word in enumerate(words) if word == "--set")
    assert settings.keys() >= asked.keys()
    assert key_of(plan("random", "nats-tss", spec, 0, overrides=settings), tmp_path) == record.key


def test_an_official_sets_record_has_it_too(tmp_path: Path):
    record = run_trial(made("digits", {"images": 40}), tmp_path, tmp_path)
    assert (record.settings["augment.crop"], record.settings["augment.flip"]) == (1, False)
    assert "fit" not in record.settings
    assert "by 1 pixel" in record.augmentation


def sides(root: Path, width: int) -> str:
    """Images 16 high whose classes are left and right: a bright bar at that side, noise elsewhere."""
    source = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 8)):
        for label, at in (("left", 0), ("right", width - 4)):
            place = root / part / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = source.integers(0, 120, (16, width, 3), dtype=np.uint8)
                pixels[:, at : at + 4] = 255
                Image.fromarray(pixels).save(place / f"{number}.png")
    return f"folder:{root}?size=16"


@pytest.mark.parametrize("width", [16, 48])
def test_classes_told_apart_by_left_and_right_and_by_the_edge_can_be_learned(tmp_path: Path, width: int):
    spec = sides(tmp_path / "sides", width)
    longer = {"evaluate.epochs": 12, "batch_size": 16, "evaluate.batch_size": 16, "epochs": 1}
    record = run_trial(plan("random", "nats-tss", spec, 0, overrides=longer), tmp_path / "runs", tmp_path)
    assert record.accuracy > 90
    flipped = plan("random", "nats-tss", spec, 0, overrides=longer | {"augment.flip": True})
    assert run_trial(flipped, tmp_path / "runs", tmp_path).accuracy < 80


def test_a_study_sets_them_and_keeps_two_fits_apart(tmp_path: Path):
    spec = sides(tmp_path / "sides", 24)
    block = 'methods = ["random"]\nspaces = ["nats-tss"]\nseeds = [0]\n'
    path = tmp_path / "fits.toml"
    path.write_text(
        'title = "Fits"\n'
        + "".join(
            f'[[trials]]\n{block}datasets = ["{spec}"]\nset = {{ fit = "{fit}", "augment.flip" = true }}\n'
            for fit in ("pad", "crop")
        )
    )
    plans = expand(read(path), path, tmp_path).plans
    assert [(one.fit, one.augment.flip) for one in plans] == [("pad", True), ("crop", True)]
    assert len({data_of(one, tmp_path).digest for one in plans}) == 2


def test_the_command_line_says_on_stderr_what_nobody_asked_for(tmp_path: Path):
    spec = sides(tmp_path / "sides", 24)
    (tmp_path / "sides" / "train" / "left" / "._0.png").write_bytes(b"x")
    short = [word for key, value in SHORT.items() for word in ("--set", f"{key}={value}")]
    search = ("search", "random", "--dataset", spec, "--out", str(tmp_path / "runs"), "--json", *short)
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    first = CliRunner().invoke(app, search)
    [line] = [line for line in first.stderr.splitlines() if line.startswith("folder:sides")]
    assert "padded with black" in line
    assert "1 hidden file" in line
    assert json.loads(first.stdout)["dataset_source"].count("hidden") == 1
    second = CliRunner().invoke(app, [*search, "--set", "fit=stretch"])
    [line] = [line for line in second.stderr.splitlines() if line.startswith("folder:sides")]
    assert "square" not in line
    assert "1 hidden file" in line
