"""The progress of trials, with a terminal and without one."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from suite.executors.local import Event
from suite.plan import Plan, plan
from suite.terminal import progress as module
from suite.terminal.progress import progress


@pytest.fixture
def plans() -> list[Plan]:
    """Two trials of 3 + 8 epochs."""
    return [plan("darts-1st", "nats-tss", "digits", seed) for seed in (0, 1)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the seconds that the clock shows."""
    now = [0.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])

    def show(seconds: float) -> None:
        now[0] = seconds

    return show


def said(plans: list[Plan], clock: Callable[[float], None], events: list[tuple[float, Event]]) -> None:
    with progress(plans) as on_event:
        for seconds, event in events:
            clock(seconds)
            on_event(event)


def test_a_line_at_the_start_and_one_at_the_end(plans, clock, capsys) -> None:
    said(plans[:1], clock, [(1, (0, "search", 0, 3)), (9, (0, "search", 1, 3)), (13.25, (0, "done", 1, 1))])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "darts-1st on nats-tss, digits, seed 0: search begins, 3 epochs",
        "darts-1st on nats-tss, digits, seed 0: finished after 12.2 s (1 of 1 trial)",
    ]


def test_in_between_at_most_a_line_a_minute(plans, clock, capsys) -> None:
    epochs = [(20.0 * epoch, (0, "evaluate", epoch, 8)) for epoch in range(1, 9)]
    searched = [(0.0, (0, "search", 0, 3)), (0.0, (1, "search", 2, 3)), (10.0, (0, "search", 3, 3))]
    said(plans, clock, [*searched, *epochs])  # type: ignore[list-item]
    between = [line for line in capsys.readouterr().err.splitlines() if "running" in line]
    total = sum(each.settings.epochs + each.evaluation.epochs for each in plans)
    assert between == [
        f"{done} of {total} epochs done; running: darts-1st on nats-tss, digits, seed 0: evaluate {epoch} of 8; "
        "darts-1st on nats-tss, digits, seed 1: search 2 of 3"
        for epoch, done in ((3, 8), (6, 11))
    ]


def test_what_goes_on_what_fails_and_what_was_there(plans, clock, capsys) -> None:
    events = [(0.0, (0, "search", 2, 3)), (2.0, (0, "failed", 1, 1)), (2.0, (1, "done", 1, 1))]
    # A worker's last epoch may arrive behind the word of its end: it begins nothing anew.
    said(plans, clock, [*events, (99.0, (0, "search", 3, 3))])
    assert capsys.readouterr().err.splitlines() == [
        "darts-1st on nats-tss, digits, seed 0: search continues after epoch 2 of 3",
        "darts-1st on nats-tss, digits, seed 0: failed after 2.0 s (1 of 2 trials)",
        "darts-1st on nats-tss, digits, seed 1: finished before (2 of 2 trials)",
    ]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "term", "drawn"), [(Screen(), "xterm", True), (Screen(), "dumb", False), (io.StringIO(), "xterm", False)]
)
def test_a_bar_only_where_one_can_be_drawn(plans, monkeypatch, file, term, drawn) -> None:
    """Colours forced on a pipe, as CI services do, make no terminal of it."""
    console = Console(file=file, force_terminal=True, width=120, _environ={"TERM": term, "FORCE_COLOR": "1"})
    monkeypatch.setattr(module, "errors", console)
    with progress(plans) as on_event:
        on_event((0, "search", 0, 3))
        on_event((0, "search", 3, 3))
        on_event((0, "done", 1, 1))
    text = file.getvalue()
    assert ("\x1b[2K" in text) == drawn
    assert ("search begins, 3 epochs" in text) == (not drawn)
    if drawn:
        assert re.search(r"darts-1st nats-tss digits s0 done.*11/22", text)


def test_a_run_in_a_pipe_shows_signs_of_life_and_its_document_alone(
    dartboard, tiny_study: Path, tmp_path: Path
) -> None:
    result = dartboard("run", tiny_study, "--out", tmp_path / "runs", "--jobs", "1", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["run_now"] == 2
    lines = result.stderr.splitlines()
    assert [re.sub(r"\d+\.\d s", "T", line.partition("seed ")[2]) for line in lines] == [
        "0: search begins, 4 epochs",
        "0: finished after T (1 of 2 trials)",
        "0: search begins, 4 epochs",
        "0: finished after T (2 of 2 trials)",
    ]
    assert lines[0].startswith("darts-1st on nats-tss, npz:")


def test_a_search_in_a_pipe_shows_signs_of_life(dartboard, tiny_npz: Path, tmp_path: Path) -> None:
    command = ["search", "random", "--dataset", f"npz:{tiny_npz}", "--out", tmp_path, "--set", "epochs=1"]
    command += ["--set", "batch_size=8", "--set", "evaluate.epochs=1", "--json"]
    first, again = dartboard(*command), dartboard(*command)
    assert json.loads(first.stdout) == json.loads(again.stdout)
    assert [line.partition("seed 0: ")[2].partition(" after")[0] for line in first.stderr.splitlines()] == [
        "search begins, 1 epoch",
        "finished",
    ]
    assert again.stderr.endswith("seed 0: finished before (1 of 1 trial)\n")
