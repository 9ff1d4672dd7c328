"""What the operands of a pickle's instructions are worth: numbers and text."""

import re
from functools import partial

from spaces.common.pickles.stream import NotPlain

utf8 = partial(str, encoding="utf-8")
latin1 = partial(str, encoding="latin-1")


def little(data: bytes) -> int:
    """The unsigned integer whose lowest byte comes first."""
    return int.from_bytes(data, "little")


def long(data: bytes) -> int:
    """The signed integer whose lowest byte comes first. Raises `NotPlain` where it has more than 64 bits."""
    return _bounded(int.from_bytes(data, "little", signed=True))


def digits(line: bytes) -> int:
    """The integer in decimal. Raises `NotPlain` where it has more than 64 bits."""
    return _bounded(int(line) if len(line) <= 20 else 2**64)


def truth_or_digits(line: bytes) -> bool | int:
    """The integer in decimal, or one of the truth values, which a leading zero tells from 0 and 1."""
    return line == b"01" if line in (b"00", b"01") else digits(line)


def _bounded(value: int) -> int:
    if not -(2**63) <= value < 2**64:
        raise NotPlain("it has an integer of more than 64 bits")
    return value


def escaped_text(line: bytes) -> str:
    """Text in which what Latin-1 lacks is written as an escape."""
    text = str(line, "raw-unicode-escape")
    text.encode()  # fails on halves of surrogate pairs, which could not be printed; UTF-8 does not have them
    return text


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}


def quoted(line: bytes) -> str:
    """A string of Python 2 as that language writes it, with quotes and escapes; its bytes read as Latin-1."""
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[:1] != line[-1:]:
        raise NotPlain("it has a string without quotes")

    def plain(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        return bytes([int(escape[1:], 16)]) if len(escape) == 3 else _ESCAPES.get(escape, match[0])

    return latin1(re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", plain, line[1:-1]))
