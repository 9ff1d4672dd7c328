"""Whether a way of computing has passed the self-test on a device; the outcome is kept in the user's cache.

It is kept by all that it depends on: the device, its driver, torch, Triton, CUDA's libraries, the settings of the
process, and the sources of `spaces`. A CPU is trusted: float64 there is the truth, and tests compare its engines with
it.
"""

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from spaces.cells.precision import Precision
from spaces.common import disk_cache
from spaces.engine.self_test.checks import checks
from spaces.engine.self_test.findings import Finding
from spaces.engine.ways import Way

TRUSTED: frozenset[str] = frozenset({"cpu"})
"""Device types whose engines need no self-test before they are used."""

FOLDER = "self-test"

DECISIVE = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "TRITON_DEFAULT_FP_FUSION")
"""Variables of the environment that change what a GPU computes."""

_known: dict[tuple[Way, torch.device, Precision], str] = {}


def why_not(way: Way, device: torch.device, precision: Precision) -> str:
    """Why `way` is not used on `device`, in one clause; "" if it may be. Runs the self-test if no outcome is known.

    Exceptions are no outcome that is kept: memory may have been short.
    """
    if device.type in TRUSTED:
        return ""
    device = _with_index(device)
    key = way, device, precision
    if key not in _known:
        kept = disk_cache.read(FOLDER, identity(way, device, precision))
        if isinstance(kept, str):
            _known[key] = kept
        else:
            wrong = next((finding for finding in checks(way, device, precision) if not finding.right), None)
            conclude(way, device, precision, [wrong] if wrong else [])
    return _known[key]


def conclude(way: Way, device: torch.device, precision: Precision, findings: Sequence[Finding]) -> str:
    """Keep what `findings` say of `way` for this process and for others; returns it, as `why_not` does."""
    wrong = next((finding for finding in findings if not finding.right), None)
    words = wrong.words if wrong else ""
    if device.type in TRUSTED:
        return words
    device = _with_index(device)
    _known[way, device, precision] = words
    if not (wrong and wrong.failed):
        disk_cache.write(FOLDER, identity(way, device, precision), words)
    return words


def _with_index(device: torch.device) -> torch.device:
    """`cuda` as the GPU that it stands for."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", torch.cuda.current_device())


def forget() -> None:
    """Forget what this process knows; the user's cache stays."""
    _known.clear()


def identity(way: Way, device: torch.device, precision: Precision) -> dict[str, str]:
    """All that the outcome depends on, by name."""
    found = {
        "way": str(way),
        "precision": precision,
        "device": device.type,
        "torch": torch.__version__,
        "Triton": _version("triton"),
        "CUDA": str(torch.version.cuda),
        "platform": platform.platform(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "environment": str({name: os.environ.get(name) for name in DECISIVE}),
        "sources": disk_cache.digest_of_sources("spaces"),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "name": properties.name,
            "compute capability": f"{properties.major}.{properties.minor}",
            "driver": _driver(),
            "cuDNN": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
            "cuDNN chooses by timing": str(torch.backends.cudnn.benchmark),
        }
    return found


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@cache
def _driver() -> str:
    """The version of NVIDIA's driver; "" where the system does not tell."""
    with suppress(OSError):
        return Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").partition("\n")[0]
    return ""
