"""What can be searched: a catalogue of search spaces by name.

Importing this package imports no space; a space's module is imported when its name is asked for.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spaces.common.errors import unknown

if TYPE_CHECKING:
    from spaces.base import Space

    IMAGE_SPACES: tuple[str, ...]

__all__ = ["DEFAULT_SPACE", "IMAGE_SPACES", "SPACES", "Space", "get_space"]

SPACES: dict[str, str] = {
    "nats-tss": "spaces.nats.space:NatsTopology",
    "darts": "spaces.darts.space:Darts",
    "s1": "spaces.darts.reduced:S1",
    "s2": "spaces.darts.reduced:S2",
    "s3": "spaces.darts.reduced:S3",
    "s4": "spaces.darts.reduced:S4",
    "analytic": "spaces.analytic.space:Analytic",
}
"""Name of a space -> where its class is defined, as `module:attribute`."""

DEFAULT_SPACE = next(iter(SPACES))
"""The space of a command that names none."""


def get_space(name: str, without: Iterable[str] = ()) -> "Space":
    """The search space called `name`, without the operations in `without`.

    Raises `InputError` if no space has that name, it has no such operation, or an edge would be left without any.
    """
    return _space_class(name)(without=without)


def _space_class(name: str) -> "type[Space]":
    if name not in SPACES:
        raise unknown("space", name, SPACES)
    module, attribute = SPACES[name].split(":")
    found: type[Space] = getattr(import_module(module), attribute)
    return found


def __getattr__(name: str) -> Any:
    if name == "Space":
        return import_module("spaces.base").Space
    if name == "IMAGE_SPACES":  # those with trials, all of which classify images
        return tuple(name for name in SPACES if _space_class(name).trials)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
