"""The statistics are functions of a frame that can be imported on their own, as docs/statistics.md shows."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import reports.statistics

DOCS = Path(__file__).parents[3] / "docs" / "statistics.md"


def test_the_documented_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(example, names)
    found = names["found"]
    assert isinstance(found, pd.DataFrame)
    (row,) = found.to_dict("records")
    assert (row["method"], row["baseline"], row["difference"]) == ("mine", "darts", 4.5)
    # Of the 70 ways to choose 4 of 8 values, these four and the other four are furthest apart.
    assert row["p_holm"] == pytest.approx(2 / 70)
    assert row["verdict"] == "significantly better"


def test_every_exported_name_is_documented_and_there():
    text = DOCS.read_text(encoding="utf-8")
    for name in reports.statistics.__all__:
        assert callable(getattr(reports.statistics, name))
        assert f"`{name}" in text
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = reports.statistics.nonsense


def test_neither_torch_nor_pages_nor_figures_are_imported():
    imported = "from reports.statistics import compare, rank_methods; import sys; print(*sys.modules, sep='\\n')"
    modules = subprocess.run(
        [sys.executable, "-c", imported], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "reports.statistics.comparison" in modules
    others = {name for name in modules if name.startswith("reports.") and not name.startswith("reports.statistics")}
    assert not others
    assert not {"torch", "matplotlib", "suite", "methods"} & set(modules)
