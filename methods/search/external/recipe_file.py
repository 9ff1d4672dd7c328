"""Reading a recipe from a file outside the repository."""

import re
from collections.abc import Container
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from methods.search.external.own_errors import message_of, own_errors
from methods.search.external.own_file import run_file
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
    method = _method(run_file(path, _unknown_field), attribute, path)
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
