"""Every registered method is what it may be, and is registered by standing in a file of `methods`."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from methods import METHODS, Registry, get_method
from methods.search.external.validation import validate
from methods.search.settings import Settings
from spaces import get_space
from suite.plan import plan

ONE = """
from dataclasses import replace
from methods.darts import DARTS_1ST

SECOND, FIRST = (replace(DARTS_1ST, name=name, title=name) for name in ("second", "first"))
NOT_ONE = DARTS_1ST.name
"""


@pytest.mark.parametrize("name", METHODS)
def test_a_registered_method_is_what_it_may_be(name: str) -> None:
    validate(get_method(name))
    assert get_method(name).name == name


@pytest.mark.parametrize("name", METHODS)
def test_a_record_describes_a_method(name: str) -> None:
    """A title, a source and all that it is made of in words; and each setting, its options among them."""
    method = METHODS[name]
    for space in method.spaces:
        planned = plan(name, space, "digits", 0, protocol="paper")
        assert {*Settings().flat(), *(option.name for option in method.options)} == planned.settings.flat().keys()
        assert method.reads(get_space(space), planned.settings) == {}
        declared = method.declaration(planned.settings)
        assert {"title", "source", "batch norm", "operations removed from the space"} <= declared.keys()
        assert all(isinstance(words, str) and words.strip() for words in declared.values())


@pytest.mark.parametrize("name", METHODS)
def test_an_option_says_what_it_is_in_a_sentence(name: str) -> None:
    for option in METHODS[name].options:
        assert option.words[0].isupper() or not option.words[0].isascii() or ":" in option.words
        assert option.words.endswith(".")
        assert isinstance(option.default, str) or option.kind == "bool" or option.bounds


def test_every_method_of_the_package_is_found_where_it_is_defined() -> None:
    """`DARTS_1ST` is imported by many modules, and belongs to one."""
    assert METHODS.module("darts-1st") == "methods.darts"
    assert list(METHODS) == sorted(METHODS, key=METHODS.module)  # definitions of one module keep their order
    assert [name for name in METHODS if METHODS.module(name) == "methods.rarts"] == ["rarts", "milenas"]


def test_importing_the_package_imports_no_method() -> None:
    code = "import methods, sys; assert 'torch' not in sys.modules; assert 'methods.darts' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of methods that can be imported as `some_methods`."""
    folder = tmp_path / "some_methods"
    (folder / "search").mkdir(parents=True)
    for path in (folder, folder / "search"):
        (path / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "some_methods"]:
        del sys.modules[name]


def registry(package: Path) -> Registry:
    return Registry("some_methods", [str(package)], ("some_methods.search",))


def test_a_file_in_the_package_registers_its_methods(package: Path) -> None:
    (package / "z.py").write_text(ONE)
    (package / "search" / "left_out.py").write_text("raise RuntimeError")
    found = registry(package)
    assert list(found) == ["second", "first"]
    assert found.module("first") == "some_methods.z"


def test_modules_are_in_the_order_of_their_names(package: Path) -> None:
    (package / "z.py").write_text(ONE)
    (package / "a.py").write_text(ONE.replace('"second", "first"', '"third", "fourth"'))
    (package / "b.py").write_text("from some_methods.z import FIRST")
    assert list(registry(package)) == ["third", "fourth", "second", "first"]


def test_two_methods_of_one_name_are_refused(package: Path) -> None:
    (package / "z.py").write_text(ONE)
    (package / "a.py").write_text(ONE.replace('"second"', '"third"'))
    with pytest.raises(ValueError, match=r"called first: in some_methods\.a and some_methods\.z"):
        len(registry(package))
