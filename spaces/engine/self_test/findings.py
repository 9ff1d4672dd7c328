"""What the self-test finds out of one piece or one network."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The error of a piece or network, and the one that is allowed; or in `failed` why it gave no result."""

    what: str
    error: float
    allowed: float
    failed: str = ""

    @property
    def right(self) -> bool:
        """Whether the error is within what is allowed, which NaN is not."""
        return not self.failed and self.error <= self.allowed

    @property
    def words(self) -> str:
        """What is wrong, in one clause."""
        if self.failed:
            return f"{self.what} fails ({self.failed})"
        return f"{self.what} is {self.error:.1e} off float64 on the CPU, {self.allowed:.1e} is allowed"


def first_line(error: BaseException) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


def finding(what: str, allowed: float, error: Callable[[], float]) -> Finding:
    """What `error` returns, or the exception that it raises."""
    try:
        return Finding(what, error(), allowed)
    except Exception as raised:  # of a kernel's compiler, of the driver, of torch
        return Finding(what, float("nan"), allowed, first_line(raised))


def worst(errors: list[float]) -> float:
    """The largest error; NaN is larger than any."""
    return max(errors, key=lambda each: each if each == each else float("inf"))
