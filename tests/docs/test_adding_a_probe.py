"""The instructions of docs/adding-a-probe.md are followed in a copy of the repository."""

import re
from collections.abc import Callable
from pathlib import Path

from .conftest import ROOT, blocks

PAGE = "adding-a-probe.md"
SMALL = "--set epochs=1 --set images=64 --set evaluate.epochs=1 --out runs --json"


def test_the_probe_is_listed_and_measures_what_the_weights_say(checkout: Path, python: Callable[[str], str]) -> None:
    [code] = blocks(PAGE, "python")
    text = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    [entry] = re.findall(r"Register it in `PROBES`[^:]*: `(\"[^`]*)`", text)
    path = re.match(r"# (\S+)\n", code)
    assert path is not None
    (checkout / path[1]).write_text(code, encoding="utf-8")
    registry = checkout / "methods" / "probes" / "__init__.py"
    source = registry.read_text(encoding="utf-8")
    opening = re.search(r"^PROBES[^\n]*\{\n", source, re.MULTILINE)
    assert opening is not None
    registry.write_text(f"{source[: opening.end()]}    {entry},\n{source[opening.end() :]}", encoding="utf-8")
    python(f"""
import numpy as np
from pathlib import Path
from suite.store import load_frames

assert "margin" in dartboard("list probes")
for method in ("darts-1st", "random"):
    dartboard(f"search {{method}} --space nats-tss --dataset digits --probes margin {SMALL}")
_, histories = load_frames(Path("runs"))
for row in histories.to_dict("records"):
    table = np.sort(np.reshape(row["weights.cell"], (6, 5)), axis=1)
    assert abs(row["probe.margin.cell"] - (table[:, -1] - table[:, -2]).mean()) < 1e-6
""")
