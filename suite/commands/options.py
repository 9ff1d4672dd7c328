"""Options that several commands share, and the parsing of their text."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spaces.common.errors import InputError

DataRoot = Annotated[Path | None, typer.Option("--data-root", help="The folder of the data sets [$DARTBOARD_DATA].")]
Device = Annotated[str, typer.Option(help="auto (the protocol's device if available, else cpu), cpu or cuda.")]
EngineOption = Annotated[str, typer.Option("--engine", help="The engine that computes supernets: fast or reference.")]
PrecisionOption = Annotated[
    str, typer.Option("--precision", help="The precision: fp32, tf32 (NVIDIA GPUs) or bf16 (autocast of supernets).")
]
GraphsOption = Annotated[
    bool | None,
    typer.Option("--graphs/--no-graphs", help="Replay supernets' passes from CUDA graphs [where a GPU can]."),
]
TaskOption = Annotated[str, typer.Option("--task", help="The task that networks are trained for, or path/to/file.py.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; repeatable.")]

Probes = Annotated[
    str | None, typer.Option(help="Probes to measure, separated by commas (`dartboard list probes`) [none].")
]


def names(text: str | None) -> list[str]:
    """The names in `text`, which separates them by commas."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def overrides(pairs: list[str] | None) -> dict[str, Any]:
    """`KEY=VALUE` texts as a dictionary. Values remain text until the type of the setting is known.

    Raises `InputError` for a text without a key or without `=`.
    """
    found = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"--set {pair!r}: write --set KEY=VALUE")
        found[key.strip()] = value.strip()
    return found
