"""What can be searched: a catalogue of search spaces by name.

Importing this package loads nothing heavy; a space's module is loaded when its name is asked for.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from spaces.common.errors import unknown

if TYPE_CHECKING:
    from spaces.base import Space

__all__ = ["IMAGE_SPACES", "SPACES", "Space", "get_space"]

SPACES: dict[str, str] = {
    "nats-tss": "spaces.nats.space:NatsTopology",
    "darts": "spaces.darts.space:Darts",
    "s1": "spaces.darts.reduced:S1",
    "s2": "spaces.darts.reduced:S2",
    "s3": "spaces.darts.reduced:S3",
    "s4": "spaces.darts.reduced:S4",
    "analytic": "spaces.analytic:Analytic",
}
"""Name of a space -> where its class is defined, as `module:attribute`."""

IMAGE_SPACES = tuple(name for name in SPACES if name != "analytic")
"""The spaces of networks that classify images: all but the problems that are solved on paper."""


def get_space(name: str, without: Iterable[str] = ()) -> "Space":
    """The search space called `name`, less the operations in `without`.

    Raises `InputError` where no space has that name, it has no such operation, or an edge would be left without any.
    """
    if name not in SPACES:
        raise unknown("space", name, SPACES)
    module, attribute = SPACES[name].split(":")
    space: Space = getattr(import_module(module), attribute)(without=without)
    return space


def __getattr__(name: str) -> Any:
    if name == "Space":
        return import_module("spaces.base").Space
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
