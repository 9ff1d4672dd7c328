"""`dartboard data import` of archives made to harm: exit status 2 and one line, and nothing is written."""

import bz2
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from suite import commands

ARCHITECTURE = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
DATASETS = ("cifar10", "cifar10-valid", "cifar100", "ImageNet16-120")
PARTS = ("ori-test", "x-valid", "x-test")


class Call:
    """Pickled as the call of `function`, and a state for what it returns."""

    def __init__(self, function, arguments, *state):
        self.reduced = (function, arguments, *state)

    def __reduce__(self):
        return self.reduced


def run(epochs):
    last = epochs - 1
    return {
        "epochs": epochs,
        "params": np.float64(0.5),
        "flop": 15.6,
        "train_times": dict.fromkeys(range(epochs), 2.0),
        "eval_acc1es": {f"{part}@{last}": 60.0 for part in PARTS},
        "eval_losses": {f"{part}@{last}": 1.0 for part in PARTS},
    }


def state(epochs):
    return {
        "arch_index": 0,
        "arch_str": ARCHITECTURE,
        "dataset_seed": {dataset: [777] for dataset in DATASETS},
        "all_results": {(dataset, 777): run(epochs) for dataset in DATASETS},
    }


def states():
    return {str(epochs): state(epochs) for epochs in (12, 200)}


def archive(root, infos, names=(ARCHITECTURE,)):
    """The archive as one file; `infos` are its bytes or what it holds of the architecture 0."""
    path = root / "NATS-tss-attack.pickle.pbz2"
    content = (
        infos if isinstance(infos, bytes) else pickle.dumps({"meta_archs": list(names), "arch2infos": {0: infos}}, 4)
    )
    path.write_bytes(bz2.compress(content))
    return path


def import_(path, root):
    app = typer.Typer(pretty_exceptions_enable=False)
    commands.register(app)
    return CliRunner().invoke(app, ["data", "import", "nats-tss", str(path), "--data-root", str(root)])


def refusal(path, root):
    """The one line that importing `path` fails with."""
    result = import_(path, root)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.removesuffix("\n").isprintable()
    assert len(result.stderr) < 1000
    assert not root.exists()
    return result.stderr


def changed(part, value):
    """A change of one run's part, or of the state itself."""

    def change(found):
        place = found["12"]["all_results"]["cifar10", 777] if part in run(1) else found["12"]
        place[part] = value

    return change


def without(part):
    def change(found):
        del found["12"][part]

    return change


def test_an_archive_of_this_layout_is_imported(tmp_path):
    assert import_(archive(tmp_path, states()), tmp_path / "root").exit_code == 0


CHANGES = {
    "runs that are text": lambda found: found.update({"12": "results"}),
    "runs that are a list": lambda found: found.update({"12": [1]}),
    "no runs": lambda found: found.pop("12"),
    "no results": without("all_results"),
    "no seeds": without("dataset_seed"),
    "no index": without("arch_index"),
    "results that are an array": changed("all_results", np.zeros(3)),
    "another index": changed("arch_index", 1),
    "an index that is a truth value": changed("arch_index", False),
    "another architecture": changed("arch_str", "|none~0|"),
    "an architecture that is an array": changed("arch_str", np.zeros(3)),
    "an architecture of a million letters": changed("arch_str", "a" * 10**6),
    "an architecture with escapes": changed("arch_str", "\x1b[2J\n"),
    "a hundred thousand seeds": changed("dataset_seed", {dataset: [777] * 10**5 for dataset in DATASETS}),
    "no seed": changed("dataset_seed", {dataset: [] for dataset in DATASETS}),
    "seeds that are text": changed("dataset_seed", dict.fromkeys(DATASETS, "777")),
    "seeds that are truth values": changed("dataset_seed", {dataset: [True] for dataset in DATASETS}),
    "other seeds": changed("dataset_seed", {dataset: [888] for dataset in DATASETS}),
    "more epochs than anybody trains": changed("epochs", 10**18),
    "epochs of a float": changed("epochs", 12.0),
    "epochs below 1": changed("epochs", 0),
    "accuracies that are text": changed("eval_acc1es", {"ori-test@11": "60"}),
    "accuracies that are an array": changed("eval_acc1es", {"ori-test@11": np.zeros(3)}),
    "accuracies of other parts": changed("eval_acc1es", {}),
    "an accuracy that is too large": changed("eval_acc1es", {"ori-test@11": 1e300}),
    "an accuracy above 100": changed("eval_acc1es", {"ori-test@11": 101.0}),
    "parameters without a bound": changed("params", float("inf")),
    "times that are a list": changed("train_times", [1.0]),
}


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in CHANGES.items()])
def test_results_of_another_layout_are_refused(tmp_path, change):
    found = states()
    change(found)
    refusal(archive(tmp_path, found), tmp_path / "root")


@pytest.mark.parametrize("entry", ["nan", "no parameters"])
def test_numbers_that_are_none_do_not_end_in_a_traceback(tmp_path, entry):
    found = states()
    for name in ("12", "200"):
        for result in found[name]["all_results"].values():
            result["params" if entry == "no parameters" else "flop"] = float("nan")
    result = import_(archive(tmp_path, found), tmp_path / "root")
    assert result.exit_code == (2 if entry == "no parameters" else 0)


def test_a_file_that_an_archive_names_is_not_opened(tmp_path):
    marker = tmp_path / "this must not exist"
    other = tmp_path / "other.pbz2"
    other.write_bytes(bz2.compress(pickle.dumps(Call(Path.touch, (marker,)))))
    refusal(archive(tmp_path, {"12": str(other), "200": str(other)}), tmp_path / "root")
    assert not marker.exists()


def test_methods_of_the_reader_are_not_replaced(tmp_path):
    found = states()
    found["12"]["get_metrics"] = found["12"]["__class__"] = "text"
    assert import_(archive(tmp_path, found), tmp_path / "root").exit_code == 0


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(np.array([1, "a"], dtype=object), id="object array"),
        pytest.param(Call(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, 63)), id="object dtype"),
        pytest.param(np.zeros(2, dtype=[("a", "O")]), id="field of objects"),
        pytest.param(Call(print, ("this must not run",)), id="function"),
        pytest.param({"meta_archs": None, "arch2infos": None}, id="empty"),
        pytest.param({"meta_archs": [], "arch2infos": {0: states()}}, id="no names"),
        pytest.param({"meta_archs": [ARCHITECTURE], "arch2infos": {}}, id="no results"),
        pytest.param({"meta_archs": [ARCHITECTURE], "arch2infos": {-1: states()}}, id="negative index"),
        pytest.param({"meta_archs": [ARCHITECTURE], "arch2infos": {"0": states()}}, id="text as an index"),
        pytest.param({"meta_archs": [[ARCHITECTURE]], "arch2infos": {0: states()}}, id="a list as a name"),
        pytest.param({"meta_archs": ["a" * 10**6], "arch2infos": {0: states()}}, id="a name of a million letters"),
        pytest.param(np.zeros(3), id="array"),
        pytest.param("text", id="text"),
    ],
)
def test_hostile_content_is_refused_in_both_forms_of_the_archive(tmp_path, capsys, content):
    program = pickle.dumps(content, 4)
    refusal(archive(tmp_path, program), tmp_path / "root")
    folder = tmp_path / "NATS-tss-v1_0-attack-simple"
    folder.mkdir()
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(program))
    (folder / "000000.pickle.pbz2").write_bytes(bz2.compress(program))
    refusal(folder, tmp_path / "root")
    (folder / "meta.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps({"meta_archs": [ARCHITECTURE]}, 4)))
    refusal(folder, tmp_path / "root")
    assert "this must not run" not in capsys.readouterr().out


@pytest.mark.parametrize("flags", [63, 0])
def test_an_object_scalar_is_refused(tmp_path, flags):
    # Without its flags NumPy does not see that the dtype is one of objects, and takes the bytes for a pointer.
    dtype = Call(np.dtype, ("O8", False, True), (3, "|", None, None, None, -1, -1, flags))
    scalar = np.float64(1).__reduce__()[0]
    line = refusal(archive(tmp_path, pickle.dumps(Call(scalar, (dtype, b"A" * 8)), 2)), tmp_path / "root")
    assert "'O8'" in line


def test_a_bomb_is_refused_with_its_limit(tmp_path):
    bomb = b"X" + struct.pack("<I", 2**27) + bytes(2**27) + b"."
    assert "more than 4,1" in refusal(archive(tmp_path, bomb), tmp_path / "root")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path):
    folder = tmp_path / "NATS-tss-attack.pickle.pbz2"
    folder.mkdir()
    refusal(folder, tmp_path / "root")
    (folder / "meta.pickle.pbz2").mkdir()
    refusal(folder, tmp_path / "root")
