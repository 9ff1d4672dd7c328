"""The check of every field of a method before anything runs.

`validate` raises `InputError` with one line, ``FIELD must be …: it is …``; the caller puts the file in front.
"""

import inspect
from collections import Counter
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

from methods.search.method import Method
from methods.search.options import PLAIN, Option
from methods.search.piece_forms import FILE, Form, name_of, shown
from methods.search.pieces import FORMS
from methods.search.probe import Probe, Watched
from methods.search.recipe import Recipe
from methods.search.settings import COMMON, resolve
from methods.search.stages import Stage
from spaces import IMAGE_SPACES, SPACES, get_space
from spaces.common.errors import InputError, unknown


def validate(method: Method) -> None:
    """Check every field of `method`, the settings that it resolves to and the operations that it leaves each space.

    Raises `InputError` for the first field that is not what it may be.
    """
    for field in ("name", "title", "source"):
        _text(field, getattr(method, field))
    _name(method.name)
    _options(method.options)
    _files(method)
    _spaces(method.spaces)
    _without(method.without)
    _probes(method.probes)
    _quick(method)
    if isinstance(method, Recipe):
        _pieces(method)
    _settings(method)
    for space in method.spaces:
        resolve(method.options, method.layers(get_space(space, without=method.removes(space))))


def _must(field: str, may: str, value: Any) -> InputError:
    return InputError(f"{field} must be {may}: it is {shown(value)}")


def _text(field: str, value: Any) -> None:
    if not isinstance(value, str):
        raise _must(field, "text", value)


def _name(name: str) -> None:
    if not name.strip():
        raise InputError("name is blank: give the method one")
    if name != name.strip() or not name.isprintable():
        raise InputError(f"name must be one line without blanks at its ends: it is {name!r}")


def _options(options: Any) -> None:
    may = "a tuple of options, such as (Option('lambda', 50.0, 'λ: strength of the term.'),)"
    if not isinstance(options, tuple | list):
        raise _must("options", may, options)
    for option in options:
        if not isinstance(option, Option):
            raise InputError(f"options must be {may}: one is {shown(option)}")
        if option.name in {common.name for common in COMMON}:
            raise InputError(f"options: {option.name} is a setting of every search: call the option otherwise")
    for name, times in Counter(option.name for option in options).items():
        if times > 1:
            raise InputError(f"options: {name} is declared {times} times")


def _files(method: Method) -> None:
    may = f"a mapping of options to functions of ({', '.join(FILE.given)})"
    if not isinstance(method.files, Mapping):
        raise _must("files", may, method.files)
    text = {option.name for option in method.options if isinstance(option.default, str)}
    for option, reader in method.files.items():
        if option not in text:
            raise InputError(f"files: {option!r} must be one of the options, with text as its default, such as ''")
        _function(f"files[{option!r}]", FILE, reader)


def _plain(field: str, given: Any, example: str) -> None:
    """Is `given` a mapping of names to plain values?"""
    may = f"a mapping of names to numbers, text, True or False, such as {example}"
    if not isinstance(given, Mapping):
        raise _must(field, may, given)
    for name, value in given.items():
        if not isinstance(name, str):
            raise InputError(f"{field} must be {may}: one of its names is {shown(name)}")
        if type(value) not in PLAIN or (isinstance(value, float) and not isfinite(value)):
            raise InputError(f"{field} must be {may}: its {name!r} is {shown(value)}")


def _spaces(spaces: Any) -> None:
    may = "a tuple of names of spaces, such as ('darts', 's2')"
    if not isinstance(spaces, tuple | list) or not spaces:
        raise _must("spaces", may, spaces)
    for space in spaces:
        if space not in IMAGE_SPACES:
            raise _unknown_space("spaces", space, IMAGE_SPACES)


def _unknown_space(field: str, space: Any, known: Collection[str]) -> InputError:
    if not isinstance(space, str):
        return InputError(f"{field} must have names of spaces ({', '.join(known)}): one is {shown(space)}")
    return InputError(f"{field}: {unknown('space', space, known)}")


def _probes(probes: Any) -> None:
    may = "a tuple of probes with their strides, such as (Watched(HESSIAN, 2),)"
    if not isinstance(probes, tuple | list):
        raise _must("probes", may, probes)
    for watched in probes:
        if not isinstance(watched, Watched) or not isinstance(watched.probe, Probe):
            raise InputError(f"probes must be {may}: one is {shown(watched)}")
        if type(watched.every) is not int or watched.every < 1:
            raise InputError(f"probes: the stride of {watched.probe.name} must be 1 or more: it is {watched.every!r}")


def _quick(method: Method) -> None:
    may = "a mapping of spaces to seeds, such as {'s2': (0, 1)}, or None"
    if method.quick is None:
        return
    if not isinstance(method.quick, Mapping):
        raise _must("quick", may, method.quick)
    for space, seeds in method.quick.items():
        if space not in method.spaces:
            raise _unknown_space("quick", space, method.spaces)
        if not isinstance(seeds, tuple | list) or not all(type(seed) is int and seed >= 0 for seed in seeds):
            raise InputError(f"quick must be {may}: its {space!r} is {shown(seeds)}")


def _pieces(recipe: Recipe) -> None:
    """The fields that only a recipe has."""
    if type(recipe.layerwise) is not bool:
        raise _must("layerwise", "True or False", recipe.layerwise)
    for field, form in FORMS.items():
        _piece(field, form, getattr(recipe, field))
    _stages(recipe.stages)


def _piece(field: str, form: Form, value: Any) -> None:
    if form.optional and value is None:
        return
    if not form.several:
        _function(field, form, value)
        return
    if not isinstance(value, tuple | list):
        raise _must(field, form.words, value)
    for number, piece in enumerate(value, 1):
        _function(field, form, piece, f"number {number}")


def _function(field: str, form: Form, piece: Any, which: str = "it") -> None:
    if not callable(piece) or isinstance(piece, type):
        raise InputError(f"{field} must be {form.words}: {which} is {shown(piece)}")
    try:
        inspect.signature(piece).bind(*form.given)
    except TypeError as error:
        raise InputError(f"{field} must be {form.words}: {name_of(piece)} cannot be called so: {error}") from error
    except ValueError:
        return  # of a built-in nobody knows the arguments


def _stages(stages: Any) -> None:
    may = "a tuple of stages, such as (Stage(epochs=25, cells=5, operations=8),)"
    if not isinstance(stages, tuple | list) or not stages:
        raise _must("stages", may, stages)
    for stage in stages:
        if not isinstance(stage, Stage):
            raise InputError(f"stages must be {may}: one is {shown(stage)}")
        for field in ("epochs", "cells", "operations"):
            value = getattr(stage, field)
            if type(value) is not int or value < 1:
                raise InputError(f"stages: {field} must be a whole number, 1 or more: it is {shown(value)}")
        if isinstance(stage.skip_dropout, bool) or not isinstance(stage.skip_dropout, int | float):
            raise InputError(f"stages: skip_dropout must be a number: it is {shown(stage.skip_dropout)}")
        if not 0 <= stage.skip_dropout <= 1:
            raise InputError(f"stages: skip_dropout = {stage.skip_dropout!r} must lie between 0 and 1")


def _settings(method: Method) -> None:
    """That the settings named by `settings` and `per_space` exist, have their type and lie in their range."""
    _plain("settings", method.settings, "{'epochs': 50}")
    may = "a mapping of spaces to mappings of settings, such as {'darts': {'epochs': 50}}"
    if not isinstance(method.per_space, Mapping):
        raise _must("per_space", may, method.per_space)
    for space, settings in method.per_space.items():
        if not isinstance(settings, Mapping):
            raise InputError(f"per_space must be {may}: its {space!r} is {shown(settings)}")
        if space not in SPACES:
            raise _unknown_space("per_space", space, SPACES)
        _plain(f"per_space[{space!r}]", settings, "{'epochs': 50}")
    resolve(method.options, {"settings": method.settings})
    for space, settings in method.per_space.items():
        resolve(method.options, {"settings": method.settings, f"per_space[{space!r}]": settings})


def _without(without: Any) -> None:
    may = "a mapping of spaces to tuples of operations, such as {'darts': ('none',)}"
    if not isinstance(without, Mapping):
        raise _must("without", may, without)
    for space, operations in without.items():
        if not isinstance(operations, tuple | list) or not all(isinstance(name, str) for name in operations):
            raise InputError(f"without must be {may}: its {space!r} is {shown(operations)}")
        if space not in SPACES:
            raise _unknown_space("without", space, SPACES)
        try:
            get_space(space, without=operations)
        except InputError as error:
            raise InputError(f"without: {error}") from error
