"""Running a Python file of the user's, outside the repository."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType

from methods.search.external.own_errors import PREFIX, in_one_line
from spaces.common.errors import InputError


def run_file(path: Path, explain: Callable[[BaseException], str] = lambda error: "") -> ModuleType:
    """The module that `path` defines.

    Raises `InputError` with the line of the file that failed, and the words of `explain` on the error where it has any.
    """
    spec = spec_from_file_location(f"{PREFIX}{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up the module they are in
    with _interrupts() as interrupts:
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            if interrupts and isinstance(error, KeyboardInterrupt):  # the user's, not one that the file raises
                raise
            raise InputError(f"{path}: {_failure(error, str(spec.origin), explain)}") from error
    return module


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The signals of Ctrl-C during the block, a list that grows. Each is handled as it is without the block."""
    received: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield received
        return

    def note(number: int, frame: FrameType | None) -> None:
        received.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _failure(error: BaseException, file: str, explain: Callable[[BaseException], str]) -> str:
    """What running `file` raised, in one line, and the last line of `file` that was reached."""
    if isinstance(error, SyntaxError) and error.filename == file:  # no line of it has run
        return f"{_line(error.lineno)}SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{_line(lines[-1] if lines else None)}{explain(error) or in_one_line(error)}"


def _line(number: int | None) -> str:
    return f"line {number}: " if number else ""
