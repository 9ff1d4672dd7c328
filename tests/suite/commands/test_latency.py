"""A latency table from its measurement to a search that weighs alpha with it, all through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from spaces import get_space
from spaces.cells.latency import read_table
from spaces.common.errors import InputError
from spaces.common.files import file_digest
from suite import commands
from suite.cli import app
from suite.plan import plan
from suite.store import load_frames
from suite.trial import run_trial

commands.register(app)
SMALL = ["--channels", "4", "--cells", "4", "--size", "8", "--repeats", "1"]


def dartboard(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("latency") / "s1.json"
    result = dartboard("latency", "--space", "s1", *SMALL, "--device", "cpu", "--out", path)
    assert result.exit_code == 0, result.output
    assert "sep_conv_3x3" in result.stdout
    return path


@pytest.fixture
def search(tiny_npz: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(table: Path, *sets: str) -> Any:
        settings = ("epochs=1", "batch_size=30", "evaluate.epochs=1", f"latency_table={table}", *sets)
        words = [word for pair in settings for word in ("--set", pair)]
        place = ("--space", "s1", "--dataset", f"npz:{tiny_npz}", "--out", tmp_path / "runs")
        return dartboard("search", "rarts", *place, *words, "--json")

    return run


def test_a_table_names_what_it_depends_on_and_has_every_place_once(measured: Path) -> None:
    table, space = read_table(measured), get_space("s1")
    assert (table.space, table.channels, table.cells, table.size, table.batch, table.unit) == ("s1", 4, 4, 8, 1, "ms")
    assert table.device.startswith("cpu: ")
    assert (table.threads, table.torch) == (1, torch.__version__.partition("+")[0])
    table.fits(measured, space, channels=4, cells=4, size=8)
    milliseconds, shape = table.tables(space), (2, 14, len(space.operations))
    assert {kind: tuple(m.shape) for kind, m in milliseconds.items()} == {"normal": shape, "reduce": shape}
    for kind, mask in space.mask.items():
        assert torch.equal(milliseconds[kind] > 0, mask.expand(shape))


def test_json_is_the_file(tmp_path: Path) -> None:
    out = tmp_path / "nats.json"
    result = dartboard("latency", "--space", "nats-tss", *SMALL[:2], "--cells", 1, *SMALL[4:], "--out", out, "--json")
    document = json.loads(result.stdout)
    assert document.pop("file") == str(out)
    assert document == json.loads(out.read_text())
    assert {entry["operation"] for entry in document["costs"]} == set(get_space("nats-tss").operations) - {"none"}


def test_rarts_weighs_alpha_with_the_measured_table(measured: Path, search: Callable[..., Any], tmp_path: Path) -> None:
    """Where an operation is said to take an hour, all its weights fall. The record names the table."""
    slow = json.loads(measured.read_text())
    for entry in slow["costs"]:
        entry["cost"] = 3.6e6 if entry["operation"] == "dil_conv_3x3" else 0.0
    path = tmp_path / "slow.json"
    path.write_text(json.dumps(slow))
    result = search(path, "latency_weight=1", "epochs=3")
    assert result.exit_code == 0, result.output
    words = json.loads(result.stdout)["recipe"]["latency table"]
    assert "milliseconds on cpu: " in words
    assert slow["date"] in words
    assert file_digest(path)[:12] in words
    space = get_space("s1")
    column = space.operations.index("dil_conv_3x3")
    _, history = load_frames(tmp_path / "runs")
    for kind, mask in space.mask.items():
        weights = torch.tensor(history[f"weights.{kind}"].iloc[-1]).view(mask.shape)
        others = mask.sum(-1) - 1
        judged = mask[:, column] & (others > 0)
        assert judged.any()
        assert (weights[judged, column] < 0.45).all()


def test_a_key_follows_the_tables_bytes_not_its_path(measured: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "copy.json", tmp_path / "other.json"
    copy.write_bytes(measured.read_bytes())
    other.write_text(measured.read_text().replace('"batch":1', '"batch":2'))
    given = {"latency_weight": 0.1}
    keys = [
        plan("rarts", "s1", "digits", 0, overrides={**given, "latency_table": str(path)}).key("digits", "", None)
        for path in (measured, copy, other)
    ]
    keys.append(plan("rarts", "s1", "digits", 0, overrides=given).key("digits", "", None))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_a_table_that_changes_between_plan_and_trial_is_refused(measured: Path, tiny_npz: Path, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(measured.read_bytes())
    given = {"latency_weight": 0.1, "latency_table": str(path)}
    planned = plan("rarts", "s1", f"npz:{tiny_npz}", 0, overrides=given)
    path.write_text(path.read_text().replace('"batch":1', '"batch":2'))
    with pytest.raises(InputError, match="latency_table has changed since this run began"):
        run_trial(planned, tmp_path / "runs", tmp_path)


def broken(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def edit(text: str) -> str:
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return edit


@pytest.mark.parametrize(
    ("edit", "sets", "said"),
    [
        (None, [], "make a table there with `dartboard latency`"),
        (lambda text: text[:50], [], "make a table with"),
        (broken(lambda d: d.pop("channels")), [], "channels: field required"),
        (broken(lambda d: d.update(unit="s")), [], "unit: input should be 'ms'"),
        (broken(lambda d: d.update(space="s2")), [], "space = 's2', but the search has 's1'"),
        (broken(lambda d: d["costs"][2].update(cost=-1.0)), [], "costs.3.cost = -1.0 must be finite and 0 or more"),
        (broken(lambda d: d["costs"][0].update(cost=float("nan"))), [], "costs.1.cost = nan must be finite"),
        (broken(lambda d: d["costs"][0].update(operation="conv")), [], "s1 has no conv on edge"),
        (broken(lambda d: d["costs"][0]["at"].append(["normal", 2, 0])), [], "on edge 0 of normal cell 2"),
        (broken(lambda d: d["costs"][0]["at"].pop()), [], "0 entries for"),
        (broken(lambda d: d["costs"].append(d["costs"][0])), [], "2 entries for"),
        (broken(lambda d: None), ["channels=8"], "dartboard latency --space s1 --channels 8 --cells 4"),
        (broken(lambda d: None), ["cells=3"], "cells = 4, but the search has 3"),
        (broken(lambda d: None), ["latency_weight=0"], "not used while latency_weight is 0"),
        (broken(lambda d: d.update(size=32)), [], "size = 32, but the search has 8"),
    ],
)
def test_a_table_that_does_not_fit_is_one_line_and_exit_2(
    measured: Path,
    search: Callable[..., Any],
    tmp_path: Path,
    edit: Callable[[str], str] | None,
    sets: list[str],
    said: str,
) -> None:
    path = tmp_path / "edited.json"
    if edit is not None:
        path.write_text(edit(measured.read_text()))
    result = search(path, "latency_weight=0.1", *sets)
    assert result.exit_code == 2, result.output
    *before, error = result.stderr.strip().splitlines()
    assert said in error
    assert all("search begins" in line for line in before)  # where only the search can tell
    assert result.stdout == ""
    assert not list((tmp_path / "runs").rglob("record.json"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "analytic"], "no operations that could take time"),
        (["--space", "s5"], "did you mean"),
        (["--space", "s1", "--cells", "2"], "at least 3"),
        (["--space", "s1", "--device", "tpu"], "auto, cpu or cuda"),
        (["--space", "s1", "--out", "."], "is a folder"),
        (["--space", "s1", *SMALL, "--out", "/dev/null/latency.json"], "cannot be written"),
    ],
)
def test_what_cannot_be_measured_is_one_line_and_exit_2(words: list[str], said: str, tmp_path: Path) -> None:
    result = dartboard("latency", *words)
    assert result.exit_code == 2, result.output
    *before, error = result.stderr.strip().splitlines()
    assert said in error
    assert all("search begins" in line for line in before)  # where only the search can tell


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("latency_weight=1", "no operations that could take time"),
        ("latency_table=TABLE", "but the search has 'analytic'"),
    ],
)
def test_the_analytic_space_takes_no_time(measured: Path, pair: str, said: str) -> None:
    result = dartboard("search", "rarts", "--space", "analytic", "--set", pair.replace("TABLE", str(measured)))
    assert result.exit_code == 2
    assert said in result.stderr
