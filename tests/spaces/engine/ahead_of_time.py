"""Compiles every Triton kernel, as the fast engine launches it, for GPUs that need not be here. Run as a script.

Arguments: compute capabilities (80, 90, …). With `--spaces`, the kernels of a step of their supernets, of 16 channels;
else those of the self-test. Prints a line of JSON: for each capability how many kernels of each name became machine
code. With `--table`, a table in Markdown (`docs/performance.md`): registers, spilled bytes, shared memory and seconds.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from types import SimpleNamespace
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)

import torch
import torch.nn.functional as F
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from spaces import get_space
from spaces.engine import self_test
from spaces.engine.triton_kernels import triton_kernels, triton_launch
from spaces.engine.triton_kernels.image_kernels import COLUMNS, COUNTS
from spaces.engine.ways import Way, using

Launch = tuple[str, tuple[Any, ...], dict[str, int], tuple[int, ...]]
"""A kernel's name, the values of its parameters, its options, and its grid."""

Variant = tuple[str, ASTSource, dict[str, int]]  # a kernel's name, source and options

SHOWN = ("ADDED", "MOMENTS", "SHARED", "PRECISION", "C")  # of a variant's constants, those that tell it from others

KERNELS = {name: kernel for name, kernel in vars(triton_launch.compiled()).items() if isinstance(kernel, JITFunction)}
POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int8: "*i8", torch.int32: "*i32", torch.int64: "*i64"}


def recorded(run: Callable[[], None]) -> list[Launch]:
    """The launches of a function, which are not run."""
    found: list[Launch] = []

    def recorder(name: str, kernel: JITFunction[Any]) -> Any:
        def launch(grid: tuple[int, ...], *arguments: object, **more: Any) -> None:
            options: dict[str, int] = {key: more.pop(key) for key in ("num_warps", "num_stages") if key in more}
            by_name = dict(zip(kernel.arg_names, arguments, strict=False)) | more
            found.append((name, tuple(by_name[parameter] for parameter in kernel.arg_names), options, grid))

        class Kernel:
            def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
                return partial(launch, grid)

        return Kernel()

    kernels = SimpleNamespace(**{name: recorder(name, kernel) for name, kernel in KERNELS.items()})
    triton_launch.compiled = lambda: kernels  # type: ignore[assignment]
    run()
    return found


def of_self_test() -> None:
    """All cases of the self-test."""
    for _, case in self_test.cases(torch.device("cpu"), torch.float32):
        case(triton_kernels)


def of_space(name: str, cells: int | None = None, batch: int = 2) -> None:
    """A weight step and an alpha step of a supernet; how many cells it has does not matter to its kernels."""
    space = get_space(name)
    net = space.supernet(16, cells or (1 if name == "nats-tss" else 3), classes=10)
    net.to(memory_format=torch.channels_last)
    alpha = {kind: table.requires_grad_() for kind, table in space.alpha(seed=0).items()}
    images, labels = torch.zeros(batch, 3, 32, 32), torch.arange(batch) % 10
    for leaves in (list(net.parameters()), list(alpha.values())):
        weights = {kind: a.softmax(-1) for kind, a in alpha.items()}
        with using(Way("fast", triton_kernels)):
            torch.autograd.grad(F.cross_entropy(net(images, weights), labels), leaves, allow_unused=True)


def source(name: str, values: Sequence[Any]) -> ASTSource:
    """The kernel for parameters of these types, specialised as Triton does: on 1, and on multiples of 16."""
    kernel = KERNELS[name]
    signature: dict[str, Any] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}

    def kind(value: Any, place: tuple[int, ...], *, constant: bool, free: bool) -> Any:
        if isinstance(value, tuple):
            return tuple(kind(each, (*place, n), constant=False, free=free) for n, each in enumerate(value))
        if constant or value is None or (type(value) is int and value == 1 and not free):
            constants[place] = value
            return "constexpr"
        if not free and (value.data_ptr() if isinstance(value, torch.Tensor) else value) % 16 == 0:
            attributes[place] = [["tt.divisibility", 16]]
        return POINTERS[value.dtype] if isinstance(value, torch.Tensor) else "i32"

    for number, (parameter, value) in enumerate(zip(kernel.params, values, strict=True)):
        free = parameter.name in COUNTS or (parameter.name in COLUMNS and isinstance(values[number], torch.Tensor))
        signature[parameter.name] = kind(value, (number,), constant=parameter.is_constexpr, free=free)
    return ASTSource(kernel, signature, constants, attributes)


def variants(launches: Iterable[Launch]) -> list[Variant]:
    """The different kernels among launches."""
    made = [(name, source(name, values), options) for name, values, options, _ in launches]
    return list({(each.hash(), *options.items()): (name, each, options) for name, each, options in made}.values())


def compiled(variant: Variant, capability: int) -> tuple[Any, float]:
    """A kernel's machine code, and the seconds that it took."""
    _, each, options = variant
    start = perf_counter()
    binary = triton.compile(each, target=GPUTarget("cuda", capability, 32), options=options)
    assert f".target sm_{capability}" in binary.asm["ptx"]
    return binary, perf_counter() - start


def described(variant: Variant, binary: Any, seconds: float) -> dict[str, Any]:
    """What is in the table: seconds, registers and spilled bytes a thread, shared memory in bytes."""
    name, each, _ = variant
    with TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(binary.asm["cubin"])
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        usage = subprocess.run([tool, "--dump-resource-usage", path], capture_output=True, text=True, check=True).stdout
    registers, stack = (int(re.search(rf"{what}:(\d+)", usage).group(1)) for what in ("REG", "STACK"))  # type: ignore[union-attr]
    constants = {kernel: each.constants.get((number,)) for number, kernel in enumerate(KERNELS[name].arg_names)}
    return {
        "kernel": name,
        "flags": {key: value for key, value in constants.items() if key.isupper() and value is not None},
        "seconds": round(seconds, 2),
        "registers": registers,
        "spilled": stack,
        "shared": binary.metadata.shared,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("capabilities", nargs="+", type=int)
    parser.add_argument("--spaces", nargs="+", default=[])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--products", default="tf32x3", choices=["tf32x3", "ieee"])
    asked = parser.parse_args()
    triton_launch.set_fp32_products(asked.products)
    launches = {name: recorded(partial(of_space, name)) for name in asked.spaces} or {"": recorded(of_self_test)}
    kernels = variants(chain.from_iterable(launches.values()))
    found = {}
    for capability in asked.capabilities:
        start = perf_counter()
        with ThreadPoolExecutor(asked.threads) as pool:
            made = list(pool.map(partial(compiled, capability=capability), kernels))
        seconds = perf_counter() - start
        found[capability] = [described(each, *of) for each, of in zip(kernels, made, strict=True)]
        print(f"sm_{capability}: {len(kernels)} kernels in {seconds:.1f} s", file=sys.stderr)
    if not asked.table:
        print(json.dumps({c: Counter(each["kernel"] for each in rows) for c, rows in found.items()}))
        return
    of_space_words = [f"`{name}` {len(variants(each))}" for name, each in launches.items()]
    print(f"Variants: {', '.join(of_space_words)}.\n")
    print("| kernel | for |", " | ".join(f"sm_{capability}" for capability in found), "|")
    print("| --- | --- |" + " --- |" * len(found))
    for row in sorted(zip(*found.values(), strict=True), key=lambda row: (row[0]["kernel"], str(row[0]["flags"]))):
        flags = " ".join(f"{key}={value}" for key, value in row[0]["flags"].items() if key in SHOWN)
        cells = [" / ".join(str(each[key]) for key in ("registers", "spilled", "shared", "seconds")) for each in row]
        print("|", " | ".join([f"`{row[0]['kernel']}`", flags, *cells]), "|")


if __name__ == "__main__":
    with TemporaryDirectory() as fresh:  # nothing is read from Triton's cache: it is compiled
        os.environ["TRITON_CACHE_DIR"] = fresh
        main()
