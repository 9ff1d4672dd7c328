"""Reading a task from a file outside the repository, and the check of what a task returns."""

import re
import traceback
from collections.abc import Container, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from methods.search.external.own_errors import in_one_line, own_errors
from methods.search.external.own_file import run_file
from methods.search.piece_forms import shown
from methods.search.task import Batches, Task
from spaces.common.errors import InputError, unknown
from spaces.common.metric import Metric

COLUMN = re.compile(r"[a-z][a-z0-9_]*").fullmatch
"""Whether a text may be the name of a metric, which becomes part of a column's name."""

RESERVED = ("loss",)
"""Names of metrics that are columns of a history for another reason."""


def task_from(path: Path, attribute: str, taken: Container[str]) -> Task:
    """The task that `path` calls `attribute`, or its only one where that is empty. No task has a name in `taken`.

    Raises `InputError`, one line, if there is no such file or task, if running the file raises anything, or if a
    declaration of the task is not what it may be.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; name a task as path/to/file.py:NAME")
    held = vars(run_file(path))
    tasks = [name for name, value in held.items() if isinstance(value, Task)]
    if not attribute:
        if len(tasks) != 1:
            found = f"it has {', '.join(tasks)}: name one as {path}:{tasks[0]}" if tasks else "there is no task in it"
            raise InputError(f"{path}: {found}{'' if tasks else ': write one, such as TASK = MyTask()'}")
        attribute = tasks[0]
    value = held.get(attribute)
    if isinstance(value, type) and issubclass(value, Task):
        raise InputError(f"{path}: {attribute} is a class: name an instance of it, such as X = {attribute}()")
    if not isinstance(value, Task):
        if attribute in held:
            raise InputError(f"{path}: {attribute} is no task: it is {shown(value)}")
        raise InputError(f"{path}: {unknown('task', attribute, tasks)}")
    _declarations(value, f"{path}: {attribute}")
    if value.name in taken:
        raise InputError(f"{path}: {attribute} calls itself {value.name!r}, which is taken: give it another name")
    return value


def _declarations(task: Task, where: str) -> None:
    name, metric = getattr(task, "name", None), getattr(task, "metric", None)
    if not (isinstance(name, str) and name.strip() == name and name.isprintable() and name):
        raise InputError(f"{where}: name must be one line without blanks at its ends: it is {shown(name)}")
    if not isinstance(metric, Metric):
        wanted = "a metric, such as Metric('rmse', better='lower')"
        raise InputError(f"{where}: metric must be {wanted}: it is {shown(metric)}")
    if not (isinstance(metric.name, str) and COLUMN(metric.name) and metric.name not in RESERVED):
        raise InputError(
            f"{where}: metric: its name must be lower-case letters, digits and _, and not {', '.join(RESERVED)}: it is "
            f"{metric.name!r}"
        )
    if metric.better not in ("higher", "lower"):
        raise InputError(f"{where}: metric: better must be 'higher' or 'lower': it is {metric.better!r}")
    if metric.unit not in ("%", ""):
        raise InputError(f"{where}: metric: unit must be '%' (a number from 0 to 100) or empty: it is {metric.unit!r}")


@own_errors()
def check_outputs(task: Task, classes: int) -> int:
    """The number of outputs that `task` asks for. Raises `InputError` where it is none."""
    with _named(task, "outputs"):
        outputs = task.outputs(classes)
    if type(outputs) is not int or outputs < 1:
        raise _refused(task, "outputs", "a whole number, 1 or more", outputs)
    return outputs


@own_errors()
def rehearse(task: Task, split: Batches, classes: int) -> None:
    """Let `task` compute its loss and metric once, on outputs of zero for the first batch of `split`.

    Raises `InputError` where a member cannot be called as the search does, or a result is not what the search needs.
    """
    outputs = check_outputs(task, classes)
    with _named(task, "batches"):
        images, targets = task.batches(split).batch(0, 0)
    zeros = images.new_zeros((len(targets), outputs), requires_grad=True)
    with _named(task, "loss"):
        losses = task.loss(zeros, targets), task.loss(zeros, targets, reduction="sum")
    for loss in losses:
        if not (_is_scalar(loss) and loss.is_floating_point() and loss.requires_grad):
            raise _refused(task, "loss", "a scalar tensor that can be differentiated", loss)
        if not loss.isfinite():
            raise InputError(f"task {task.name}: loss must be finite: on the first batch it is {loss.item()}")
    with _named(task, "tally"), torch.no_grad():
        tally = task.tally(zeros, targets)
    if not _is_scalar(tally):
        raise _refused(task, "tally", "a scalar tensor", tally)
    with _named(task, "score"):
        score = task.score(float(tally), len(targets))
    if not isinstance(score, int | float) or not isfinite(score):
        raise _refused(task, "score", "a finite number", score)


@contextmanager
def _named(task: Task, member: str) -> Iterator[None]:
    """Name the task and its member where calling it fails outside its own file, as with arguments it does not take."""
    try:
        yield
    except TypeError as error:
        # Raised by the call itself, not by what it called.
        if traceback.extract_tb(error.__traceback__)[-1].filename == __file__:
            told = f"task {task.name}: {member} cannot be called as docs/adding-a-task.md says: {in_one_line(error)}"
            raise InputError(told) from error
        raise


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor) and value.shape == ()


def _refused(task: Task, what: str, wanted: str, returned: Any) -> InputError:
    return InputError(f"task {task.name}: {what} must return {wanted}: it returned {shown(returned)}")
