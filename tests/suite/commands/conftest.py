"""A CSV of results in a file."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "values.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write
