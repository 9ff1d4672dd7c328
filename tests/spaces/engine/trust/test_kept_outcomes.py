"""The outcome of a self-test is kept by all that it depends on, and measured anew where it cannot be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from spaces.common import disk_cache
from spaces.engine import kernel_choice, trust
from spaces.engine.self_test import whole_nets
from spaces.engine.self_test.examples import examples_of
from spaces.engine.self_test.findings import Finding
from spaces.engine.self_test.precision import in_use
from spaces.engine.ways import REFERENCE, Way

CPU = torch.device("cpu")
RIGHT, WRONG = Finding("piece", 1e-7, 1e-5), Finding("piece", 1e-3, 1e-5)
FAILED = Finding("piece", float("nan"), 1e-5, "OutOfMemoryError: much")


class Measured:
    """Counts the self-tests, which find what `finds` says."""

    def __init__(self) -> None:
        self.times, self.finds = 0, [RIGHT]

    def __call__(self, way: Way, device: torch.device, precision: str) -> Iterator[Finding]:
        self.times += 1
        yield from self.finds


@pytest.fixture
def measured(device: Any, monkeypatch: pytest.MonkeyPatch) -> Measured:
    device()
    found = Measured()
    monkeypatch.setattr(trust, "checks", found)
    return found


def asked() -> str:
    """Why a new process does not use the reference; "" if it does."""
    kernel_choice.forget()
    return trust.why_not(REFERENCE, CPU, "fp32")


@pytest.mark.parametrize(("finds", "words"), [([RIGHT], ""), ([RIGHT, WRONG], WRONG.words)], ids=["right", "wrong"])
def test_it_is_measured_once(measured: Measured, cache: Path, finds: list[Finding], words: str) -> None:
    measured.finds = finds
    assert [asked(), asked(), trust.why_not(REFERENCE, CPU, "fp32")] == [words] * 3
    assert measured.times == 1
    assert len(list(cache.iterdir())) == 1
    trust.why_not(REFERENCE, CPU, "bf16")
    assert measured.times == 2


@pytest.mark.parametrize("text", ["", "[", "3", '{"piece": 1}'])
def test_a_damaged_file_is_measured_anew_and_replaced(measured: Measured, cache: Path, text: str) -> None:
    asked()
    (path,) = cache.iterdir()
    path.write_text(text)
    assert asked() == ""
    assert measured.times == 2
    asked()
    assert measured.times == 2


def test_a_failure_is_not_kept(measured: Measured, cache: Path) -> None:
    """Memory may have been short, or a compiler missing that is there tomorrow."""
    measured.finds = [FAILED]
    assert asked() == "piece fails (OutOfMemoryError: much)"
    assert not cache.exists()
    assert trust.why_not(REFERENCE, CPU, "fp32") == FAILED.words  # in this process it is
    assert measured.times == 1


def test_a_cache_that_cannot_be_written_costs_time_alone(measured: Measured, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file where the folder should be")
    assert [asked(), asked()] == ["", ""]
    assert measured.times == 2


@pytest.mark.parametrize(
    ("of", "name"), [(torch, "__version__"), (disk_cache, "digest_of_sources"), (trust, "_version")], ids=str
)
def test_what_it_depends_on_is_part_of_its_name(
    measured: Measured, monkeypatch: pytest.MonkeyPatch, of: Any, name: str
) -> None:
    asked()
    monkeypatch.setattr(of, name, "2.0" if isinstance(getattr(of, name), str) else lambda *_: "2.0")
    asked()
    assert measured.times == 2


def test_a_gpu_is_known_by_itself_and_by_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    class Properties:
        name, major, minor = "H100", 9, 0

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    monkeypatch.setattr(trust, "_driver", lambda: "580.65")
    found = trust.identity(REFERENCE, torch.device("cuda", 0), "fp32")
    assert {"name": "H100", "compute capability": "9.0", "driver": "580.65"}.items() <= found.items()
    assert {"torch", "Triton", "CUDA", "cuDNN", "sources", "way", "precision"} <= set(found)


def test_on_a_cpu_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "checks", None)
    kernel_choice.forget()
    assert trust.why_not(REFERENCE, CPU, "fp32") == ""


def test_the_precision_in_use_is_that_of_the_pass() -> None:
    before = torch.backends.cudnn.conv.fp32_precision  # type: ignore[attr-defined]
    try:
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
        assert (in_use("cuda"), in_use("cpu")) == ("tf32", "fp32")
        torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
        assert in_use("cuda") == "fp32"
        torch.set_autocast_enabled("cuda", True)  # the context of autocast refuses to, without a GPU
        assert (in_use("cuda"), in_use("cpu")) == ("bf16", "fp32")
    finally:
        torch.set_autocast_enabled("cuda", False)
        torch.backends.cudnn.conv.fp32_precision = before  # type: ignore[attr-defined]


@pytest.mark.parametrize("within", [torch.func.grad, torch.vmap], ids=["grad", "vmap"])
def test_a_first_pass_may_be_anywhere(device: Any, monkeypatch: pytest.MonkeyPatch, within: Any) -> None:
    """The self-test is neither differentiated nor batched, and it does not draw from the caller's random numbers."""
    device()
    monkeypatch.setattr(whole_nets, "examples", lambda: examples_of("nats-tss"))
    examples_of.cache_clear()
    torch.manual_seed(0)

    def first(x: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert trust.why_not(REFERENCE, CPU, "fp32") == ""
        return x.square().sum()

    within(first)(torch.ones(3))
    drawn = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(drawn, torch.rand(3))
