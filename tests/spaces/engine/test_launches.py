"""How many kernels a step would issue on a GPU: counted without one, so how long they take is not known.

Sizes do not matter to the count, the number of cells does. A kernel is what one of torch's operations is taken for, if
it is not a view and does not merely allocate (each gradient of a convolution is one), and each launch of a Triton
kernel, which is not run.
"""

from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from spaces import get_space
from spaces.cells.operations import BatchNorm
from spaces.engine import fast_engine, torch_kernels
from spaces.engine.triton_kernels import triton_kernels, triton_launch
from spaces.engine.ways import Way

SILENT = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view", "detach"}


class Count(TorchDispatchMode):
    """Counts torch's operations by name."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if not func.is_view and name not in SILENT:
            self.found[name] += sum(args[-1]) if name == "convolution_backward" else 1
        return func(*args, **(kwargs or {}))


class Launches:
    """In place of the Triton kernels: counts what would be launched, by name."""

    def __init__(self, found: Counter[str]) -> None:
        self.found = found

    def __getattr__(self, name: str) -> Any:
        return _Kernel(lambda: self.found.update([f"Triton: {name}"]))


class _Kernel:
    def __init__(self, count: Callable[[], None]) -> None:
        self.count = count

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return lambda *arguments, **more: self.count()


def issued(monkeypatch: pytest.MonkeyPatch, space: str, cells: int, family: ModuleType | None) -> Counter[str]:
    """By a weight step and an alpha step, by name: of the fast engine with a family of kernels, or the reference."""
    found: Counter[str] = Counter()
    searched = get_space(space)
    net = searched.supernet(4, cells, classes=10, engine="fast" if family else "reference")
    if family:
        net.to(memory_format=torch.channels_last)  # as `Supernet.on` has it
    alpha = {kind: table.requires_grad_() for kind, table in searched.alpha(seed=0).items()}
    images, labels = torch.zeros(2, 3, 8, 8), torch.arange(2)

    def take() -> None:
        weights = {kind: a.detach().softmax(-1) for kind, a in alpha.items()}
        torch.autograd.grad(F.cross_entropy(net(images, weights), labels), list(net.parameters()), allow_unused=True)
        weights = {kind: a.softmax(-1) for kind, a in alpha.items()}
        torch.autograd.grad(F.cross_entropy(net(images, weights), labels), list(alpha.values()))

    with monkeypatch.context() as patch:
        patch.setattr(fast_engine, "way_for", lambda *where: Way("fast", family))
        patch.setattr(triton_launch, "compiled", lambda: Launches(found))
        patch.setattr(BatchNorm, "forward", nn.BatchNorm2d.forward)  # which on a CPU changes the layout, too
        take()  # a plan is moved to its device once
        found.clear()
        with Count(found):
            take()
    return found


@pytest.mark.own_engine
@pytest.mark.parametrize(
    ("space", "cells", "expected"),
    [
        ("nats-tss", 1, {"reference": 1437, "plain torch": 2329, "Triton": 319, "of them Triton's": 137}),
        ("darts", 3, {"reference": 9039, "plain torch": 17553, "Triton": 588, "of them Triton's": 387}),
    ],
)
def test_kernels_of_a_step(monkeypatch: pytest.MonkeyPatch, space: str, cells: int, expected: dict[str, int]) -> None:
    """The numbers of docs/performance.md; if they move, names and counts are printed."""
    families = {"reference": None, "plain torch": torch_kernels, "Triton": triton_kernels}
    by_name = {words: issued(monkeypatch, space, cells, family) for words, family in families.items()}
    for words, found in by_name.items():
        print(words, *(f"{count:6} {name}" for name, count in found.most_common()), sep="\n")
    own = sum(count for name, count in by_name["Triton"].items() if name.startswith("Triton: "))
    assert {**{words: found.total() for words, found in by_name.items()}, "of them Triton's": own} == expected


@pytest.mark.own_engine
@pytest.mark.parametrize(("space", "cells", "most"), [("nats-tss", 5, 1200), ("darts", 8, 1500)])
def test_a_step_at_the_papers_depth_launches_few_kernels(
    monkeypatch: pytest.MonkeyPatch, space: str, cells: int, most: int
) -> None:
    """Even from a CUDA graph a GPU takes a microsecond or two for each."""
    found = issued(monkeypatch, space, cells, triton_kernels)
    assert found.total() <= most, found
