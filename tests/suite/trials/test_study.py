"""Study files: what they expand to, and what is said of a bad one."""

from pathlib import Path

import pytest

from methods import METHODS, get_method
from spaces.common.errors import InputError
from suite.plan import plan
from suite.study import expand, find, names, read

GOOD = """
title = "t"
protocol = "quick"

[[trials]]
methods = ["darts-1st", "darts-2nd"]
spaces = ["nats-tss", "s2"]
datasets = ["digits"]
seeds = [0, 1, 2]
set = { epochs = 2 }
"""


def write(path: Path, text: str) -> Path:
    file = path / "study.toml"
    file.write_text(text)
    return file


def test_the_quick_study_runs_every_search() -> None:
    """On a data set that is always here. What is registered and is no search has studies of its own."""
    blocks = [block for block in read(find("quick")).trials if not block.when_available]
    run = {method for block in blocks for method, _, _ in block.combinations()}
    searches = {m for m in METHODS if not get_method(m).declaration()["title"].startswith("No search")}
    assert run == searches
    own = {m for name in names() if name != "quick" for block in read(find(name)).trials for m in block.methods}
    assert own >= set(METHODS) - searches


def test_product_and_overrides(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    found = expand(read(file), file, tmp_path)
    assert len(found.plans) == 2 * 2 * 3
    assert {p.settings.epochs for p in found.plans} == {2}
    assert found.plans[0].origin["epochs"] == "settings"


def test_a_trial_named_twice_runs_once(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD + GOOD.partition("[[trials]]")[2].join(["[[trials]]", ""]))
    assert len(expand(read(file), file, tmp_path).plans) == 12


def test_probes_of_a_trial_named_twice_are_united(tmp_path: Path) -> None:
    block = GOOD.partition("[[trials]]")[2]
    first, second = 'probes = ["cell"]\nprobe_every = 4\n', 'probes = ["cell", "gap"]\nprobe_every = 6\n'
    file = write(tmp_path, f"{GOOD}{first}[[trials]]{block}{second}")
    found = expand(read(file), file, tmp_path).plans
    assert len(found) == 12
    assert {tuple(plan.probes.items()) for plan in found} == {(("cell", 2), ("gap", 6))}


def test_what_is_not_available_is_left_out_in_words(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.replace('"digits"', '"digits", "cifar10"') + "when_available = true\n")
    found = expand(read(file), file, tmp_path)
    assert len(found.plans) == 12
    assert "cifar10" in found.left_out[0]
    assert str(tmp_path) in found.left_out[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds = [0, 1, 2]", 'seeds = ["a"]', r"trials\.1\.seeds\.1"),
        ("seeds = [0, 1, 2]", "seeds = []", r"trials\.1\.seeds"),
        ("seeds =", "seed =", "seed"),
        ("protocol =", "protocoll =", "did you mean 'protocol'"),
        ("methods =", "method =", "did you mean 'methods'"),
        ('"darts-2nd"', '"dart-2nd"', "did you mean 'darts-2nd'"),
        ('"s2"', '"s5"', r"trials\.1: unknown space 's5'"),
        ("seeds =", 'probes = ["hesian"]\nseeds =', "did you mean 'hessian'"),
        ("seeds =", "probe_every = 0\nseeds =", r"trials\.1\.probe_every"),
        ("seeds =", "probe_every = 2\nseeds =", r"trials\.1\.probe_every: no probe is named"),
        ('"digits"', '"digit"', "did you mean 'digits'"),
        ('"quick"', '"quik"', "did you mean 'quick'"),
        ("epochs = 2", 'epochs = "x"', "not of type int"),
        ("epochs = 2", "epoch = 2", "did you mean 'epochs'"),
        ("epochs = 2", '"evaluate.epoch" = 2', "did you mean 'evaluate.epochs'"),
        ("title", "= title", "not a TOML file"),
        ("[[trials]]", "[trials]", "trials"),
    ],
)
def test_a_bad_study_names_file_key_and_remedy(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(InputError, match=said) as caught:
        expand(read(file), file, tmp_path)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_find_knows_bundled_studies_and_paths(tmp_path: Path) -> None:
    assert find("quick").stem == "quick"
    assert "quick" in names()
    file = write(tmp_path, GOOD)
    assert find(str(file)) == file
    with pytest.raises(InputError, match="did you mean 'quick'"):
        find("quik")
    with pytest.raises(InputError, match="no such study file"):
        find("nowhere.toml")


def test_bundled_studies_expand(tmp_path: Path) -> None:
    for name in names():
        path = find(name)
        assert expand(read(path), path, tmp_path).plans


def test_key_depends_on_all_that_determines_a_result() -> None:
    base = plan("darts-1st", "s2", "digits", 0)
    keys = {
        base.key("digits", "d", None),
        base.key("digits", "e", None),
        base.key("digits", "d", "t"),
        plan("darts-1st", "s2", "digits", 1).key("digits", "d", None),
        plan("darts-1st", "s2", "digits", 0, overrides={"epochs": 4}).key("digits", "d", None),
        plan("darts-1st", "s2", "digits", 0, overrides={"evaluate.epochs": 4}).key("digits", "d", None),
        plan("darts-1st", "s2", "digits", 0, overrides={"threads": 2}).key("digits", "d", None),
        plan("darts-1st", "s2", "digits", 0, overrides={"size": 4}).key("digits", "d", None),
    }
    assert len(keys) == 8
    assert base.key("digits", "d", None) == plan("darts-1st", "s2", "digits", 0).key("digits", "d", None)
    assert base.key("digits", "d", None).startswith("darts-1st--s2--digits--s0--quick--")


def test_paper_protocol_leaves_a_recipe_alone() -> None:
    made = plan("darts-1st", "darts", "digits", 0, protocol="paper")
    assert (made.settings.epochs, made.settings.channels, made.settings.cells) == (50, 16, 8)
    assert (made.evaluation.epochs, made.evaluation.channels, made.evaluation.cells) == (600, 36, 20)
    assert plan("darts-1st", "nats-tss", "digits", 0, protocol="paper").settings.cells == 5
