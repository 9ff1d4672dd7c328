"""NVIDIA's Multi-Process Service for workers on one GPU: under it their kernels overlap, without it they take turns.

A control daemon of one's own needs no privileges, only a folder of its own. A process finds it by the environment when
it first uses CUDA, and computes by the same kernels, so the bits are the same. https://docs.nvidia.com/deploy/mps
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from suite.plan import Plan

PROGRAM = "nvidia-cuda-mps-control"
PIPE, LOG = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
SECONDS = 30.0
"""How long each may take: the daemon's start, a first process on the GPU, the daemon's end."""

# Exit status 0 where a process gets a context on the GPU.
PROBE = """
import ctypes, sys
cuda, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_void_p()
sys.exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
"""

# Waits until the driver closes its end of the pipe, as even a kill does, and then ends the daemon.
GUARD = 'cat; echo quit | "$0"; rm -rf "$1"'


@contextmanager
def shared_gpu(plans: Sequence[Plan], jobs: int, say: Callable[[str], None]) -> Iterator[None]:
    """In this block new processes, `jobs` at a time for `plans`, share the GPU by MPS where that can be had.

    Where it cannot, `say` gets a line. Nothing happens where nothing shares a GPU, or where the environment names a
    daemon already.
    """
    workers = min(jobs, len(plans))
    configured = PIPE in os.environ or LOG in os.environ
    if workers < 2 or configured or all(plan.compute.device != "cuda" for plan in plans):
        yield
        return
    with _daemon() as (own, obstacle):
        if obstacle:
            say(f"no NVIDIA MPS ({obstacle}): {workers} workers take turns on the GPU, together no faster than one")
        os.environ.update({} if obstacle else own)
        try:
            yield
        finally:
            for name in own:
                os.environ.pop(name, None)


@contextmanager
def _daemon() -> Iterator[tuple[dict[str, str], str]]:
    """A daemon for this block: the variables by which processes find it, and why there is none, or ""."""
    program = shutil.which(PROGRAM)
    if program is None:
        yield {}, f"{PROGRAM} is not installed"
        return
    folder = Path(tempfile.mkdtemp(prefix="dartboard-mps-"))
    own = {PIPE: str(folder / "pipe"), LOG: str(folder / "log")}
    for place in own.values():
        Path(place).mkdir()
    guard = subprocess.Popen(
        ["sh", "-c", GUARD, program, str(folder)],
        env=os.environ | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal reaches the driver, which closes the pipe
    )
    assert guard.stdin is not None
    try:
        # The daemon would number the visible devices anew, and the workers would choose among these again.
        everything = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
        obstacle = _failure("it does not start", [program, "-d"], everything | own, folder / "said")
        obstacle = obstacle or _failure(
            "no process gets to the GPU by it", [sys.executable, "-c", PROBE], os.environ | own, folder / "said"
        )
        if obstacle:
            guard.stdin.close()
        yield own, obstacle
    finally:
        guard.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # it goes on waiting for the daemon alone
            guard.wait(SECONDS)


def _failure(what: str, command: Sequence[str], environment: Mapping[str, str], output: Path) -> str:
    """Run `command`: `what` went wrong and why, or "". A daemon may keep the output open, so that is a file."""
    with output.open("w+") as said:
        try:
            ended = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=SECONDS
            )
        except OSError as error:
            return f"{what}: {error.strerror}"
        except subprocess.TimeoutExpired:
            return f"{what} within {SECONDS:.0f} s"
        said.seek(0)
        words = [line.strip() for line in said if line.strip()]
    return "" if ended.returncode == 0 else f"{what}: {words[-1] if words else f'exit status {ended.returncode}'}"
