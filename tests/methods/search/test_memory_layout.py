"""Supernets whose kernels lie in memory in another way: the same search."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch

from spaces.cells.supernet import Supernet


@pytest.mark.parametrize("method", ["darts-1st", "rarts", "lambda-darts"])
def test_channels_innermost_give_the_same_search(
    make_search: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Also where a search continues whose state was kept in the usual layout, momenta included."""

    def innermost(net: Supernet, device: torch.device) -> Supernet:
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    usual = make_search(method, "nats-tss")
    for _ in range(2):
        usual.advance()
    state = deepcopy(usual.state_dict())
    usual.advance()
    expected = usual.learner.state_dict()["net"]
    monkeypatch.setattr(Supernet, "on", innermost)
    continued, whole = make_search(method, "nats-tss"), make_search(method, "nats-tss")
    continued.load_state_dict(state)
    continued.advance()
    for _ in range(3):
        whole.advance()
    for search in (continued, whole):
        found = search.learner.state_dict()["net"]
        assert any(not weight.is_contiguous() for weight in found.values() if weight.dim() == 4)
        for name, weight in expected.items():
            torch.testing.assert_close(found[name], weight, rtol=1e-4, atol=1e-6)
