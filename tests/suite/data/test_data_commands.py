"""`dartboard data` and `dartboard query` as a person and as a machine use them."""

import json
from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from spaces.tabular.columns import ALL_SKIP
from suite.commands import data

PUBLISHED = {"c10_test": 54.30, "c100_test": 15.61, "in16_test": 16.32}


@pytest.fixture
def dartboard(monkeypatch, tmp_path):
    """Runs a command line on an application with these commands, the data root an empty folder."""
    monkeypatch.setenv("DARTBOARD_DATA", str(tmp_path / "root"))
    monkeypatch.setenv("COLUMNS", "200")
    app = typer.Typer(pretty_exceptions_enable=False)
    data.register(app)

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == code, result.output
        return result

    return run


@pytest.fixture
def csv(tmp_path) -> Path:
    """The all-skip row of a table, as published."""
    row: dict[str, object] = {"arch_index": 1835, "arch_str": ALL_SKIP, "n_seeds_200ep": 3}
    for name in ("c10_test", "c10valid_valid", "c100_valid", "c100_test", "in16_valid", "in16_test"):
        row |= {f"{name}_acc_200": PUBLISHED.get(name, 15.0), f"{name}_acc_12": 10.0}
    path = tmp_path / "table.csv"
    pd.DataFrame([row]).to_csv(path, index=False)
    return path


def complaint(result: Result) -> str:
    """The one line on stderr."""
    assert result.stdout == ""
    assert result.stderr.startswith("dartboard: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def states(result: Result) -> dict[str, str]:
    return {row["name"]: row["state"] for row in json.loads(result.stdout)["data"]}


def test_import_then_query(dartboard, csv, tmp_path):
    said = dartboard("data", "import", "nats-tss", str(csv)).stdout
    assert "1 of 15,625 architectures" in said
    assert "table.csv (SHA-256" in said
    shown = dartboard("query", ALL_SKIP).stdout
    assert "architecture 1835" in shown
    for words in ("54.30 %", "15.61 %", "16.32 %", "nats-tss.parquet, made from table.csv"):
        assert words in shown


def test_query_for_machines(dartboard, csv):
    dartboard("data", "import", "nats-tss", str(csv))
    found = json.loads(dartboard("query", ALL_SKIP, "--dataset", "cifar10", "--json").stdout)
    (answer,) = found["answers"]
    assert found["architecture"] == ALL_SKIP
    assert (answer["accuracy"], answer["seeds"], answer["epochs"], answer["index"]) == (54.30, 3, 200, 1835)
    assert answer["std"] is None
    found = json.loads(dartboard("query", ALL_SKIP, "--split", "valid", "--epochs", "12", "--json").stdout)
    assert [answer["dataset"] for answer in found["answers"]] == ["cifar10-valid", "cifar100", "imagenet16-120"]


def test_fetch_and_import_for_machines(dartboard, csv, tmp_path):
    found = json.loads(dartboard("data", "import", "nats-tss", str(csv), "--json").stdout)
    assert (found["path"], found["state"]) == (str(tmp_path / "root" / "nats-tss.parquet"), "incomplete")
    found = json.loads(dartboard("data", "fetch", "digits", "--json").stdout)
    assert (found["name"], found["state"], found["root"]) == ("digits", "here", str(tmp_path / "root"))


def test_a_table_that_cannot_be_written_is_one_line(dartboard, csv):
    for root in (str(csv), "/proc/x", str(csv / "below")):
        result = dartboard("data", "import", "nats-tss", str(csv), "--data-root", root, code=2)
        assert f"{root}/nats-tss.parquet cannot be written" in complaint(result)


def test_spaces_around_an_architecture_are_no_part_of_it(dartboard, csv):
    dartboard("data", "import", "nats-tss", str(csv))
    found = json.loads(dartboard("query", f" {ALL_SKIP}\n", "--dataset", "cifar10", "--json").stdout)
    assert found["architecture"] == ALL_SKIP


def test_another_data_root(dartboard, csv, tmp_path):
    other = ("--data-root", str(tmp_path / "other"))
    dartboard("data", "import", "nats-tss", str(csv), *other)
    dartboard("query", ALL_SKIP, *other)
    assert "dartboard data import" in complaint(dartboard("query", ALL_SKIP, code=2))


def test_bad_input_exits_2_with_one_line(dartboard, csv, tmp_path):
    dartboard("data", "import", "nats-tss", str(csv))
    wrong = ALL_SKIP.replace("skip_connect~2", "skip_conect~2")
    assert "did you mean 'skip_connect'" in complaint(dartboard("query", wrong, code=2))
    assert "did you mean 'cifar10'" in complaint(dartboard("query", ALL_SKIP, "--dataset", "cifar-10", code=2))
    assert "12 or 200" in complaint(dartboard("query", ALL_SKIP, "--epochs", "90", code=2))
    assert "no-such" in complaint(dartboard("data", "import", "nats-tss", "no-such.csv", code=2))
    assert "did you mean 'svhn'" in complaint(dartboard("data", "fetch", "svnh", code=2))
    assert "ImageNet16" in complaint(dartboard("data", "fetch", "imagenet16-120", code=2))
    dartboard("data", "import", "nats-sss", str(csv), code=2)
    (tmp_path / "root" / "nats-tss.parquet").write_bytes(b"PAR1")
    assert "nats-tss.parquet is damaged" in complaint(dartboard("query", ALL_SKIP, code=2))


def test_status_tells_here_missing_and_damaged(dartboard, csv, tmp_path):
    root = tmp_path / "root"
    empty = states(dartboard("data", "status", "--json"))
    assert empty.pop("digits") == "here"
    assert set(empty) == {"cifar10", "cifar100", "svhn", "imagenet16-120", "nats-tss table"}
    assert set(empty.values()) == {"missing"}
    dartboard("data", "import", "nats-tss", str(csv))
    for part in ("train", "test"):
        (root / f"{part}_32x32.mat").write_bytes(b"not the official bytes")
    result = dartboard("data", "status", "--json")
    assert json.loads(result.stdout)["root"] == str(root)
    assert states(result) == empty | {"digits": "here", "svhn": "damaged", "nats-tss table": "incomplete"}
    (root / "nats-tss.parquet").write_bytes(b"PAR1")
    shown = dartboard("data", "status").stdout
    assert "dartboard data fetch cifar10" in shown
    assert "damaged" in shown


def test_fetching_what_is_bundled_does_nothing(dartboard, tmp_path):
    assert "bundled" in dartboard("data", "fetch", "digits").stdout
    assert not (tmp_path / "root").exists()
