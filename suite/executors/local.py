"""Run many trials, one after the other in this process or in several worker processes.

A trial writes only its own folder and depends on its plan alone, so every executor gives the same bits.
"""

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from spaces.common.errors import InputError
from suite.plan import Plan
from suite.trial import run_trial

# Index of the plan, phase, epochs finished, epochs in all. A trial's first event is of its search, its last is
# "done" or "failed".
Event = tuple[int, str, int, int]
Listener = Callable[[Event], None]


@dataclass(frozen=True)
class Failure:
    """A trial that ended in an error: the message, and whether the user's input caused it."""

    plan: Plan
    words: str
    users: bool


def fair_jobs(plans: Sequence[Plan]) -> int:
    """The number of processes for which this machine has cores, at the protocol's number of threads for a trial."""
    threads = max((plan.compute.threads for plan in plans), default=1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores // threads, len(plans)))


def run_all(plans: Sequence[Plan], runs: Path, root: Path, *, jobs: int, on_event: Listener) -> list[Failure]:
    """Run `plans` into `runs` with `jobs` processes; returns the failures, after all others have ended.

    Raises `KeyboardInterrupt` when interrupted; running trials then keep the checkpoint of their last epoch.
    """
    if jobs == 1:
        return _run_here(plans, runs, root, on_event)
    return _run_in_processes(plans, runs, root, jobs, on_event)


def _run_here(plans: Sequence[Plan], runs: Path, root: Path, on_event: Listener) -> list[Failure]:
    failures = []
    for index, plan in enumerate(plans):
        try:
            run_trial(plan, runs, root, on_progress=lambda *at, index=index: on_event((index, *at)))
            on_event((index, "done", 1, 1))
        except Exception as error:  # the other trials still run
            on_event((index, "failed", 1, 1))
            failures.append(_failure(plan, error))
    return failures


_events: "Queue[Event | None] | None" = None  # in a worker: the queue to the driver


def _start_worker(events: "Queue[Event | None]", driver: int) -> None:
    global _events
    _events = events
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the driver, which ends its workers

    def follow() -> None:
        # A driver that is killed cannot end its workers, so they end themselves when their parent changes. It may have
        # been killed while this worker was still importing.
        while os.getppid() == driver:
            time.sleep(0.2)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _failure(plan: Plan, error: Exception) -> Failure:
    if isinstance(error, InputError):
        return Failure(plan, "\n".join(filter(None, (str(error), error.details))), users=True)
    return Failure(plan, "".join(traceback.format_exception(error)), users=False)


def _run_one(index: int, plan: Plan, runs: Path, root: Path) -> Failure | None:
    """In a worker."""
    events = _events
    assert events is not None
    try:
        run_trial(plan, runs, root, on_progress=lambda *at: events.put((index, *at)))
    except Exception as error:
        return _failure(plan, error)
    return None


def _run_in_processes(plans: Sequence[Plan], runs: Path, root: Path, jobs: int, on_event: Listener) -> list[Failure]:
    context = get_context("spawn")  # a fork of a process that has used torch's threads may hang
    events: Queue[Event | None] = context.Queue()
    listener = threading.Thread(target=_forward, args=(events, on_event), daemon=True)
    listener.start()
    failures: list[Failure] = []
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(events, os.getpid()))
    try:
        waiting: dict[Any, int] = {pool.submit(_run_one, i, p, runs, root): i for i, p in enumerate(plans)}
        for future in as_completed(waiting):
            index = waiting[future]
            try:
                failure = future.result()
            except BrokenProcessPool as error:
                raise InputError(
                    "a worker process was killed (out of memory?): run the same command again to continue, "
                    "with fewer --jobs if memory was short"
                ) from error
            events.put((index, "failed" if failure else "done", 1, 1))
            if failure:
                failures.append(failure)
    except BaseException:
        for process in list((pool._processes or {}).values()):  # no public way to end a running worker (Python 3.13)
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        events.put(None)
        listener.join(timeout=5)
    return failures


def _forward(events: "Queue[Event | None]", on_event: Listener) -> None:
    while (event := events.get()) is not None:
        on_event(event)
