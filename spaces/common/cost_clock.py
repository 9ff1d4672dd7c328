"""The clock of the costs that are reported. It stands still while the machine gets ready for the work.

Compilers, the self-test of kernels and the capture of CUDA graphs take seconds once a machine, or once a process. They
say nothing about the method that happens to need them first.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

_preparing = False
_prepared = 0.0


def now() -> float:
    """Seconds, of which only differences mean something. Those within `preparing` are not counted."""
    return perf_counter() - _prepared


def prepared() -> float:
    """The seconds that this process has spent within `preparing`."""
    return _prepared


def leave_out(seconds: float) -> None:
    """Do not count the last `seconds`, which turned out to be a preparation."""
    global _prepared
    if not _preparing:
        _prepared += seconds


@contextmanager
def preparing() -> Iterator[None]:
    """In this block the clock stands still. A block within another adds nothing."""
    global _preparing, _prepared
    if _preparing:
        yield
        return
    start, _preparing = perf_counter(), True
    try:
        yield
    finally:
        _preparing = False
        _prepared += perf_counter() - start
