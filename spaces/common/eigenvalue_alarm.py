"""The stopping rule of R-DARTS: an alarm where the local average of the dominant eigenvalue grows too fast.

Zela et al., Understanding and Robustifying Differentiable Architecture Search, ICLR 2020, section 4.3. A recipe applies
it during a search, a report afterwards.
"""

from collections.abc import Iterator, Sequence
from math import ceil


def local_averages(values: Sequence[float], window: int) -> list[float | None]:
    """The mean of each value and those before it, `window` in all; of fewer at the start, None below half of them."""
    averages: list[float | None] = []
    for end in range(1, len(values) + 1):
        recent = values[max(0, end - window) : end]
        averages.append(sum(recent) / len(recent) if len(recent) >= ceil(window / 2) else None)
    return averages


def reach(window: int, delta: int) -> int:
    """How many measurements a search goes back at an alarm.

    An average is centred half a window back, and the search goes back to the centre of the average of `delta` before.
    """
    return delta + window // 2


def alarms(values: Sequence[float], window: int, delta: int, ratio: float) -> Iterator[tuple[int, int]]:
    """The alarms in `values`, eigenvalues in the order of their measurement: (its place, the place to go back to).

    An alarm is raised where λ̄(t - delta) / λ̄(t) < `ratio`; λ̄ is the average over `window` measurements.
    """
    averages, back = local_averages(values, window), reach(window, delta)
    for now in range(back, len(values)):
        before, here = averages[now - delta], averages[now]
        if before is not None and here is not None and here > 0 and before / here < ratio:
            yield now, now - back
