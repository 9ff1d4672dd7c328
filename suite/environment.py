"""The machine and the software that a trial ran on."""

import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

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


def engine_name(
    engine: str, precision: str, device: str, *, graphs: bool = False, computed_by: str | None = None
) -> str:
    """What computes supernets, in words: `computed_by` says so of one (`Supernet.computed_by`).

    Without it, what such a choice of engine gives on this machine.
    """
    words = computed_by or _engine(engine, precision, device)
    return words + (", CUDA graphs where passes allow" if graphs else "")


def _engine(engine: str, precision: str, device: str) -> str:
    if precision == "bf16":
        return "reference, bf16 autocast"
    if engine == "reference":
        return "reference, fp32"
    from spaces.engine.kernel_choice import kernels_in_words

    return f"fast, fp32, {kernels_in_words(device)}"


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


def make_deterministic(threads: int) -> None:
    """Bind torch to `threads` threads and to algorithms that give the same bits every time."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # This would fill every new tensor with NaN, to catch reads of unwritten memory, at a cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    # Records say fp32, and a finite difference of 1e-4 is below the resolution of TF32's ten bits.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
