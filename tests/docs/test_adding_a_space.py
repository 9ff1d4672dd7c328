"""The instructions of docs/adding-a-space.md are followed in a copy of the repository."""

import ast
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.conventions import Conventions

from .conftest import ROOT, blocks

PAGE = "adding-a-space.md"
SMALL = "--set epochs=1 --set images=64 --set evaluate.epochs=1 --out runs"


def added(checkout: Path) -> None:
    """The page's folder and its line."""
    code, line = blocks(PAGE, "python")
    folder = checkout / "spaces" / "triangle"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""A small example of a search space."""\n', encoding="utf-8")
    (folder / "space.py").write_text(code, encoding="utf-8")
    path = checkout / "spaces" / "__init__.py"
    text = path.read_text(encoding="utf-8")
    head, start, rest = text.partition("SPACES: dict[str, str] = {\n")
    entries, end, tail = rest.partition("}\n")
    path.write_text(f"{head}{start}{entries}{line}{end}{tail}", encoding="utf-8")


def test_the_space_passes_the_conformance_tests_and_the_commands_run(
    checkout: Path, python: Callable[[str], str]
) -> None:
    added(checkout)
    shell = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    lines = [line.removeprefix("dartboard ") for line in shell if line.startswith("dartboard ")]
    assert [line.split()[0] for line in lines] == ["search", "describe"]
    said = python(f"""
import pytest
assert "triangle" in dartboard("list spaces")
assert "triangle(" in dartboard({lines[0]!r} + " {SMALL}")
assert "multiply-adds" in dartboard({lines[1]!r})
dartboard("search pr-darts --space triangle {SMALL} --probes gap,hessian")
arguments = ["-q", "-p", "no:cacheprovider", "--rootdir", {str(checkout)!r}, "-c", {str(checkout / "pyproject.toml")!r}]
sys.exit(pytest.main([*arguments, {str(checkout / "tests/spaces/test_conformance.py")!r}, "-k", "triangle"]))
""")
    assert " passed" in said


def declared(kind: type) -> set[str]:
    """The public names that a class body of the source declares or defines."""
    [body] = [node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef)]
    names = [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return {name.id for name in names if isinstance(name, ast.Name)}


@pytest.mark.parametrize("kind", [Space, Conventions, Genotype])
def test_the_page_lists_all_that_is_to_be_declared(kind: type) -> None:
    page = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    wanted = declared(kind) | set(getattr(kind, "__abstractmethods__", ()))
    assert wanted
    assert [name for name in sorted(wanted) if f"`{name}`" not in page and f"`{name}(" not in page] == []
