"""The progress of trials: a bar in a terminal, plain lines on stderr elsewhere (a pipe, a CI log, nohup)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from spaces.common.plural import counted
from suite.terminal.console import errors

if TYPE_CHECKING:
    from suite.executors.local import Event, Listener
    from suite.plan import Plan

EVERY = 60.0
"""The least number of seconds between two lines on the trials that are running."""

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it."""


@contextmanager
def progress(plans: Sequence["Plan"]) -> Iterator["Listener"]:
    """Show the progress of `plans` on stderr; yields the listener for an executor's events."""
    # FORCE_COLOR makes rich see a terminal in any file, and a dumb terminal cannot draw a bar.
    if errors.is_terminal and errors.file.isatty() and not errors.is_dumb_terminal:
        with _bar(plans) as listener:
            yield listener
    else:
        yield _Lines(plans).on_event


def trial(plan: "Plan") -> str:
    """The trial's method, space, data set and seed, in words."""
    return f"{plan.name} on {plan.space}, {plan.dataset}, seed {plan.seed}"


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block with a line on how to continue, and exit status 130."""
    try:
        yield
    except KeyboardInterrupt:
        errors.print("interrupted: finished epochs are kept, the same command continues from there")
        raise typer.Exit(INTERRUPTED) from None


class _Epochs:
    """The epochs that each trial has finished, of its search and of its retraining."""

    def __init__(self, plans: Sequence["Plan"]) -> None:
        self._planned = [plan.settings.epochs + plan.evaluation.epochs for plan in plans]
        self._behind: dict[int, dict[str, int]] = {}
        self.ended: set[int] = set()

    @property
    def total(self) -> int:
        return sum(self._planned)

    @property
    def done(self) -> int:
        """Epochs finished. A trial that has ended counts with all its epochs, as it may stop early or be looked up."""
        under_way = sum(sum(phases.values()) for index, phases in self._behind.items() if index not in self.ended)
        return under_way + sum(self._planned[index] for index in self.ended)

    def take(self, event: "Event") -> None:
        index, phase, done, _ = event
        if phase in ("done", "failed"):
            self.ended.add(index)
        else:
            self._behind.setdefault(index, {})[phase] = done


@contextmanager
def _bar(plans: Sequence["Plan"]) -> Iterator["Listener"]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    epochs = _Epochs(plans)
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs")]
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=errors, transient=True) as bar:
        task = bar.add_task("", total=epochs.total)

        def on_event(event: "Event") -> None:
            epochs.take(event)
            plan = plans[event[0]]
            words = f"{plan.name} {plan.space} {plan.dataset} s{plan.seed} {event[1]}"
            bar.update(task, completed=epochs.done, description=escape(words))

        yield on_event


class _Lines:
    """A line when a trial begins and when it ends; in between, at most one a minute on all that are running."""

    def __init__(self, plans: Sequence["Plan"]) -> None:
        self._plans = plans
        self._epochs = _Epochs(plans)
        self._began: dict[int, float] = {}
        self._at: dict[int, str] = {}  # the phase and epoch of each running trial
        self._said = monotonic()

    def on_event(self, event: "Event") -> None:
        index, phase, done, total = event
        if index in self._epochs.ended:
            return  # a worker's last event may arrive after its driver's
        self._epochs.take(event)
        if phase in ("done", "failed"):
            self._end(index, phase)
            return
        self._at[index] = f"{phase} {done} of {total}"
        if index not in self._began:
            self._begin(index, done, total)
        elif monotonic() - self._said >= EVERY:
            self._said = monotonic()
            trials = "; ".join(f"{trial(self._plans[at])}: {words}" for at, words in self._at.items())
            _print(f"{self._epochs.done} of {counted(self._epochs.total, 'epoch')} done; running: {trials}")

    def _begin(self, index: int, done: int, total: int) -> None:
        self._began[index] = monotonic()
        how = f"continues after epoch {done} of {total}" if done else f"begins, {counted(total, 'epoch')}"
        _print(f"{trial(self._plans[index])}: search {how}")

    def _end(self, index: int, phase: str) -> None:
        self._at.pop(index, None)
        began = self._began.get(index)
        # A trial that was finished before has no search.
        when = f" after {monotonic() - began:.1f} s" if began is not None else " before" if phase == "done" else ""
        word = "finished" if phase == "done" else "failed"
        count = f"{len(self._epochs.ended)} of {counted(len(self._plans), 'trial')}"
        _print(f"{trial(self._plans[index])}: {word}{when} ({count})")


def _print(line: str) -> None:
    errors.print(line, markup=False, highlight=False, soft_wrap=True)
