"""The CPU as a device that must pass its self-test first, with a family of kernels that stands for Triton's.

What is wrong there is wrong in float32 alone, so that float64 on the same CPU is still the truth.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from spaces.cells import operations
from spaces.common import disk_cache
from spaces.engine import kernel_choice, torch_kernels, trust, ways
from spaces.engine.self_test import whole_nets
from spaces.engine.self_test.examples import examples_of
from spaces.engine.triton_kernels import triton_launch

Device = Callable[..., ModuleType]


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that keeps outcomes, of this test alone."""
    monkeypatch.setattr(disk_cache, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache" / "dartboard" / trust.FOLDER


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[Device]:
    """Makes the device; keywords replace functions of its kernels. Two spaces stand for all."""
    triton = ModuleType("triton")
    vars(triton).update({**vars(torch_kernels), "NAME": "Triton"})
    monkeypatch.setattr(trust, "TRUSTED", frozenset())
    monkeypatch.setattr(operations, "POOLS_IN_ANY_LAYOUT", frozenset())
    monkeypatch.setitem(ways.ACCELERATED, "cpu", triton)
    monkeypatch.setitem(ways.MULTIPLIES, "cpu", ways.MULTIPLIES["cuda"])
    monkeypatch.setattr(whole_nets, "examples", lambda: [*examples_of("nats-tss"), *examples_of("s1")])
    kernel_choice.forget()

    def make(**kernels: Any) -> ModuleType:
        vars(triton).update(kernels)
        return triton

    yield make
    kernel_choice.forget()
    triton_launch.set_fp32_products("tf32x3")


def flat(values: Any) -> list[Any]:
    """The elements of nested sequences."""
    return [each for value in values for each in (flat(value) if isinstance(value, list | tuple) else [value])]


def in_single(change: Callable[[Any], Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose result is changed where it takes float32."""

    def changed(*args: Any, **more: Any) -> Any:
        single = torch.float32 in [arg.dtype if isinstance(arg, Tensor) else arg for arg in flat(args)]
        found = function(*args, **more)
        return change(found) if single else found

    return changed


@pytest.fixture(scope="session")
def wrong() -> Callable[..., Callable[..., Any]]:
    return in_single
