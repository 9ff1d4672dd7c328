"""TOML files that people write, read into validated models."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from spaces.common.errors import InputError, unknown

Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path, model: type[Model]) -> Model:
    """The file at `path` as a `model`. Raises `InputError` naming the file, the key and what is wrong with it."""
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a TOML file: {error}") from error
    except ValidationError as error:
        # A misspelt key is two errors, a missing and a surplus key: the second one names it.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        where = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        if first["type"] == "extra_forbidden":
            problem = unknown("key", str(first["loc"][-1]), _keys(model, first["loc"][:-1]))
            raise InputError(f"{path}: {where}: {problem}") from error
        raise InputError(f"{path}: {where}: {first['msg'].lower()} (found {first['input']!r})") from error


def _keys(model: type[BaseModel], place: Iterable[Any]) -> list[str]:
    """The keys that the model has at `place`, a path of keys and positions."""
    for part in place:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        if field is not None:
            inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
            model = next((t for t in inner if isinstance(t, type) and issubclass(t, BaseModel)), model)
    return [field.alias or name for name, field in model.model_fields.items()]
