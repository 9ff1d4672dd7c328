"""Errors that a recipe's own file raises, reported as one line with the traceback of that file alone."""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from methods.search.method import Method
from methods.search.piece_forms import code_of, is_outside
from methods.search.pieces import Pieces, pieces_of
from spaces.common.errors import InputError

PREFIX = "outside_"
"""How the names of the modules begin that are made of recipes' files."""

LONGEST = 300
"""Characters of an error's message that are reported."""


@contextmanager
def own_errors() -> Iterator[None]:
    """Turn an error of a recipe's own file into an `InputError`: its line, the piece, the error, a short traceback.

    The context of a block, or the decorator of a function, that runs pieces. Other errors are left alone.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        own = _as_input_error(error)
        if own is None:
            raise
        raise own from error


def _as_input_error(error: BaseException) -> InputError | None:
    """`error` as an `InputError`, if it was raised in the file of a recipe or in what that file called."""
    steps = list(_steps(error.__traceback__))
    pieces = [(field, code_of(piece), piece) for method in _running(steps) for field, piece in _functions(method)]
    files = {str(module.__file__) for name, module in sys.modules.items() if name.startswith(PREFIX)}
    files |= {code.co_filename for _, code, piece in pieces if code is not None and is_outside(piece)}
    own = [(frame, line) for frame, line in steps if frame.f_code.co_filename in files]
    if not own:
        return None
    entered = own[0][0].f_code
    field = next((field for field, code, _ in pieces if code == entered), "")
    last, line = own[-1]
    name = entered.co_qualname.rpartition("<locals>.")[2]
    told = InputError(f"{last.f_code.co_filename}: line {line}: {field}{' ' * bool(field)}{name}: {in_one_line(error)}")
    frames = traceback.StackSummary.extract(iter(own))
    told.details = "".join(["Traceback, of that file alone:\n", *frames.format()]).rstrip()
    return told


def _steps(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _running(steps: Iterable[tuple[FrameType, int]]) -> list[Method | Pieces]:
    """The methods that are running: those of the frames, and those of the learners of the frames."""
    callers = [frame.f_locals.get("self") for frame, _ in steps]
    held = [getattr(caller, "recipe", caller) for caller in callers]
    return [method for method in held if isinstance(method, Method | Pieces)]


def _functions(method: Method | Pieces) -> list[tuple[str, Callable[..., Any]]]:
    """Field and function of everything in `method` that its author may have written."""
    found = pieces_of(method) if isinstance(method, Pieces) else []
    return [*found, *(("files", reader) for reader in method.files.values())] if isinstance(method, Method) else found


def in_one_line(error: BaseException) -> str:
    """The error's type and message on one line; of an `InputError` the message alone."""
    message = message_of(error)
    if isinstance(error, InputError):
        return message
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def message_of(error: BaseException) -> str:
    """The error's message on one line, cut where it is long."""
    try:
        words = " ".join(str(error).split())
    except Exception:  # its own __str__ fails
        return ""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
