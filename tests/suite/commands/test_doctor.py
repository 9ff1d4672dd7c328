"""`dartboard doctor`: what it says, and when it says that something is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from spaces.engine import torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.self_test import whole_nets
from spaces.engine.self_test.examples import examples_of
from suite.doctor import machine, timing
from suite.doctor.report import Report


@pytest.fixture
def doctor(dartboard: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """The command on a CPU, with one space for all and short timings."""
    monkeypatch.setattr(whole_nets, "examples", lambda: examples_of("nats-tss"))
    monkeypatch.setattr(timing, "SECONDS", 0.0)
    monkeypatch.setattr(timing, "families", lambda: ["nats-tss"])
    return lambda *options: dartboard("doctor", "--device", "cpu", "--data-root", tmp_path, *options)


def test_a_sound_machine(doctor: Any) -> None:
    result = doctor("--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["right"]
    assert {check["verdict"] for check in found["checks"]} == {"right"}
    asked = {(check["engine"], check["precision"]) for check in found["checks"]}
    assert asked >= {("reference", "fp32"), ("reference", "bf16"), ("fast, plain torch", "fp32")}
    assert {row["engine"] for row in found["timings"]} == {engine for engine, _ in asked}
    assert all(row["ms"] > 0 for row in found["timings"])
    assert {row["name"] for row in found["compilers"]} >= {"Triton"}
    assert found["memory"][0]["total_mb"] > found["memory"][0]["free_mb"] > 0
    assert found["graphs"]["detail"] == "only on a GPU"
    assert {row["name"]: row["state"] for row in found["data"]}["cifar10"] == "missing"
    shown = doctor()
    assert shown.exit_code == 0
    assert shown.stdout.endswith("All is right.\n")


def test_wrong_numbers_are_told_and_end_with_status_1(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    combine = torch_kernels.combine

    def off(terms: Any, coefficients: Any, bias: Any, out: Any, *, accumulate: bool = False) -> None:
        combine(terms, coefficients, bias, out, accumulate=accumulate)
        out *= 1.01 if out.dtype.itemsize == 4 else 1

    monkeypatch.setattr(torch_kernels, "combine", off)
    result = doctor("--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert not found["right"]
    wrong = {(check["engine"], check["what"]) for check in found["checks"] if check["verdict"] == "WRONG"}
    assert wrong >= {("fast, plain torch", "kernel combine"), ("fast, plain torch", "nats-tss")}
    assert {engine for engine, _ in wrong} == {"fast, plain torch"}
    assert "fast, plain torch" not in {row["engine"] for row in found["timings"]}
    said = "fast, plain torch, fp32: kernel combine is 1.0e-02 off float64 on the CPU, 1.0e-05 is allowed"
    assert said in doctor().stdout


def test_what_fails_is_told_and_has_no_error(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such kernel\nmore")

    monkeypatch.setattr(torch_kernels, "combine", fails)
    result = doctor("--json")
    assert result.exit_code == 1
    (check,) = [check for check in json.loads(result.stdout)["checks"] if check["failed"]][:1]
    found = check["what"], check["verdict"], check["error"], check["failed"]
    assert found == ("kernel combine", "FAILS", None, "RuntimeError: no such kernel")


def test_a_missing_compiler_is_told_with_its_remedy(doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(cpp_kernels, "library", lambda: "no C++ compiler")
    result = doctor("--json")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    (row,) = [row for row in found["compilers"] if row["name"] == "no-such-compiler"]
    assert row["state"] == "missing"
    assert "install g++" in row["detail"]
    assert found["in_use"]["fp32"] == "in plain torch: no C++ compiler"


def test_damaged_data_is_wrong(doctor: Any, tmp_path: Path) -> None:
    batch = tmp_path / "cifar-10-batches-py"
    batch.mkdir()
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        (batch / name).write_text("damaged")
    result = doctor()
    assert result.exit_code == 1
    assert "cifar10: " in result.stdout


@pytest.mark.parametrize(("device", "words"), [("cuda", "is not available here"), ("tpu", "unknown device 'tpu'")])
def test_a_device_that_is_not_here_is_one_line(
    dartboard: Any, monkeypatch: pytest.MonkeyPatch, device: str, words: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = dartboard("doctor", "--device", device)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert words in line


def test_kernels_without_their_c_compiler_are_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton's, on a GPU: the machine lacks something; where it has one, they are."""
    from spaces.engine.self_test.findings import Finding
    from spaces.engine.ways import ways
    from suite.doctor.examination import Examined

    failed = Finding("kernel combine", float("nan"), 1e-5, "RuntimeError: Failed to find C compiler.")
    examined = [Examined(ways("cuda", "fp32")[0], "fp32", failed)]
    parts: dict[str, Any] = {name: [] for name in ("kernels", "compilers", "memory", "timings", "data")}
    report = Report("cuda", examined, {}, graphs={"state": "here"}, root=Path(), **parts)
    monkeypatch.setattr(machine, "c_compiler", lambda: None)
    assert not report.wrong
    monkeypatch.setattr(machine, "c_compiler", lambda: "/usr/bin/gcc")
    assert len(report.wrong) == 1


def test_float32_by_tf32_that_is_less_exact_is_not_used_and_not_wrong() -> None:
    from spaces.engine.self_test.findings import Finding
    from spaces.engine.ways import ways
    from suite.doctor.examination import Examined

    way = ways("cuda", "fp32")[0]
    assert Examined(way, "fp32", Finding(whole_nets.ACCURACY, 1.7, 1.3)).verdict == "not used"
    assert Examined(way, "fp32", Finding("darts", 1.7, 1.3)).verdict == "WRONG"
