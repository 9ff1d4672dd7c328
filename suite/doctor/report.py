"""All that the doctor finds out, and what of it is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from spaces.cells.precision import Precision
from spaces.engine.ways import REFERENCE
from suite.data import status
from suite.doctor import machine
from suite.doctor.examination import FAILS, WRONG, Examined, examine, in_use
from suite.doctor.timing import timings
from suite.environment import device_name, environment, make_deterministic


@dataclass(frozen=True)
class Report:
    """What was found on `device`, in words; `wrong` are lines that say what is wrong, none if all is right."""

    device: str
    examined: Sequence[Examined]
    in_use: Mapping[Precision, str]
    kernels: Sequence[Mapping[str, str]]
    compilers: Sequence[Mapping[str, str]]
    memory: Sequence[Mapping[str, Any]]
    graphs: Mapping[str, str]
    timings: Sequence[Mapping[str, Any]]
    root: Path
    data: Sequence[Mapping[str, Any]]

    @property
    def wrong(self) -> list[str]:
        """A line for each thing that is wrong. A compiler or data that are missing are not."""
        said = [
            f"{each.way}, {each.precision}: {each.finding.words}"
            for each in self.examined
            if each.verdict in (WRONG, FAILS) and not self._lacks_compiler(each)
        ]
        said += [f"{row['name']}: {row['detail']}" for row in [self.graphs] if row["state"] == machine.FAILS]
        return said + [f"{row['name']}: {row['detail']}" for row in self.data if row["state"] == status.DAMAGED]

    def _lacks_compiler(self, each: Examined) -> bool:
        """Whether kernels failed because Triton has no C compiler."""
        return bool(each.finding.failed and each.way.products) and machine.c_compiler() is None

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        checks = [
            {
                "what": each.finding.what,
                "engine": str(each.way),
                "precision": each.precision,
                "error": each.finding.error if isfinite(each.finding.error) else None,
                "allowed": each.finding.allowed,
                "failed": each.finding.failed,
                "verdict": each.verdict,
            }
            for each in self.examined
        ]
        return {
            "right": not self.wrong,
            "wrong": self.wrong,
            "device": self.device,
            "checks": checks,
            "in_use": dict(self.in_use),
            "kernels": list(self.kernels),
            "compilers": list(self.compilers),
            "memory": list(self.memory),
            "graphs": dict(self.graphs),
            "timings": list(self.timings),
            "root": str(self.root),
            "data": list(self.data),
            "environment": environment(),
        }


def report(kind: str, root: Path, tell: Callable[[str], object]) -> Report:
    """Examine the device of this `kind`, cpu or cuda, and the machine; `tell` is told what is being done."""
    make_deterministic(torch.get_num_threads())
    device = torch.device(kind)
    examined = examine(device, tell)
    reference_is_right = all(each.finding.right for each in examined if each.way is REFERENCE)
    wrong = {each.way for each in examined if each.precision == "fp32" and not each.finding.right}
    return Report(
        device=device_name(kind),
        examined=examined,
        in_use=in_use(device),
        kernels=machine.kernels(kind),
        compilers=machine.compilers(kind),
        memory=machine.memory(kind),
        graphs=machine.graph_capture(kind) if reference_is_right else machine.not_asked("the reference is wrong"),
        timings=timings(device, lambda way: way not in wrong, tell) if reference_is_right else [],
        root=root,
        data=status.status(root),
    )
