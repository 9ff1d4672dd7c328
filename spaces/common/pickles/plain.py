"""What plain data are: which classes, which keys, how deep, how often repeated."""

from typing import Any

import numpy as np

from spaces.common.pickles.machine import COSTS, DEPTH
from spaces.common.pickles.stream import NotPlain, shown

_SIZES = {"b": "1", "i": "1248", "u": "1248", "f": "248", "S": "1", "U": "1"}
_SCALARS = {np.dtype(kind + size).type for kind, sizes in _SIZES.items() for size in sizes}
_PLAIN = {type(None), bool, int, float, str, bytes, np.ndarray, *_SCALARS, *COSTS}
_KEY = 2**31


def check_plain(root: Any, length: int) -> None:
    """Raise `NotPlain` unless `root` is plain data, at most `DEPTH` containers deep, without a container in itself.

    A container that stands in several places counts as often: whoever walks through all of it takes no longer than
    through a tree of `length` values, which is what a pickle of that length can hold without such sharing.
    """
    within: dict[int, list[Any]] = {}  # id of a container that was entered and not left -> containers in it
    known: dict[int, tuple[int, int]] = {}  # id of a container that was left -> values in it, depth
    path: list[Any] = [[root]]
    while path:
        found = path[-1]
        if id(found) in known:
            path.pop()
        elif id(found) not in within:
            inner = within[id(found)] = _containers_in(found)
            if any(id(container) in within for container in inner):
                raise NotPlain("it has a container in itself")
            path.extend(inner)
        else:
            counts = [known[id(container)] for container in within.pop(id(found))]
            values = len(found) + sum(count for count, _ in counts)
            depth = 1 + max((depth for _, depth in counts), default=0)
            if values > length:
                raise NotPlain("it repeats containers in each other")
            if depth > DEPTH + 1:  # the list around the root is one more
                raise NotPlain(f"it has more than {DEPTH} containers in each other")
            known[id(found)] = values, depth


def _containers_in(container: Any) -> list[Any]:
    values = container.values() if isinstance(container, dict) else container
    types = set(map(type, values))
    for strange in types - _PLAIN:
        raise NotPlain(f"it holds a {strange.__name__} among its data")
    return [] if types.isdisjoint(COSTS) else [value for value in values if type(value) in COSTS]


def checked_keys(keys: list[Any]) -> list[Any]:
    """`keys` of a dictionary or a set. Raises `NotPlain` where one is neither text, nor a small integer, nor a pair.

    A pair is text and one of the two.

    Of others a stranger can choose many that have one hash (large integers, floats), or such that hashing them
    overflows the stack (tuples in each other).
    """
    if set(map(type, keys)) != {str}:
        for key in keys:
            pair = type(key) is tuple and len(key) == 2 and type(key[0]) is str
            part = key[1] if pair else key
            if type(part) is not str and not (type(part) is int and abs(part) < _KEY):
                raise NotPlain(f"it has {shown(key)} as a key")
    return keys
