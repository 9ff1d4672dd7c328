"""Probes: quantities that are watched during a search and never touch it.

A probe is a pure function of the state of a search after an epoch. Its random streams and its batches are not those of
any step, and its passes do not change running statistics, so all other columns of a history are the same, bit for bit,
with it and without it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from methods.search.step import Step, Weights
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common import cost_clock

Number = float | int | list[float]
Memory = dict[str, Any]  # a probe's own, from step to step: tensors and plain values

BATCH = -1
"""The epoch whose first batch of each split the probes see. A search's own epochs count from 0."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A search after an epoch, as a probe sees it.

    `step` has the supernet, alpha and a fixed batch of each split; None where there is no supernet (random search).
    `weights` are those that `genotype` is selected from, `before` the same after the previous epoch, None after the
    first. `discrete_score` is the history's metric of the genotype; `score` gives it of other weights: of the supernet
    on the architecture split, with the batch's own statistics.
    """

    space: Space
    genotype: Genotype
    weights: Weights
    before: Mapping[str, Sequence[float]] | None
    step: Step | None
    discrete_score: float
    score: Callable[[Weights], float]
    memory: Memory = field(default_factory=dict)

    @property
    def at(self) -> Step:
        """`step`, of a search that has one."""
        assert self.step is not None
        return self.step


Measure = Callable[[View], Mapping[str, Number]]
"""Names → numbers, or lists of them. A number that is not defined here, such as a mean over no pair, is left out."""

Follow = Callable[[Step, Memory], None]
"""Is called with every step before it is taken, for sums over a whole search."""


@dataclass(frozen=True)
class Probe:
    """A named quantity. One with `supernet` needs a supernet and is left out of a search that has none."""

    name: str
    measure: Measure
    supernet: bool = True
    follow: Follow | None = None


@dataclass(frozen=True)
class Watched:
    """A probe and its stride: it is measured after every `every`-th epoch."""

    probe: Probe
    every: int = 1


class Watch:
    """The probes of one search: those required by its method, and those requested by the user."""

    def __init__(self, required: Sequence[Watched], requested: Sequence[Watched]) -> None:
        self.required, self.requested = tuple(required), tuple(requested)
        self.following = list(dict.fromkeys(w.probe for w in (*required, *requested) if w.probe.follow is not None))
        self.memory: dict[str, Memory] = {probe.name: {} for probe in self.following}
        self.seconds = 0.0  # spent on requested probes in this process

    def due(self, epoch: int) -> bool:
        """Whether a probe is measured after this epoch (from 1)."""
        return any(epoch % watched.every == 0 for watched in (*self.required, *self.requested))

    def follow(self, step: Step) -> None:
        """Pass a step, before it is taken, to the probes that sum over steps."""
        start = cost_clock.now()
        for probe in self.following:
            assert probe.follow is not None
            probe.follow(step, self.memory[probe.name])
        self.seconds += cost_clock.now() - start

    def columns(self, epoch: int, view: View) -> dict[str, Number]:
        """The history columns ``probe.<probe>.<number>`` of the probes that are due after `epoch` (from 1)."""
        measured: dict[str, Number] = {}
        for watched in self.required:
            self._measure(watched, epoch, view, measured)
        start = cost_clock.now()
        for watched in self.requested:
            self._measure(watched, epoch, view, measured)
        self.seconds += cost_clock.now() - start
        return measured

    def _measure(self, watched: Watched, epoch: int, view: View, measured: dict[str, Number]) -> None:
        probe = watched.probe
        done = any(column.startswith(f"probe.{probe.name}.") for column in measured)
        if epoch % watched.every or done or (probe.supernet and view.step is None):
            return
        own_view = View(**{**vars(view), "memory": self.memory.get(probe.name, {})})
        for name, value in probe.measure(own_view).items():
            if all(map(isfinite, value if isinstance(value, list) else [value])):
                measured[f"probe.{probe.name}.{name}"] = value

    def state_dict(self) -> dict[str, Memory]:
        """The memory of the probes that follow the steps."""
        return self.memory

    def load_state_dict(self, state: Mapping[str, Memory]) -> None:
        """Continue from `state`."""
        for name, kept in state.items():
            self.memory[name] = dict(kept)
