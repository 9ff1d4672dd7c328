"""The state of a pickle that is being read, and what it may cost.

Time is linear in a pickle's length, and memory stays below 64 times it (a short pickle has some MiB besides). An
instruction makes values of at most some 20 times its own length; containers, of which one byte makes many times more,
and copies are charged against a multiple of the bytes read so far.
"""

from collections import OrderedDict
from typing import Any

from spaces.common.pickles.arrays import NewArray, NewDtype
from spaces.common.pickles.stream import Bytes, NotPlain, shown

DEPTH = 32  # of containers in each other, at most; the official files have 5
# What a container is charged, in bytes.
COSTS: dict[type[Any], int] = {list: 128, tuple: 128, dict: 512, set: 512, OrderedDict: 1024}
_CHARGE = 16  # for a byte read
_FREE = 2**20
ABSENT = object()  # in the memo, where an index was left out


class Machine:
    """The stack, the stacks below its marks, and the memo."""

    def __init__(self, source: Bytes) -> None:
        self.source = source
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: list[Any] = []
        self._charged = -_FREE

    def charge(self, cost: int) -> None:
        """Count `cost` bytes of memory that an instruction's own length does not justify."""
        self._charged += cost
        if self._charged > _CHARGE * self.source.taken:
            raise NotPlain("it makes more containers and copies than its length justifies")

    def push(self, container: Any) -> None:
        """Put a new container on the stack."""
        self.charge(COSTS[type(container)])
        self.stack.append(container)

    def mark(self) -> None:
        """Begin a new stack on top of this one."""
        if len(self.below) == DEPTH:
            raise NotPlain(f"it has more than {DEPTH} containers in each other")
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """The stack since the last mark, taken off."""
        found, self.stack = self.stack, self.below.pop()
        return found

    def top(self, *kinds: type) -> Any:
        """The top of the stack, which an instruction for such `kinds` is to fill."""
        if type(self.stack[-1]) not in kinds:
            raise NotPlain(f"it fills {shown(self.stack[-1])} like a {kinds[0].__name__}")
        return self.stack[-1]

    def remember(self, index: int) -> None:
        """Note the top of the stack in the memo."""
        if not 0 <= index <= self.source.taken:  # pickles number from 0 or 1 on, so no index exceeds their length
            raise NotPlain(f"it numbers an object {index}")
        self.memo.extend([ABSENT] * (index + 1 - len(self.memo)))
        self.memo[index] = value = self.stack[-1]
        if isinstance(value, NewDtype | NewArray):
            value.places.append(index)

    def remember_next(self) -> None:
        """Note the top of the stack in the memo, under the next index."""
        self.remember(len(self.memo))

    def recall(self, index: int) -> None:
        """Put what was noted on the stack again."""
        if not 0 <= index < len(self.memo) or self.memo[index] is ABSENT:
            raise NotPlain(f"it refers to an object {index} that it does not have")
        self.stack.append(self.memo[index])

    def finish(self, state: Any) -> None:
        """Put what a new dtype or array becomes with its `state` in its place, on the stack and in the memo."""
        new = self.stack[-1]
        if not isinstance(new, NewDtype | NewArray):
            raise NotPlain(f"it gives {shown(new)} a state")
        self.stack[-1] = finished = new.finished(state)
        for index in new.places:
            self.memo[index] = finished
