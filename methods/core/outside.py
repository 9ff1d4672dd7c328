"""Recipes that stand in a file outside the repository: read, checked, and their errors told in one line."""

import re
import signal
import sys
import threading
import traceback
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from difflib import get_close_matches
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FrameType, ModuleType, TracebackType

from methods.core.pieces import code_of, is_outside, pieces_of, shown
from methods.core.recipe import Method, Recipe
from methods.core.settings import Settings
from methods.core.validation import validate
from spaces.core.errors import InputError, unknown

PREFIX = "outside_"
"""How the names of the modules begin that are made of such files."""

LONGEST = 300
"""Characters of an error's message that are told."""


def recipe_from(path: Path, attribute: str, taken: Container[str]) -> Method:
    """The recipe that `path` calls `attribute`; its own name must not be one of `taken`.

    Raises `InputError`, one line, if there is no such file or recipe, if the file fails, whatever it raises, or if
    a field of the recipe is not what it may be.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name a method as path/to/file.py:NAME")
    found = _found(_run(path), attribute, path)
    try:
        with own_errors():
            validate(found)
    except InputError as error:
        if error.details:  # it names the file already
            raise
        raise InputError(f"{path}: {attribute}: {error}") from error
    if found.name in taken:
        raise InputError(f"{path}: {attribute} calls itself {found.name!r}, which is taken: give it another name")
    return found


def _run(path: Path) -> ModuleType:
    """The module that running `path` makes. Raises `InputError` with the line of the file that failed."""
    spec = spec_from_file_location(f"{PREFIX}{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with _interrupts() as pressed:
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            if pressed and isinstance(error, KeyboardInterrupt):  # the user's, not one that the file raises
                raise
            raise InputError(f"{path}: {_failure(error, str(spec.origin))}") from error
    return module


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Those (Ctrl-C) that come in this block, each doing what it does anyway."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def note(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


def _failure(error: BaseException, file: str) -> str:
    """What running `file` raised, in one line, with the last line of it that was reached."""
    if isinstance(error, SyntaxError) and error.filename == file:  # no line of it was run, but the error knows which
        return f"{_line(error.lineno)}SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{_line(lines[-1] if lines else None)}{_no_field(error) or _words(error)}"


def _line(number: int | None) -> str:
    return f"line {number}: " if number else ""


def _no_field(error: BaseException) -> str:
    """For a keyword that is no field of a recipe: what might be meant."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", _message(error))
    if not isinstance(error, TypeError) or found is None:
        return ""
    made, name = found.groups()
    recipes: list[type[Recipe]] = [Recipe, *Recipe.__subclasses__()]
    kinds = {kind.__name__: kind for kind in recipes}
    if made not in kinds:
        return ""
    if name in Settings().flat():
        return f"{name} is no field of a recipe but a setting: settings={{{name!r}: …}}"
    known = [own.name for own in fields(kinds[made])]
    near = get_close_matches(name, known, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}; a hyper-parameter stands in settings"
    return f"{name} is no field of a recipe: {hint}"


def _words(error: BaseException) -> str:
    """The error's type and message on one line."""
    message = _message(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _message(error: BaseException) -> str:
    try:
        words = " ".join(str(error).split())
    except Exception:  # its own __str__ fails
        return ""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"


def _found(module: ModuleType, attribute: str, path: Path) -> Method:
    """The recipe that `module` calls `attribute`."""
    held = vars(module)
    value = held.get(attribute)
    if _is_method(type(value)):
        found: Method = held[attribute]
        return found
    if isinstance(value, type) and _is_method(value):
        raise InputError(f"{path}: {attribute} is a class: name an instance of it, such as X = {attribute}(…)")
    if attribute in held:
        raise InputError(f"{path}: {attribute} is no recipe: it is {shown(value)}")
    recipes = [name for name, value in held.items() if _is_method(type(value))]
    if not recipes:
        raise InputError(f"{path}: there is no recipe in it: write one, such as X = replace(DARTS_1ST, name='x')")
    raise InputError(f"{path}: {unknown('recipe', attribute, recipes)}")


def _is_method(kind: type) -> bool:
    return hasattr(kind, "learner") and hasattr(kind, "layers")


@contextmanager
def own_errors() -> Iterator[None]:
    """Errors of a recipe's own file become an `InputError`: its line, the piece, the error, and a short traceback.

    A block, or the decorator of a function, that runs pieces. What does not come through such a file is left alone.
    """
    try:
        yield
    except (InputError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error


def _told(error: BaseException) -> InputError | None:
    """What is said of `error`, if it came through the file of a recipe."""
    steps = list(_steps(error.__traceback__))
    pieces = [(field, code_of(piece), piece) for recipe in _running(steps) for field, piece in pieces_of(recipe)]
    files = {str(module.__file__) for name, module in sys.modules.items() if name.startswith(PREFIX)}
    files |= {code.co_filename for _, code, piece in pieces if code is not None and is_outside(piece)}
    own = [(frame, line) for frame, line in steps if frame.f_code.co_filename in files]
    if not own:
        return None
    entered = own[0][0].f_code
    field = next((field for field, code, _ in pieces if code == entered), "")
    last, line = own[-1]
    name = entered.co_qualname.rpartition("<locals>.")[2]
    found = InputError(f"{last.f_code.co_filename}: line {line}: {field}{' ' * bool(field)}{name}: {_words(error)}")
    frames = traceback.StackSummary.extract(iter(own))
    found.details = "".join(["Traceback, of that file alone:\n", *frames.format()]).rstrip()
    return found


def _steps(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _running(steps: Iterable[tuple[FrameType, int]]) -> list[Recipe]:
    """The recipes whose methods, or whose learners' methods, are being carried out."""
    callers = [frame.f_locals.get("self") for frame, _ in steps]
    held = [getattr(caller, "recipe", caller) for caller in callers]
    return [recipe for recipe in held if isinstance(recipe, Recipe)]
