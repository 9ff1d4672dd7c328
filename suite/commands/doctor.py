"""`dartboard doctor`: whether this machine computes what it should, with what, and how fast."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from suite.commands.options import DataRoot
from suite.terminal.console import Json, console, emit, errors, plain_errors, table

if TYPE_CHECKING:
    from suite.doctor.examination import Examined
    from suite.doctor.report import Report


def register(app: typer.Typer) -> None:
    """Put `doctor` on `app`."""
    app.command()(plain_errors(doctor))


def doctor(
    device: Annotated[str, typer.Option(help="auto (cuda if it is here), cpu or cuda.")] = "auto",
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Test this machine: every engine against float64 on the CPU, kernels, compilers, memory, speed and data.

    The first thing to run on a new machine. Takes about a minute. Exit status 0: all is right; 1: something is wrong;
    2: the device cannot be used at all. What is only missing is said and is not wrong.
    """
    from suite.compute import pick_device
    from suite.data.root import data_root as root_of
    from suite.doctor.report import report

    kind = pick_device(device, usual="cuda")
    with errors.status("self-test") as status:
        found = report(kind, root_of(data_root), status.update)
    emit(found.document(), as_json, lambda: _show(found))
    if found.wrong:
        raise typer.Exit(1)


def _show(found: "Report") -> None:
    console.print(found.device, markup=False, highlight=False)
    console.print(table("Against float64 on the CPU", [_row(each) for each in found.examined]))
    console.print(table("What computes supernets", [_pair(*pair) for pair in found.in_use.items()]))
    columns = ("name", "state", "detail")
    console.print(table("Kernels, compilers, CUDA graphs", [*found.kernels, *found.compilers, found.graphs], columns))
    console.print(table("Memory (MB)", found.memory))
    console.print(table("A step: gradients of weights and of alpha (medians)", found.timings))
    console.print(table(f"Data in {found.root}", found.data, columns))
    for line in found.wrong or ["All is right."]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _pair(precision: str, words: str) -> Mapping[str, Any]:
    return {"precision": precision, "computed by": words}


def _row(each: "Examined") -> Mapping[str, Any]:
    finding = each.finding
    return {
        "piece or network": finding.what,
        "engine": str(each.way),
        "precision": each.precision,
        "error": finding.failed or f"{finding.error:.1e}",
        "allowed": f"{finding.allowed:.1e}",
        "verdict": each.verdict,
    }
