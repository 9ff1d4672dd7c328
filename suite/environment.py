"""The machine and the software that a trial ran on."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spaces.cells.precision import Precision

PACKAGES = ("torch", "torchvision", "numpy", "pyarrow", "nats_bench", "scikit-learn", "scipy", "pandas", "statsmodels")


@cache
def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def device_name(kind: str) -> str:
    """The device in words: ``cpu: NAME`` or ``cuda: NAME``."""
    if kind == "cpu":
        return f"cpu: {processor()}"
    import torch

    return f"cuda: {torch.cuda.get_device_name()}"


def engine_name(engine: str, precision: str, device: str) -> str:
    """What would compute supernets on this machine, in words, as `Supernet.computed_by` says it of one."""
    if precision == "bf16":
        return "reference, bf16 autocast"
    if engine == "reference":
        return f"reference, {precision}"
    from spaces.engine.kernel_choice import kernels_in_words

    return f"fast, {precision}, {kernels_in_words(device)}"


@cache
def own_version() -> str:
    """The distribution's version and, where it runs from a checkout, the commit (and whether that was edited)."""
    try:
        number = version("dartboard")
    except PackageNotFoundError:
        number = "not installed"
    here = Path(__file__).parents[1]
    if not (here / ".git").exists():
        return number
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return number
    return f"{number} ({commit})"


def environment() -> dict[str, str]:
    """The versions that numbers depend on, and the machine."""
    found = {name: version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "processor": processor(),
        "cores": str(os.cpu_count()),
        **found,
    }


def make_deterministic(threads: int, precision: "Precision" = "fp32") -> None:
    """Bind torch to `threads` threads, to algorithms that give the same bits every time, and to a precision."""
    import torch

    from spaces.cells.precision import allow_tf32

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # This would fill every new tensor with NaN, to catch reads of unwritten memory, at a cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # Not unless it is asked for: a finite difference of 1e-4 is below the resolution of TF32's ten bits.
    allow_tf32(precision == "tf32")
