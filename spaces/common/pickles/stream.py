"""A pickle's bytes, no more than a limit of them, and how they are refused."""

from typing import IO, Any

_CHUNK = 2**16


class NotPlain(ValueError):
    """What a pickle holds is not plain data; the message says why, on one line."""


def shown(value: Any) -> str:
    """`value`, which a stranger wrote, for a message: on one line, in ASCII, short."""
    text = ascii(value) if isinstance(value, str | bytes | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


class Bytes:
    """A stream's bytes in order, at most `limit` of them. Memory grows with what the stream has, not with what a
    pickle claims to have.
    """

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream, self._limit = stream, limit
        self.buffer = b""  # what was read and not taken stands here from `at` on
        self.at = 0
        self._dropped = 0

    @property
    def taken(self) -> int:
        """How many bytes were taken so far."""
        return self._dropped + self.at

    def take(self, count: int) -> bytes:
        """The next `count` bytes. Raises `NotPlain` where the stream ends before or the limit is passed."""
        end = self.at + count
        if end > len(self.buffer):
            self._fill(count)
            end = count
            if end > len(self.buffer):
                raise NotPlain("it ends in the middle")
        found = self.buffer[self.at : end]
        self.at = end
        return found

    def line(self) -> bytes:
        """The bytes up to the next line break, which is taken too. Raises `NotPlain` as `take` does."""
        searched = 0
        while (end := self.buffer.find(b"\n", self.at + searched)) < 0:
            searched = len(self.buffer) - self.at
            self._fill(2 * searched + 1)  # twice as many each time: the work stays linear
            if len(self.buffer) == searched:
                raise NotPlain("it ends in the middle")
        found = self.buffer[self.at : end]
        self.at = end + 1
        return found

    def _fill(self, count: int) -> None:
        """Have at least `count` bytes in the buffer, from its start, or all there are."""
        pieces = [self.buffer[self.at :]]
        have = len(pieces[0])
        self._dropped += self.at
        while have < count and (piece := self._stream.read(_CHUNK)):
            pieces.append(piece)
            have += len(piece)
            if self._dropped + have > self._limit:
                raise NotPlain(f"it has more than {self._limit:,} bytes (unpacked), the limit for such a file")
        self.buffer, self.at = b"".join(pieces), 0
