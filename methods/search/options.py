"""Options: named settings with a default, a range and one sentence.

An option is declared once. The command line (`--set`), the checks, the records, `dartboard list` and the documentation
read the declaration.

    LAMBDA = Option("lambda", 0.25, "λ: strength of the term at the end of the search (eq. 8).", at_least=0)
    LAMBDA.of(step.settings)      # 0.25, of the type of the default
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from math import isfinite
from typing import Any, Generic, Protocol, TypeVar

from spaces.common.errors import InputError, unknown
from spaces.common.settings import Value

T = TypeVar("T", bool, int, float, str)

PLAIN = (bool, int, float, str)
"""The types of an option. A subclass such as `numpy.float64` is none."""


class HasOptions(Protocol):
    """What holds the values of options, such as the settings of a search."""

    @property
    def options(self) -> Mapping[str, Value]:
        """The value of each option, by name."""


@dataclass(frozen=True)
class Option(Generic[T]):
    """A setting: its name, its default, and one sentence that says what it is, with the paper's symbol and equation.

    `at_least`, `at_most` (both included), `above` and `below` (both excluded) bound a number. `choices` are all values
    that it may have. Raises `InputError` for a declaration that contradicts itself.
    """

    name: str
    default: T
    words: str
    at_least: float | None = field(default=None, kw_only=True)
    at_most: float | None = field(default=None, kw_only=True)
    above: float | None = field(default=None, kw_only=True)
    below: float | None = field(default=None, kw_only=True)
    choices: tuple[T, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"[^\s=]+", self.name):
            raise InputError(f"an option's name is text for --set NAME=VALUE, without blank or '=': not {self.name!r}")
        if type(self.default) not in PLAIN:
            raise InputError(
                f"the default of {self.name} must be a number, text, True or False: it is of type {self.kind}"
            )
        if not isinstance(self.words, str) or not self.words.strip():
            raise InputError(f"{self.name} needs a sentence that says what it is")
        if self.bounds and type(self.default) not in (int, float):
            raise InputError(f"{self.name} has a range and must be a number: its default is {self.default!r}")
        self.check(self.convert(self.default, "default"), "default")

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that are given."""
        each = {"at_least": self.at_least, "above": self.above, "at_most": self.at_most, "below": self.below}
        return {name: bound for name, bound in each.items() if bound is not None}

    @property
    def kind(self) -> str:
        """The name of its type."""
        return type(self.default).__name__

    @property
    def allowed(self) -> str:
        """The values that it may have, in words; nothing if any of its type."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        bounds = {name: _written(bound) for name, bound in self.bounds.items()}
        match bounds:
            case {"at_least": low, "at_most": high}:
                return f"between {low} and {high}"
            case {"at_least": low} if len(bounds) == 1:
                return f"{low} or more"
            case {"at_most": high} if len(bounds) == 1:
                return f"{high} or less"
        said = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
        return " and ".join(f"{said[name]} {bound}" for name, bound in bounds.items())

    def of(self, settings: HasOptions) -> T:
        """The value that `settings` have of it."""
        value: Any = settings.options[self.name]
        return value

    def convert(self, value: Any, where: str, prefix: str = "") -> T:
        """`value` as the type of the default; text (from a command line) is read as that type.

        Raises `InputError`, which begins with `where`, if it is of another type or not finite. `prefix` stands before
        the name.
        """
        kind = type(self.default)
        read = _read(value, kind)
        if isinstance(read, float) and not isfinite(read):
            raise InputError(f"{where}: {prefix}{self.name} = {_short(read)} must be finite")
        if type(read) is not kind:
            problem = f"is not of type {self.kind} (such as {self.default!r})"
            raise InputError(f"{where}: {prefix}{self.name} = {_short(value)} {problem}")
        return read

    def check(self, value: T, where: str, prefix: str = "") -> None:
        """Raise `InputError`, which begins with `where`, if `value` is none that it may have."""
        if not (value in self.choices if self.choices else self._in_bounds(value)):
            raise InputError(f"{where}: {prefix}{self.name} = {_short(value)} must be {self.allowed}")

    def _in_bounds(self, number: Any) -> bool:
        return (
            (self.at_least is None or number >= self.at_least)
            and (self.at_most is None or number <= self.at_most)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def read(self, value: Any, where: str) -> T:
        """`value`, converted and checked."""
        converted = self.convert(value, where)
        self.check(converted, where)
        return converted


def _read(value: Any, kind: type[Any]) -> Any:
    """`value` as a `kind`, if it is text for one or an integer for a float; else as it is."""
    if isinstance(value, str) and kind is bool:
        return {"true": True, "false": False}.get(value.lower(), value)
    if isinstance(value, str) and kind in (int, float):
        with suppress(ValueError):
            return kind(value)
    if kind is float and type(value) is int:
        with suppress(OverflowError):
            return float(value)
    return value


def _written(bound: float) -> str:
    return f"{bound:.0f}" if bound == round(bound) and abs(bound) < 1e7 else f"{bound:g}"


def _short(value: object, longest: int = 60) -> str:
    """A value in an error: its `repr`, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return "an integer of thousands of digits"
    return text if len(text) <= longest else f"{text[:longest]}…"


def setting(
    default: Value,
    words: str,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Value, ...] = (),
) -> Any:
    """A field of a dataclass that is declared like an `Option`, whose name is the field's."""
    limits = {"at_least": at_least, "at_most": at_most, "above": above, "below": below, "choices": choices}
    return field(default=default, metadata={"words": words, "limits": limits})


@cache
def declared(kind: type[Any]) -> tuple[Option[Any], ...]:
    """The fields of the dataclass `kind` that are declared by `setting`, as options, in their order."""
    return tuple(
        Option(own.name, own.default, own.metadata["words"], **own.metadata["limits"])
        for own in fields(kind)
        if own.default is not MISSING and "words" in own.metadata
    )


def layered(
    options: Iterable[Option[Any]], layers: Mapping[str, Mapping[str, Any]], prefix: str = ""
) -> tuple[dict[str, Value], dict[str, str]]:
    """The value of each option after all `layers` (name → overrides, in order), and the layer that set it.

    The second has no entry for a value that is still the default. `prefix` stands before a name in errors. Raises
    `InputError` for a name that is no option's, or a value of the wrong type or range; it names the layer.
    """
    known = {option.name: option for option in options}
    values: dict[str, Value] = {name: option.default for name, option in known.items()}
    origin: dict[str, str] = {}
    for layer, overrides in layers.items():
        for key, value in overrides.items():
            if key not in known:
                raise InputError(f"{layer}: {unknown('setting', key, known)}")
            converted = known[key].convert(value, layer, prefix)
            if converted != values[key]:  # a layer that repeats a value did not set it
                origin[key] = layer
            values[key] = converted
    for name, option in known.items():
        option.check(values[name], origin.get(name, "settings"), prefix)
    return values, origin
