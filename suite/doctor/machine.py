"""What a machine has: families of kernels, compilers, memory, graph capture."""

import os
import shutil
import subprocess
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from spaces import get_space
from spaces.common.errors import InputError
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernels import Kernels
from spaces.engine.torch_kernels import NAME as PLAIN
from spaces.engine.triton_kernels import triton_kernels
from suite.doctor.step import make_step
from suite.doctor.timing import WARM_UP, families, size_of

HERE, MISSING, FAILS = "here", "missing", "fails"


def kernels(device: str) -> list[dict[str, str]]:
    """A row for each family of kernels: whether it can compute on the device, and if not, why."""
    rows = []
    found: list[Kernels] = [cpp_kernels, triton_kernels]
    for family in found:
        obstacle = family.obstacle(device, torch.float32, 16)
        rows.append({"name": f"{family.NAME} kernels", "state": MISSING if obstacle else HERE, "detail": obstacle})
    return [*rows, {"name": f"kernels in {PLAIN}", "state": HERE, "detail": ""}]


def compilers(device: str) -> list[dict[str, str]]:
    """A row for each compiler that kernels need: its version and whether it works, or how to get it."""
    return [_cpp(), _triton(device)]


def _cpp() -> dict[str, str]:
    named = os.environ.get("CXX", "g++")
    if shutil.which(named) is None:
        get = "the fast engine runs in plain torch on a CPU; install g++ (`apt install g++`), or name one in CXX"
        return {"name": named, "state": MISSING, "detail": get}
    found = cpp_kernels.library()
    detail = found if isinstance(found, str) else "compiles"
    return {"name": named, "state": HERE, "detail": f"{_first_line_of(named, '--version')}; {detail}"}


def _triton(device: str) -> dict[str, str]:
    try:
        number = version("triton")
    except PackageNotFoundError:
        return {"name": "Triton", "state": MISSING, "detail": "comes with torch's CUDA builds for Linux"}
    if device != "cuda":
        return {"name": "Triton", "state": HERE, "detail": f"{number}; nothing to compile for on a CPU"}
    if not c_compiler():
        get = f"{number}, but no C compiler, which it needs: install gcc (`apt install gcc`), or name one in CC"
        return {"name": "Triton", "state": MISSING, "detail": get}
    obstacle = triton_kernels.obstacle(device, torch.float32, 16)
    return {"name": "Triton", "state": HERE, "detail": f"{number}; {obstacle or 'compiles at first use'}"}


def c_compiler() -> str | None:
    """The C compiler that Triton would use, if there is one."""
    named = os.environ.get("CC")
    return next(filter(None, map(shutil.which, [named] if named else ["gcc", "clang"])), None)


def _first_line_of(*command: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.partition("\n")[0]
    return "no version"


def memory(device: str) -> list[dict[str, Any]]:
    """A row for the host and one for the device: free and total megabytes (2^20 bytes), None where unknown."""
    page = _configured("SC_PAGE_SIZE")
    free, total = (page * _configured(name) // 2**20 or None for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"))
    rows: list[dict[str, Any]] = [{"name": "host", "free_mb": free, "total_mb": total}]
    if device == "cuda":
        free, total = (bytes_ // 2**20 for bytes_ in torch.cuda.mem_get_info())
        rows.append({"name": "device", "free_mb": free, "total_mb": total})
    return rows


def _configured(name: str) -> int:
    with suppress(ValueError, OSError, AttributeError):
        return os.sysconf(name)
    return 0


def graph_capture(device: str) -> dict[str, str]:
    """Whether passes are replayed from CUDA graphs with the same bits, or why not."""
    if device != "cuda":
        return not_asked("only on a GPU")
    name = families()[0]
    try:
        step = make_step(name, "fast", size_of(get_space(name), "cpu"), device=device, graphs=True)
        for _ in range(WARM_UP + 1):
            step()
    except InputError as error:
        return {"name": "CUDA graphs", "state": FAILS, "detail": str(error)}
    return {"name": "CUDA graphs", "state": HERE, "detail": "captured, replayed, the same bits"}


def not_asked(reason: str) -> dict[str, str]:
    """The row of graph capture where it was not tried."""
    return {"name": "CUDA graphs", "state": MISSING, "detail": reason}
