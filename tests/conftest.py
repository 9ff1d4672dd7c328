"""What all tests share: one thread, and `--engine reference`, with which they all run on the plain construction."""

import pytest
import torch

from spaces.core.mixed_cell import ByReference, MixedCell

torch.set_num_threads(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=["fast", "reference"], default="fast", help="what computes supernets")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the fast engine itself keep it."""
    if request.config.getoption("--engine") == "reference" and "fast" not in request.path.parts:
        monkeypatch.setattr(MixedCell, "mix", lambda cell, inputs, weights: ByReference(cell)(inputs, weights))
