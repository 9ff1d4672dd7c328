"""How the kernels get compiled, and what happens where they cannot be: each in a process of its own."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from spaces.engine.cpp_kernels import cpp_kernels

PASS = """
import json, torch
from spaces import get_space
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernel_choice import kernels_for
torch.set_num_threads({threads})
torch.manual_seed(0)
space = get_space("nats-tss")
net = space.supernet(channels=4, cells=1, classes=3, in_channels=1).double()
table = torch.rand(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
images = torch.randn(4, 1, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
logits = net(images, {{"cell": table}})
logits.square().sum().backward()
found = cpp_kernels.library()
kernels = kernels_for(torch.zeros(1, 1, 1, 4)).NAME
print(json.dumps([kernels, found if isinstance(found, str) else "", table.grad.tolist()]))
"""

needs_compiler = pytest.mark.skipif(isinstance(cpp_kernels.library(), str), reason=str(cpp_kernels.library()))


def passed(cache: Path, threads: int = 1, **environment: str) -> tuple[str, str, Any]:
    """The family of kernels that a new process uses, the reason for it, and the gradient that it finds."""
    ran = subprocess.run(
        [sys.executable, "-c", PASS.format(threads=threads)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    kernels, reason, gradient = json.loads(ran.stdout)
    return kernels, reason, gradient


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Any:
    kernels, reason, gradient = passed(tmp_path_factory.mktemp("portable"), DARTBOARD_KERNELS="portable")
    assert (kernels, reason) == ("plain torch", "DARTBOARD_KERNELS=portable")
    return gradient


def near(found: Any, expected: Any) -> bool:
    return all(a == pytest.approx(b, rel=1e-9, abs=1e-12) for a, b in zip(found, expected, strict=True))


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@needs_compiler
@pytest.mark.parametrize("size", [0, 10, 1000, 100_000])
def test_a_library_that_is_cut_short_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """And is not loaded, which would end the process with a bus error."""
    ready, compiled = Path(cpp_kernels.library()._name), []  # type: ignore[union-attr]

    def compile_anew(compiler: str, out: Path) -> None:
        compiled.append(out)
        out.write_bytes(ready.read_bytes())

    monkeypatch.setattr("spaces.engine.cpp_kernels.library._compile", compile_anew)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cut = tmp_path / "dartboard" / "kernels" / ready.name
    cut.parent.mkdir(parents=True)
    cut.write_bytes(ready.read_bytes()[:size])
    for _ in range(2):
        assert cpp_kernels.library.__wrapped__()._name == str(cut)
    assert compiled == [cut]


@pytest.mark.slow  # starts a process, as the others below do
def test_without_a_compiler(tmp_path: Path, expected: Any) -> None:
    kernels, reason, gradient = passed(tmp_path / "cache", CXX=str(tmp_path / "nothing"))
    assert (kernels, reason, gradient) == ("plain torch", "no C++ compiler", expected)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_with_a_compiler_that_fails(tmp_path: Path, expected: Any) -> None:
    compiler = script(tmp_path / "compiler", "echo 'in file x' >&2; echo 'x:3: error: no such thing' >&2; exit 1")
    kernels, reason, gradient = passed(tmp_path, CXX=compiler)
    assert (kernels, gradient) == ("plain torch", expected)
    assert reason == f"{compiler} failed: x:3: error: no such thing"


@pytest.mark.slow
def test_with_a_compiler_that_makes_no_library(tmp_path: Path, expected: Any) -> None:
    compiler = script(tmp_path / "compiler", 'for last; do :; done; echo nonsense > "$last"')
    for _ in range(2):
        kernels, reason, gradient = passed(tmp_path, CXX=compiler)
        assert (kernels, gradient) == ("plain torch", expected)
        assert reason.startswith(f"no compiled kernels at {tmp_path}")


@pytest.mark.slow
@needs_compiler
def test_where_the_cache_cannot_be_written(tmp_path: Path, expected: Any) -> None:
    (tmp_path / "file").write_text("")
    kernels, reason, gradient = passed(tmp_path / "file")
    assert (kernels, gradient) == ("plain torch", expected)
    assert reason.startswith(f"no compiled kernels at {tmp_path / 'file'}")
    assert reason.endswith("Not a directory")


@pytest.mark.slow
@needs_compiler
def test_two_processes_compile_at_once(tmp_path: Path, expected: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: passed(tmp_path), range(2)))
    for kernels, reason, gradient in outcomes:
        assert (kernels, reason) == ("C++", "")
        assert near(gradient, expected)
    (folder,) = tmp_path.glob("*/kernels")
    assert [path.suffix for path in folder.iterdir()] == [".so"]  # and nothing half done beside it


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("limit", [{"OMP_THREAD_LIMIT": "1"}, {"OMP_DYNAMIC": "true"}], ids=str)
def test_fewer_threads_than_were_asked_for(expected: Any, limit: dict[str, str]) -> None:
    """Nothing is left out where OpenMP's team is smaller than torch's number of threads."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    kernels, _, gradient = passed(cache, threads=3, **limit)
    assert kernels == "C++"
    assert near(gradient, expected)
