"""The instructions of docs/adding-a-dataset.md are followed in a copy of the repository."""

import ast
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from suite import commands
from suite.data.entry import DatasetEntry, OfficialFile

from .conftest import ROOT, blocks

PAGE = "adding-a-dataset.md"
ARRAYS, ENTRY, READER = blocks(PAGE, "python")
LINES = [line.removeprefix("dartboard ") for block in blocks(PAGE, "sh") for line in block.splitlines()]
SMALL = "--set epochs=1 --set images=64 --set evaluate.epochs=1 --out runs"

IDX = """
import gzip, hashlib, os
from dataclasses import replace
from pathlib import Path
import numpy as np
from suite.data.registry import DATASETS

entry, root, random = DATASETS["fashion-mnist"], Path(os.environ["DARTBOARD_DATA"]), np.random.default_rng(0)

def written(files, count):
    images, labels = random.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)
    heads = (np.array([2051, count, 28, 28], ">i4"), np.array([2049, count], ">i4"))
    for file, head, content in zip(files, heads, (images, labels)):
        (root / file.path).parent.mkdir(parents=True, exist_ok=True)
        (root / file.path).write_bytes(gzip.compress(head.tobytes() + content.tobytes()))
    return tuple(file._replace(md5=hashlib.md5((root / file.path).read_bytes()).hexdigest()) for file in files)

assert "data fetch fashion-mnist" in dartboard("data status --json")
small = {"train": written(entry.train, 80), "test": written(entry.test, 20)}
assert "damaged" in dartboard("data status --json")
DATASETS["fashion-mnist"] = replace(entry, **small)
"""
"""Writes 80 + 20 images in the official format, and takes their MD5 sums for the published ones."""


def added(checkout: Path) -> None:
    """The page's entry and its reader."""
    registry, readers = (checkout / "suite" / "data" / name for name in ("registry.py", "readers.py"))
    text = registry.read_text(encoding="utf-8")
    head, start, rest = text.partition("ENTRIES = (\n")
    entries, end, tail = rest.partition("\n)\n")
    registry.write_text(f"{head}{start}{entries}\n{indent(ENTRY.rstrip(), '    ')},{end}{tail}", encoding="utf-8")
    imports, _, function = READER.partition("\n\n\n")
    text = readers.read_text(encoding="utf-8")
    place = text.index("from collections")
    readers.write_text(f"{text[:place]}{imports}\n{text[place:]}\n\n{function}", encoding="utf-8")


def test_the_entry_is_listed_verified_and_searched(checkout: Path, python: Callable[[str], str]) -> None:
    added(checkout)
    *looks, search = LINES[2:]
    assert [line.split()[0] for line in looks] == ["list", "data", "data"]
    python(f"""{IDX}
for line in {looks!r}:
    assert "fashion-mnist" in dartboard(line)
import json
record = json.loads(dartboard({search!r} + " {SMALL} --json"))
assert record["dataset_source"].startswith("official files in")
assert (record["settings"]["augment.crop"], record["settings"]["augment.flip"]) == (3, True)
""")


def test_own_images_are_searched_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(ARRAYS, {})
    random = np.random.default_rng(0)
    [layout] = blocks(PAGE, "text")
    folder, *files = layout.split()
    for file in files:
        path = tmp_path / folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    app = typer.Typer()
    commands.register(app)
    for line in LINES[:2]:
        arguments = f"{line} {SMALL} --set batch_size=2 --set evaluate.batch_size=4"
        result = CliRunner().invoke(app, arguments.split())
        assert result.exit_code == 0, result.output


def test_the_entrys_files_are_those_of_torchvision() -> None:
    from torchvision.datasets import FashionMNIST

    entry = ast.parse(ENTRY)
    calls = [
        node for node in ast.walk(entry) if isinstance(node, ast.Call) and ast.unparse(node.func) == "OfficialFile"
    ]
    files = [OfficialFile(*map(ast.literal_eval, call.args)) for call in calls]
    assert [(file.path.rpartition("/")[2], file.md5) for file in files] == FashionMNIST.resources
    assert [file.url for file in files] == [FashionMNIST.mirrors[0] + name for name, _ in FashionMNIST.resources]


def test_the_page_lists_every_field_of_an_entry() -> None:
    page = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    assert [own.name for own in fields(DatasetEntry) if f"`{own.name}`" not in page] == []
