"""Read the field's pickled files without letting them run code, reach memory or fill it.

CIFAR, ImageNet16-120 and NATS-Bench are distributed as pickles. A pickle is a program for a stack machine, and an
ordinary unpickler calls whatever function the program names. Refusing names does not suffice: NumPy's functions that
rebuild arrays take bytes for pointers when asked to. The machine of `spaces.common.pickles` knows only the instructions
that those files need, calls nothing that they name, and rebuilds arrays from checked parts.
"""

import struct
import zlib
from typing import IO, Any

from spaces.common.errors import InputError
from spaces.common.pickles.instructions import load
from spaces.common.pickles.stream import Bytes, NotPlain

LIMIT = 2**30  # bytes; the largest official file of a data set, CIFAR-100's training images, has 155 MB


def unpickle(stream: IO[bytes], what: str, limit: int = LIMIT) -> Any:
    """The object pickled in `stream`: dictionaries, lists, tuples, sets, numbers, text, bytes and NumPy arrays only.

    Python 2's byte strings are read as Latin-1, as NumPy's arrays of that time require. Arrays are read-only. `what`
    names the stream in the `InputError` raised where it is damaged, holds anything but plain data, or has more than
    `limit` bytes (unpacked, if the stream unpacks). Memory stays below 64 times the bytes read.
    """
    try:
        return load(Bytes(stream, limit))
    except (ValueError, IndexError, TypeError, struct.error, OSError, EOFError, zlib.error, MemoryError) as error:
        raise InputError(f"{what} cannot be read as pickled data: {_reason(error)}; get the file again") from error


def _reason(error: Exception) -> str:
    if isinstance(error, NotPlain | OSError | EOFError | zlib.error):  # the last three: it cannot be unpacked
        return " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return "its instructions and their operands do not fit together"
