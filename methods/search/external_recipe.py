"""Recipes that stand in a file outside the repository."""

import sys
import traceback
from collections.abc import Container
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from methods.search.recipe import Method
from methods.search.settings import Settings
from spaces.common.errors import InputError, unknown


def recipe_from(path: Path, attribute: str, taken: Container[str]) -> Method:
    """The recipe that `path` calls `attribute`; its own name must not be one of `taken`.

    Raises `InputError` if there is no such file or recipe, if the file fails, or for a name or an option that is taken.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name a method as path/to/file.py:NAME")
    spec = spec_from_file_location(f"outside_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        # Where the file cannot be read as Python, no line of it was run, but the error knows which.
        line = error.lineno if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)[-1].lineno
        raise InputError(f"{path}: line {line}: {type(error).__name__}: {error}") from error
    recipes = [name for name, value in vars(module).items() if hasattr(value, "learner") and hasattr(value, "layers")]
    if attribute not in recipes:
        raise InputError(f"{path}: {unknown('recipe', attribute, recipes)}")
    method: Method = getattr(module, attribute)
    if not method.name.strip():
        raise InputError(f"{path}: {attribute} has no name: give it one")
    for option in method.options:
        if option in Settings().flat():
            raise InputError(f"{path}: {attribute}: {option} is a setting of every search: call the option otherwise")
    if method.name in taken:
        raise InputError(f"{path}: {attribute} calls itself {method.name!r}, which is taken: give it another name")
    return method
