"""How a trial is computed: on which device, by which engine, in which precision, with how many threads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

import torch

from spaces.cells.mixed_cell import Engine
from spaces.cells.precision import Precision
from spaces.common.errors import InputError
from suite.environment import device_name


@dataclass(frozen=True)
class Compute:
    """How a trial is computed. A request leaves the device and the threads to the protocol; `resolved` sets both."""

    device: str = "auto"  # resolved, "cpu" or "cuda": a trial is the same, bit for bit, on one kind of device
    engine: Engine = "fast"
    precision: Precision = "fp32"
    graphs: bool | None = None  # are passes replayed from CUDA graphs? None: on a GPU, where they can be captured
    threads: int = 0  # on a CPU; 0: not resolved yet

    @classmethod
    def requested(cls, device: str, engine: str, precision: str, graphs: bool | None) -> Self:
        """What the options of a command say. Raises `InputError` for an engine or a precision that does not exist."""
        return cls(
            device,
            _one_of(get_args(Engine), engine, "engine"),
            _one_of(get_args(Precision), precision, "precision"),
            graphs,
        )

    def resolved(self, usual_device: str, threads: int) -> Self:
        """The same with `threads` threads, on a device that is available.

        Raises `InputError` as `pick_device`, and for CUDA graphs or TF32 on a device that has none.
        """
        device = pick_device(self.device, usual_device)
        if self.graphs and device != "cuda":
            raise InputError(f"--graphs: CUDA graphs need a GPU, and this trial runs on {device}: leave it out")
        if self.precision == "tf32" and not (device == "cuda" and torch.cuda.is_tf32_supported()):
            needs = "an NVIDIA GPU of compute capability 8.0 or later"
            raise InputError(
                f"--precision tf32 needs {needs}, and this trial runs on {device_name(device)}: choose fp32"
            )
        return replace(self, device=device, threads=threads)


USUAL = Compute()
"""Nothing is requested: the device of the protocol, the fast engine, single precision."""


def pick_device(asked: str, usual: str) -> str:
    """The kind of device `asked` for; ``auto`` is the `usual` kind if it is available, else the CPU.

    Raises `InputError` for an unknown kind, and for a GPU that is not available.
    """
    if asked == "auto":
        return usual if usual == "cpu" or torch.cuda.is_available() else "cpu"
    if asked not in ("cpu", "cuda"):
        raise InputError(f"unknown device {asked!r}: choose auto, cpu or cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not available here: choose cpu")
    return asked


def _one_of(choices: Sequence[str], asked: str, what: str) -> Any:
    if asked not in choices:
        raise InputError(f"unknown {what} {asked!r}: choose {' or '.join(choices)}")
    return asked
