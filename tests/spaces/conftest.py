"""One thread, and modules that initialise alike."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def initialised_alike() -> None:
    """Modules initialise from the global stream: start it at the same place."""
    torch.manual_seed(0)
