"""The shared library of the C++ kernels: compiled once for each machine, loaded by ctypes."""

import ctypes
import hashlib
import os
import platform
import shutil
import struct
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from spaces.common.cost_clock import preparing

SOURCES = Path(__file__).with_name("source")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fopenmp", "-fPIC", "-shared")


def _processor() -> str:
    """What `-march=native` depends on: a library compiled for another processor must not be loaded."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        return platform.processor()


def _compile(compiler: str, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    # Under another name first: a second process must never load a partly written library.
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / out.name
        subprocess.run(
            [compiler, *FLAGS, str(SOURCES / "kernels.cpp"), "-o", str(made)],
            check=True,
            capture_output=True,
            timeout=300,
        )
        os.replace(made, out)


def _is_whole(library: Path) -> bool:
    """Whether a library is there, and not cut short: to load such a one would end the process with a bus error.

    The table of an ELF file's sections is its last part. Files of other formats are taken as they are.
    """
    if not library.exists():
        return False
    with library.open("rb") as file:
        head = file.read(64)
    if not head.startswith(b"\x7fELF"):
        return bool(head)
    if len(head) < 64:
        return False
    (begin,), (size, count) = struct.unpack_from("<Q", head, 0x28), struct.unpack_from("<HH", head, 0x3A)
    return bool(begin + size * count <= library.stat().st_size)


@cache
def library() -> ctypes.CDLL | str:
    """The compiled kernels, or the reason why there are none. Compiles them on first use (seconds)."""
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        return "no C++ compiler"
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    text = "\n".join([*sources, compiler, *FLAGS, _processor()])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    out = user_cache_path("dartboard") / "kernels" / f"{digest}.so"
    try:
        if not _is_whole(out):
            with preparing():
                _compile(compiler, out)
        kernels = ctypes.CDLL(str(out))
    except subprocess.CalledProcessError as error:
        said = [line for line in error.stderr.decode(errors="replace").splitlines() if "error" in line]
        return f"{compiler} failed: {said[0] if said else f'exit status {error.returncode}'}"
    except subprocess.TimeoutExpired as error:
        return f"{compiler} took more than {error.timeout:.0f} s"
    except OSError as error:
        return f"no compiled kernels at {out}: {error.strerror or error}"
    keep_memory()
    return kernels


def keep_memory() -> None:
    """Let this process keep the memory it frees: the C library would return every large block to the system.

    A pass allocates hundreds of tensors of some megabytes. If their memory is returned, every page faults again on its
    next use, which costs more than the computation on it. If the C library is not glibc, nothing happens.
    """
    with suppress(AttributeError, OSError):
        allocator = ctypes.CDLL(None).mallopt
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1)):
            allocator(ctypes.c_int(parameter), ctypes.c_int(value))


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h
