"""How is an architecture searched: the loop, its pieces and the recipes.

`METHODS` finds every method that a module of this package defines, at the first look into it: importing the package
imports none.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any

from spaces.common.errors import InputError, unknown
from spaces.common.metric import IMAGE_CLASSIFICATION

if TYPE_CHECKING:
    from methods.search.loop import Search
    from methods.search.method import Method
    from methods.search.task import Task

MACHINERY = ("methods.search", "methods.probes")
"""Packages that define no method."""


class Registry(Mapping[str, "Method"]):
    """Name → method: every `Method` that a module of `package` assigns to a name at its top level.

    The order is that of the modules' names, then of the definitions. Raises `ValueError` for a name that two have.
    """

    def __init__(self, package: str, path: list[str], left_out: tuple[str, ...] = ()) -> None:
        self.package, self.path, self.left_out = package, path, left_out

    @cached_property
    def _found(self) -> dict[str, tuple["Method", str]]:
        from methods.search.method import Method

        found: dict[str, tuple[Method, str]] = {}
        for module in self._modules():
            defined = vars(import_module(module))
            for variable in _assigned(Path(defined["__file__"])):
                method = defined.get(variable)
                if not isinstance(method, Method):
                    continue
                if method.name in found:
                    raise ValueError(f"two methods are called {method.name}: in {found[method.name][1]} and {module}")
                found[method.name] = method, module
        return found

    def _modules(self) -> list[str]:
        names = (module.name for module in walk_packages(self.path, f"{self.package}."))
        return sorted(name for name in names if not f"{name}.".startswith(tuple(f"{own}." for own in self.left_out)))

    def module(self, name: str) -> str:
        """The module that defines the method called `name`."""
        return self._found[name][1]

    def __getitem__(self, name: str) -> "Method":
        return self._found[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


def _assigned(file: Path) -> list[str]:
    """The names that the module in `file` assigns at its top level, in order; those that it imports are none."""
    statements = ast.parse(file.read_text(encoding="utf-8")).body
    targets = [
        target
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
    ]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


METHODS = Registry(__name__, __path__, MACHINERY)


def get_method(name: str) -> "Method":
    """The method called `name`, or NAME of the Python file in ``path/to/file.py:NAME``.

    Raises `InputError` with the nearest name if there is none, or as `recipe_from` does. The file is run: it is the
    caller's own code.
    """
    if name.endswith(".py"):
        raise InputError(f"{name}: which of its recipes? Name a method as {name}:NAME")
    path, _, attribute = name.rpartition(":")
    if path.endswith(".py"):
        from methods.search.external.recipe_file import recipe_from

        return recipe_from(Path(path), attribute, METHODS)
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def get_task(name: str) -> "Task":
    """The task called `name`: image classification, or that of ``path/to/file.py``, where several as ``FILE.py:NAME``.

    Raises `InputError` if there is none, or as `task_from` does. The file is run: it is the caller's own code.
    """
    from methods.search.task import CLASSIFICATION

    path, _, attribute = (name, "", "") if name.endswith(".py") else name.rpartition(":")
    if path.endswith(".py"):
        from methods.search.external.task_file import task_from

        return task_from(Path(path), attribute, (CLASSIFICATION.name,))
    if name != IMAGE_CLASSIFICATION:
        raise InputError(
            f"unknown task {name!r}: choose {IMAGE_CLASSIFICATION}, or a file of your own, path/to/file.py"
        )
    return CLASSIFICATION


def __getattr__(name: str) -> Any:
    if name == "Search":
        from methods.search.loop import Search

        return Search
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["METHODS", "Registry", "Search", "get_method", "get_task"]
