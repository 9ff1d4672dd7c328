"""Checks of what the pieces of a recipe return; the pieces of a step are checked once a stage.

Of a step's tensors the names, number, shapes and types are checked, which needs no synchronisation; never the values.
Every check raises `InputError` with one line: the piece, where it stands, what it must return and what it returned.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from methods.search.piece_forms import name_of, place_of, shown
from methods.search.step import Alpha, Weights
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common.errors import InputError
from spaces.conventions import Role

Piece = Callable[..., Any]
Fits = Callable[[str, Any, Tensor], str]
"""(kind, what was returned for it, the tensor that it must be like) → what is wrong with it, or nothing."""

RESERVED = (
    *("key", "method", "space", "dataset", "seed", "epoch", "genotype", "skip_share", "tabular_accuracy"),
    *("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "discrete_accuracy"),
)
"""Columns of a history that every method has."""

NAME = re.compile(r"[A-Za-z][\w.-]*").fullmatch
"""Whether a text may name an architecture parameter: it becomes part of a column's name."""


class ResultChecks:
    """The checks of a search by the recipe of that name."""

    space: Space
    net: nn.Module
    cells: dict[str, int]
    alpha: Alpha  # known once `start` has given it

    def __init__(self, recipe: str) -> None:
        self.recipe = recipe
        self._seen: set[tuple[str, int]] = set()

    def enter(self, space: Space, net: nn.Module, cells: int) -> None:
        """Begin a stage over `space` with its supernet of size `cells`, in which every piece is checked once more."""
        self.space, self.net = space, net
        self.cells = {kind: space.cells_of(kind, cells) for kind in space.kinds}
        self._seen.clear()

    def start(self, piece: Piece, found: Alpha) -> Alpha:
        """`found`, the first alpha: tensors of the shapes of the space's own parameters, and any further ones."""
        own = self.space.parameters(0)
        like = {**own, **(found if _named(found) else {})} | own
        wrong = _tables(found, like, _start_like) or _first_of(
            f"{name!r} is no name of letters, digits, '.', '_' and '-'" for name in like if not NAME(name)
        )
        self._refuse("start", piece, f"{_as(own)}, and any further tensors by names of their own", wrong)
        return found

    def roles(self, piece: Piece, found: Mapping[str, Role], alpha: Alpha) -> dict[str, Role]:
        """The role of each parameter in `alpha`, as `found` says; `other` where it says nothing."""
        wrong = "" if isinstance(found, Mapping) else f"it returned {shown(found)}"
        for name, role in () if wrong else found.items():
            if name not in alpha:
                wrong = f"it names {name!r}, which `start` does not return"
            elif not isinstance(role, Role):
                wrong = f"its {name!r} is {shown(role)}"
        self._refuse("roles", piece, "a dictionary of names of `start` and Role", wrong)
        return {name: found.get(name, Role("other")) for name in alpha}

    def like_alpha(self, field: str, piece: Piece, found: Alpha) -> Alpha:
        """`found`, which has alpha's kinds, shapes, types and device."""
        if self._first(field, piece):
            self._refuse(field, piece, _as(self.alpha), _tables(found, self.alpha, _like))
        return found

    def added_to_alpha(self, field: str, piece: Piece, found: Alpha) -> Alpha:
        """`found`, which has alpha's kinds, and for each what can be added to a tensor like alpha."""
        if self._first(field, piece):
            self._refuse(field, piece, _as(self.alpha), _tables(found, self.alpha, _addend))
        return found

    def weights(self, piece: Piece, found: Weights, split: str) -> Weights:
        """`found`, operation weights: for each kind one table, or one for each of its cells."""
        if self._first(f"relaxation {split}", piece):

            def fits(kind: str, own: Any, alpha: Tensor) -> str:
                each = (self.cells[kind], *alpha.shape)
                if isinstance(own, Tensor) and own.shape == each:
                    own = own[0]
                return _shape(kind, own, alpha.shape) or _device(kind, own, alpha)

            tables = {kind: self.alpha[kind] for kind in self.space.mask}
            cells = ", ".join(f"{kind!r} [{cells}, …]" for kind, cells in self.cells.items())
            wanted = f"{_as(tables)}, or with a table for each cell, {cells}"
            self._refuse("relaxation", piece, wanted, _tables(found, tables, fits))
        return found

    def gradients(self, piece: Piece, found: Sequence[Tensor]) -> Sequence[Tensor]:
        """`found`, for each of the supernet's parameters what can be added to its gradient."""
        if self._first("inner", piece):
            own = list(self.net.named_parameters())
            wanted = f"a list of {len(own)} tensors, one like each of step.parameters(), in their order"
            if not isinstance(found, list | tuple):
                wrong = f"it returned {shown(found)}"
            elif len(found) != len(own):
                wrong = f"it returned {len(found)}"
            else:
                pairs = zip(own, found, strict=True)
                wrong = _first_of(_addend(name, value, like) for (name, like), value in pairs)
            self._refuse("inner", piece, wanted, wrong)
        return found

    def truth(self, field: str, piece: Piece, found: bool) -> bool:
        """`found`, true or false."""
        if self._first(field, piece):
            one = isinstance(found, bool | int | float) or getattr(found, "shape", None) == ()
            self._refuse(field, piece, "True or False", "" if one else f"it returned {shown(found)}")
        return found

    def number(self, field: str, piece: Piece, found: float, most: float = inf) -> float:
        """`found`, a finite number from 0 to `most`."""
        if not (_is_number(found) and isfinite(found) and 0 <= found <= most):
            wanted = "a number, 0 or more" if most == inf else f"a number from 0 to {most:g}"
            self._refuse(field, piece, wanted, f"it returned {shown(found)}")
        return found

    def row(self, piece: Piece, found: int, rows: int) -> int:
        """`found`, the number of one of so many rows."""
        if type(found) is not int or not 0 <= found < rows:
            wanted = f"the number of a row of the history, 0 to {rows - 1}"
            self._refuse("select_epoch", piece, wanted, f"it returned {shown(found)}")
        return found

    def columns(self, piece: Piece, found: Mapping[str, float], taken: Collection[str]) -> Mapping[str, float]:
        """`found`, names and numbers, no name among those `taken` or that a history has anyway."""
        wrong = "" if isinstance(found, Mapping) else f"it returned {shown(found)}"
        for name, value in () if wrong else found.items():
            if not isinstance(name, str):
                wrong = f"one of its names is {shown(name)}"
            elif name in (*RESERVED, *taken) or name.startswith(("alpha.", "weights.", "probe.")):
                wrong = f"{name!r} is a column already"
            elif not _is_number(value):
                wrong = f"its {name!r} is {shown(value)}"
        self._refuse("log", piece, "a dictionary of names of new columns and numbers", wrong)
        return found

    def genotype(self, piece: Piece, found: Genotype) -> Genotype:
        """`found`, a genotype of the space."""
        if not isinstance(found, self.space.notation):
            wanted = f"a genotype of {self.space.name}, such as space.discretize gives"
            self._refuse("selection", piece, wanted, f"it returned {shown(found)}")
        return found

    def _first(self, what: str, piece: Piece) -> bool:
        """Whether this is the first result of the piece in the stage."""
        key = (what, id(piece))
        new = key not in self._seen
        self._seen.add(key)
        return new

    def _refuse(self, field: str, piece: Piece, wanted: str, wrong: str) -> None:
        """Raise `InputError` if anything is `wrong`."""
        if wrong:
            named = name_of(piece) if name_of(piece) == field else f"{field} {name_of(piece)}"
            told = f"{self.recipe}: {named} must return {wanted}: {wrong}"
            raise InputError(f"{place_of(piece)}{told}")


def _start_like(name: str, found: Any, like: Any) -> str:
    return _shape(name, found, like.shape if isinstance(like, Tensor) else ())


def _named(found: Any) -> bool:
    return isinstance(found, Mapping) and all(isinstance(name, str) for name in found)


def _as(tables: Mapping[str, Tensor]) -> str:
    return "a dictionary of tensors, " + ", ".join(f"{kind!r} {list(own.shape)}" for kind, own in tables.items())


def _first_of(wrong: Iterable[str]) -> str:
    return next(filter(None, wrong), "")


def _tables(found: Any, like: Mapping[str, Tensor], fits: Fits) -> str:
    """What is wrong with `found` as a dictionary that has for each kind of `like` what `fits`."""
    if not isinstance(found, Mapping):
        return f"it returned {shown(found)}"
    if lacking := [kind for kind in like if kind not in found]:
        return f"it has no {', '.join(map(repr, lacking))}"
    if more := [name for name in found if name not in like]:
        return f"it has {', '.join(map(repr, more))} too, which is none of them"
    return _first_of(fits(kind, found[kind], own) for kind, own in like.items())


def _like(name: str, found: Any, like: Tensor) -> str:
    """What is wrong with the shape, type or device of `found`, which must be those of `like`."""
    if wrong := _shape(name, found, like.shape):
        return wrong
    return _device(name, found, like) if found.dtype == like.dtype else _type(name, found, like)


def _addend(name: str, found: Any, like: Tensor) -> str:
    """What is wrong with `found`, which is to be added to a tensor like `like`; it may be a scalar."""
    if isinstance(found, Tensor) and _spreads(found.shape, like.shape):
        return _device(name, found, like) if torch.result_type(found, like) == like.dtype else _type(name, found, like)
    return _shape(name, found, like.shape)


def _spreads(shape: torch.Size, to: torch.Size) -> bool:
    sides = zip(reversed(shape), reversed(to), strict=False)
    return len(shape) <= len(to) and all(side in (1, whole) for side, whole in sides)


def _shape(name: str, found: Any, shape: Sequence[int]) -> str:
    if not isinstance(found, Tensor):
        return f"its {name!r} is {shown(found)}"
    if found.shape != shape:
        return f"its {name!r} is {shown(found)}, not {list(shape)}"
    return "" if found.is_floating_point() else f"its {name!r} is of {found.dtype}, not of floating point"


def _type(name: str, found: Tensor, like: Tensor) -> str:
    return f"its {name!r} is of {found.dtype}, not of {like.dtype}"


def _device(name: str, found: Tensor, like: Tensor) -> str:
    if found.dim() and found.device != like.device:
        return f"its {name!r} lies on {found.device}, not on {like.device}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
