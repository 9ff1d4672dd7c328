"""Compiles every Triton kernel, as the fast engine launches it, for GPUs that need not be here. Run as a script.

Arguments: compute capabilities (80, 90, …). Prints a line of JSON: for each capability how many kernels of each name
became machine code.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

os.environ.pop("TRITON_INTERPRET", None)

import torch
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from spaces.engine import self_test
from spaces.engine.triton_kernels import triton_kernels, triton_launch

Launch = tuple[str, tuple[Any, ...]]  # a kernel's name, the values of its parameters

KERNELS = {name: kernel for name, kernel in vars(triton_launch.compiled()).items() if isinstance(kernel, JITFunction)}
POINTERS = {torch.float32: "*fp32", torch.float64: "*fp64", torch.int8: "*i8"}


def launches(dtype: torch.dtype) -> list[Launch]:
    """The launches of all cases of the self-test, recorded and not run."""
    found: list[Launch] = []

    def recorder(name: str, kernel: JITFunction[Any]) -> Any:
        def launch(*arguments: object, **more: object) -> None:
            by_name = dict(zip(kernel.arg_names, arguments, strict=False)) | more
            found.append((name, tuple(by_name[parameter] for parameter in kernel.arg_names)))

        class Kernel:
            def __getitem__(self, grid: object) -> Callable[..., None]:
                return launch

        return Kernel()

    recorded = SimpleNamespace(**{name: recorder(name, kernel) for name, kernel in KERNELS.items()})
    triton_launch.compiled = lambda: recorded  # type: ignore[assignment]
    for _, case in self_test.cases(torch.device("cpu"), dtype):
        case(triton_kernels)
    return found


def source(name: str, values: Sequence[Any]) -> ASTSource:
    """The kernel for parameters of these types, specialised as Triton does: on 1, and on multiples of 16."""
    kernel = KERNELS[name]
    signature: dict[str, Any] = {}
    constants: dict[tuple[int, ...], Any] = {}
    attributes: dict[tuple[int, ...], Any] = {}

    def kind(value: Any, place: tuple[int, ...], *, constant: bool) -> Any:
        if isinstance(value, tuple):
            return tuple(kind(each, (*place, number), constant=False) for number, each in enumerate(value))
        if constant or value is None or (type(value) is int and value == 1):
            constants[place] = value
            return "constexpr"
        if isinstance(value, torch.Tensor) or value % 16 == 0:
            attributes[place] = [["tt.divisibility", 16]]
        return POINTERS[value.dtype] if isinstance(value, torch.Tensor) else "i32"

    for number, (parameter, value) in enumerate(zip(kernel.params, values, strict=True)):
        signature[parameter.name] = kind(value, (number,), constant=parameter.is_constexpr)
    return ASTSource(kernel, signature, constants, attributes)


def main() -> None:
    targets = [GPUTarget("cuda", int(capability), 32) for capability in sys.argv[1:]]
    made: dict[str, Counter[str]] = {str(target.arch): Counter() for target in targets}
    sources = [(name, source(name, values)) for name, values in launches(torch.float32)]
    for name, each in {each.hash(): (name, each) for name, each in sources}.values():
        for target in targets:
            binary = compile_kernel(each, target=target)
            assert f".target sm_{target.arch}" in binary.asm["ptx"]
            assert len(binary.asm["cubin"]) > 1000
            made[str(target.arch)][name] += 1
    print(json.dumps(made))


if __name__ == "__main__":
    main()
