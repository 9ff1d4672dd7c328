"""Reading a recipe from a file outside the repository."""

import re
import signal
import sys
import threading
import traceback
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType

from methods.search.external.own_errors import PREFIX, in_one_line, message_of, own_errors
from methods.search.external.validation import validate
from methods.search.method import Method
from methods.search.piece_forms import shown
from methods.search.recipe import Recipe
from methods.search.settings import COMMON
from spaces.common.errors import InputError, unknown


def recipe_from(path: Path, attribute: str, taken: Container[str]) -> Method:
    """The recipe that `path` calls `attribute`. Its own name must not be one of `taken`.

    Raises `InputError`, one line, if there is no such file or recipe, if running the file raises anything, or if a
    field of the recipe is not what it may be.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name a method as path/to/file.py:NAME")
    method = _method(_run(path), attribute, path)
    try:
        with own_errors():
            validate(method)
    except InputError as error:
        if error.details:  # it names the file already
            raise
        raise InputError(f"{path}: {attribute}: {error}") from error
    if method.name in taken:
        raise InputError(f"{path}: {attribute} calls itself {method.name!r}, which is taken: give it another name")
    return method


def _run(path: Path) -> ModuleType:
    """The module that `path` defines. Raises `InputError` with the line of the file that failed."""
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
            raise InputError(f"{path}: {_failure(error, str(spec.origin))}") from error
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


def _failure(error: BaseException, file: str) -> str:
    """What running `file` raised, in one line, and the last line of `file` that was reached."""
    if isinstance(error, SyntaxError) and error.filename == file:  # no line of it has run
        return f"{_line(error.lineno)}SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{_line(lines[-1] if lines else None)}{_unknown_field(error) or in_one_line(error)}"


def _line(number: int | None) -> str:
    return f"line {number}: " if number else ""


def _unknown_field(error: BaseException) -> str:
    """For a keyword that is no field of a recipe: that, and the nearest field. Else nothing."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", message_of(error))
    if not isinstance(error, TypeError) or found is None:
        return ""
    made, name = found.groups()
    recipes: list[type[Recipe]] = [Recipe, *Recipe.__subclasses__()]
    kinds = {kind.__name__: kind for kind in recipes}
    if made not in kinds:
        return ""
    if name in {option.name for option in COMMON}:
        return f"{name} is no field of a recipe but a setting: settings={{{name!r}: …}}"
    known = [own.name for own in fields(kinds[made])]
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}; a hyper-parameter stands in settings"
    return f"{name} is no field of a recipe: {hint}"


def _method(module: ModuleType, attribute: str, path: Path) -> Method:
    """The recipe that `module` calls `attribute`."""
    held = vars(module)
    value = held.get(attribute)
    if isinstance(value, Method):
        return value
    if isinstance(value, type) and issubclass(value, Method):
        raise InputError(f"{path}: {attribute} is a class: name an instance of it, such as X = {attribute}(…)")
    if attribute in held:
        raise InputError(f"{path}: {attribute} is no recipe: it is {shown(value)}")
    recipes = [name for name, value in held.items() if isinstance(value, Method)]
    if not recipes:
        raise InputError(f"{path}: there is no recipe in it: write one, such as X = replace(DARTS_1ST, name='x')")
    raise InputError(f"{path}: {unknown('recipe', attribute, recipes)}")
