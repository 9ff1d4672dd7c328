"""The form of a piece (a function that a recipe is made of), and how one is named in records and in errors."""

import inspect
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field
from functools import partial
from types import CodeType
from typing import Any

from torch import Tensor

from spaces.common.plural import counted


@dataclass(frozen=True)
class Form:
    """What a piece is given, what it returns, and when it is called, in words.

    `several`: a recipe has a tuple of them. `optional`: None stands for no piece.
    """

    given: tuple[str, ...]
    returns: str
    called: str
    several: bool = False
    optional: bool = False

    @property
    def words(self) -> str:
        """What the field of a recipe may be."""
        one = f"of ({', '.join(self.given)})"
        if self.several:
            return f"a tuple of functions {one}, such as (term,)"
        return f"a function {one}{' or None' if self.optional else ''}"


def piece(
    given: str,
    returns: str,
    called: str,
    default: Any = MISSING,
    *,
    several: bool = False,
    optional: bool = False,
) -> Any:
    """A field of `Pieces` that holds a piece, or several. `given`: the names of its arguments, in order."""
    form = Form(tuple(given.split()), returns, called, several, optional)
    return field(default=() if several else default, metadata={"form": form})


FILE = Form(("path", "space", "settings"), "what the file holds, in words", "before a trial runs")
"""The form of a function that reads a file which an option names."""


def describe(piece: Callable[..., Any]) -> str:
    """A piece's name and the first line of its docstring."""
    summary = (function_of(piece).__doc__ or "").strip().splitlines()
    return f"{name_of(piece)}: {summary[0]}" if summary else name_of(piece)


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
