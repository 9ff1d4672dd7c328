"""A tiny npz data set, and a study of two short trials on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spaces.common.errors import InputError
from suite.data.sets import load


@pytest.fixture
def said() -> Callable[[str, Path], str]:
    """The one line that loading a data set fails with."""

    def line(spec: str, root: Path) -> str:
        with pytest.raises(InputError) as caught:
            load(spec, root)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return line


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 + 20 random 8 x 8 grey images of 4 classes."""
    random = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(
        path,
        x_train=random.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8),
        y_train=np.arange(60) % 4,
        x_test=random.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8),
        y_test=np.arange(20) % 4,
    )
    return path


@pytest.fixture
def tiny_study(tiny_npz: Path, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
title = "Two short trials"

[[trials]]
methods = ["darts-1st", "random"]
spaces = ["nats-tss"]
datasets = ["npz:{tiny_npz}"]
seeds = [0]
set = {{ epochs = 4, batch_size = 8, "evaluate.epochs" = 3 }}
"""
    )
    return path
