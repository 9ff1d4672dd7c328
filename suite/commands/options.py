"""Options that several commands share, and how their text is read."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spaces.common.errors import InputError

DataRoot = Annotated[Path | None, typer.Option("--data-root", help="Where data sets lie [$DARTBOARD_DATA].")]
Device = Annotated[str, typer.Option(help="auto (what the protocol wants, if it is here), cpu or cuda.")]
EngineOption = Annotated[str, typer.Option("--engine", help="What computes a supernet: fast, or the plain reference.")]
PrecisionOption = Annotated[str, typer.Option("--precision", help="Of a supernet's passes: fp32, or bf16 (autocast).")]
GraphsOption = Annotated[bool, typer.Option("--graphs", help="Replay a supernet's passes from CUDA graphs.")]
TaskOption = Annotated[str, typer.Option("--task", help="What networks are trained for, or path/to/file.py.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")]

Probes = Annotated[str | None, typer.Option(help="What to watch, commas between (`dartboard list probes`) [nothing].")]


def names(text: str | None) -> list[str]:
    """A list as it is written on a command line, with commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def overrides(pairs: list[str] | None) -> dict[str, Any]:
    """`KEY=VALUE` texts as a dictionary; values stay text and are read as the setting's type later."""
    found = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair!r}: write --set KEY=VALUE")
        found[key.strip()] = value.strip()
    return found
