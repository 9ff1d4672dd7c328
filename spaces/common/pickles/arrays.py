"""NumPy arrays and scalars rebuilt from the parts that a pickle holds, each part checked before NumPy sees it.

NumPy's own functions for this trust their arguments: `scalar` takes the bytes of an object dtype for a pointer, and the
`__setstate__` of a dtype or an array accepts fields, sub-arrays and objects. Here a dtype is one of numbers, bytes or
text, and an array is a read-only view of bytes that are exactly as many as its shape and dtype say.
"""

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spaces.common.pickles.stream import NotPlain, shown

# bool, integers, floats, and bytes and text of fixed length
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]|[SU][1-9][0-9]{0,3}")
_DIMENSIONS = 8
_LENGTH = 2**31 - 1  # of one dimension: bounds the shape of an empty array, which no bytes bound


class NewDtype:
    """A dtype whose state (byte order) is still to come. `places` are the memo's entries that hold it."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        """`arguments` are those of `numpy.dtype`: its name, and align and copy, which are not used."""
        name = arguments[0] if len(arguments) == 3 else None
        if not isinstance(name, str) or not _DTYPE.fullmatch(name):
            raise NotPlain(f"it holds an array of dtype {shown(name)}, not of numbers, bytes or text")
        self._name = name
        self.places: list[int] = []

    def finished(self, state: Any) -> np.dtype[Any]:
        """The dtype in the byte order that `state` gives. Raises `NotPlain` unless the state adds nothing else."""
        plain = type(state) is tuple and len(state) == 8 and state[0] == 3
        # Sub-array, names of fields, fields: all absent.
        plain = plain and all(part is None for part in state[2:5]) and all(type(part) is int for part in state[5:])
        order = state[1] if plain else None
        without = self._name[0] == "S" or self._name in ("b1", "i1", "u1")
        if not isinstance(order, str) or order not in (("|",) if without else ("<", ">", "=")):
            raise NotPlain("it holds a dtype with fields, a sub-array, or an unknown byte order")
        dtype = np.dtype(order + self._name)
        if state[5] not in (-1, dtype.itemsize):
            raise NotPlain(f"it holds a dtype {self._name} of {shown(state[5])} bytes")
        return dtype


class NewArray:
    """An array whose state (all of it) is still to come. `places` are the memo's entries that hold it."""

    def __init__(self) -> None:
        self.places: list[int] = []

    def finished(self, state: Any) -> NDArray[Any]:
        """The array that `state` (version, shape, dtype, whether in Fortran's order, data) describes."""
        if type(state) is not tuple or len(state) != 5 or state[0] != 1:
            raise NotPlain("it holds an array whose state has an unknown layout")
        _, shape, dtype, fortran, data = state
        if type(shape) is not tuple or len(shape) > _DIMENSIONS:
            raise NotPlain(f"it holds an array whose shape is not of at most {_DIMENSIONS} dimensions")
        if not all(type(length) is int and 0 <= length <= _LENGTH for length in shape):
            raise NotPlain(f"it holds an array with a length outside 0 to {_LENGTH:,}")
        if type(fortran) not in (bool, int):
            raise NotPlain("it holds an array without an order of its axes")
        return _values(dtype, data, math.prod(shape)).reshape(shape, order="F" if fortran else "C")


def scalar(arguments: tuple[Any, ...]) -> Any:
    """The NumPy scalar from (dtype, data). Raises `NotPlain` unless the data has just the dtype's length."""
    if len(arguments) != 2:
        raise NotPlain("it holds a NumPy scalar without a dtype and data")
    return _values(*arguments, 1)[0]


def _values(dtype: Any, data: Any, count: int) -> NDArray[Any]:
    """A flat view of `data`: bytes, or the Latin-1 text as which Python 2's bytes are read."""
    if not isinstance(dtype, np.dtype):
        raise NotPlain("it holds an array or a scalar without a dtype")
    if type(data) not in (bytes, str):
        raise NotPlain("it holds an array or a scalar whose data are not bytes")
    if len(data) != count * dtype.itemsize:
        raise NotPlain(
            f"it holds {len(data):,} bytes for {count:,} values of {dtype.itemsize} bytes in an array or a scalar"
        )
    raw = data if isinstance(data, bytes) else data.encode("latin-1")
    if dtype.kind == "b" and np.frombuffer(raw, np.uint8).max(initial=0) > 1:
        raise NotPlain("it holds truth values other than 0 and 1")
    if dtype.kind == "U":
        points = np.frombuffer(raw, np.dtype("u4").newbyteorder(dtype.byteorder))
        if ((points > 0x10FFFF) | ((points >= 0xD800) & (points <= 0xDFFF))).any():
            raise NotPlain("it holds text in an array that is no Unicode")
    return np.frombuffer(raw, dtype)
