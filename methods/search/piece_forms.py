"""The pieces of a recipe: what each is given, what it is called, where it stands, and what it gave, in words."""

import inspect
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import CodeType
from typing import Any

from torch import Tensor

from spaces.common.plural import counted


@dataclass(frozen=True)
class Form:
    """The arguments of a piece in order, whether a recipe has a tuple of them, and whether None stands for none."""

    given: tuple[str, ...]
    several: bool = False
    optional: bool = False

    @property
    def words(self) -> str:
        """What the field may be."""
        one = f"of ({', '.join(self.given)})"
        if self.several:
            return f"a tuple of functions {one}, such as (term,)"
        return f"a function {one}{' or None' if self.optional else ''}"


PIECES: Mapping[str, Form] = {
    "relaxation": Form(("alpha", "context", "split")),
    "gradient": Form(("step",)),
    "start": Form(("space", "seed")),
    "schedule": Form(("step",)),
    "watch": Form(("step", "gradients"), several=True),
    "log": Form(("memory",), several=True),
    "inner": Form(("step",), several=True),
    "outer": Form(("step",), several=True),
    "constraint": Form(("step",)),
    "perturbation": Form(("step",)),
    "selection": Form(("space", "weights")),
    "stop": Form(("history", "settings")),
    "select_epoch": Form(("history", "settings")),
    "weight_decay": Form(("history", "settings")),
    "skip_dropout": Form(("context",)),
    "auxiliary_skip": Form(("context",), optional=True),
}
"""Field of `methods.search.recipe.Recipe` → the form of its piece or pieces."""

FILE = Form(("path", "space", "settings"))
"""The form of what looks into a file that an option names."""


def pieces_of(recipe: Any) -> list[tuple[str, Any]]:
    """Field and function of every piece of a recipe."""
    found: list[tuple[str, Any]] = []
    for name, form in PIECES.items():
        value = getattr(recipe, name)
        found += [(name, piece) for piece in value] if form.several else [(name, value)] if value is not None else []
    return [*found, *(("files", piece) for piece in recipe.files.values())]


def function_of(piece: Any) -> Any:
    """What a piece is written as: the function inside a `functools.partial` or a decorator."""
    while isinstance(piece, partial):
        piece = piece.func
    return inspect.unwrap(piece)


def name_of(piece: Any) -> str:
    """A piece's name; of a `functools.partial` with the arguments that it fixes."""
    function = function_of(piece)
    name = str(getattr(function, "__name__", type(function).__name__))
    if not isinstance(piece, partial):
        return name
    fixed = [*map(shown, piece.args), *(f"{key}={shown(value)}" for key, value in piece.keywords.items())]
    return f"{name}({', '.join(fixed)})"


def code_of(piece: Any) -> CodeType | None:
    """The code of a piece, which knows its file and line; None of what is not written in Python."""
    function = function_of(piece)
    called = getattr(type(function), "__call__", None)  # noqa: B004 - of an object that can be called
    code = getattr(function, "__code__", None) or getattr(called, "__code__", None)
    return code if isinstance(code, CodeType) else None


def is_outside(piece: Any) -> bool:
    """Does a piece stand in a file that is not of this package?"""
    module = str(getattr(function_of(piece), "__module__", None) or type(piece).__module__)
    return module.partition(".")[0] not in ("methods", "spaces", "suite")


def place_of(piece: Any) -> str:
    """``FILE: line N: `` of a piece that stands outside this package, else nothing."""
    code = code_of(piece) if is_outside(piece) else None
    return f"{code.co_filename}: line {code.co_firstlineno}: " if code else ""


def shown(value: Any) -> str:
    """A value in a sentence: short, on one line, its kind where that is not plain."""
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)}"
    if isinstance(value, str):
        return f"the text {reprlib.repr(value)}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if inspect.isroutine(value):
        return f"the function {name_of(value)}"
    if value is None or isinstance(value, bool | int | float):
        return reprlib.repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        return f"a {type(value).__name__} of {counted(len(value), 'entry', 'entries')}"
    if isinstance(value, Mapping):
        return "a dictionary"
    return f"an object of type {type(value).__name__}"
