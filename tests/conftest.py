"""What all tests share: one thread, published architectures, and options.

`--engine reference` runs them all on the plain construction; `--update-golden "why"` renews known numbers, and
`--add-golden "why"` adds those of a new method.
"""

from collections.abc import Iterator

import pytest
import torch

from spaces.cells.mixed_cell import ByReference, MixedCell
from spaces.cells.precision import CONVOLUTIONS, PRODUCTS, allow_tf32

torch.set_num_threads(1)

PUBLISHED = {
    # Liu et al., "DARTS" (ICLR 2019), first and second order.
    "DARTS_V1": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1), "
        "('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)], "
        "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    "DARTS_V2": (
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
        "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
        "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
        "reduce_concat=[2, 3, 4, 5])"
    ),
    # Xu et al., "PC-DARTS" (ICLR 2020), the architecture found on CIFAR-10.
    "PC_DARTS_cifar": (
        "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), "
        "('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], "
        "normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), "
        "('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)], "
        "reduce_concat=range(2, 6))"
    ),
    # Chen et al., "Progressive DARTS" (ICCV 2019).
    "PDARTS": (
        "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)], "
        "normal_concat=range(2, 6), reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), "
        "('dil_conv_5x5', 2), ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)], "
        "reduce_concat=range(2, 6))"
    ),
}


@pytest.fixture(scope="session")
def published() -> dict[str, str]:
    return PUBLISHED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=["fast", "reference"], default="fast", help="what computes supernets")
    parser.addoption("--update-golden", metavar="WHY", help="renew the known numbers that moved, and keep this reason")
    parser.addoption("--add-golden", metavar="WHY", help="add the known numbers that are new, and keep this reason")


def pytest_configure(config: pytest.Config) -> None:
    reasons = {flag: config.getoption(flag) for flag in ("--update-golden", "--add-golden")}
    for flag, reason in reasons.items():
        if reason is not None and not reason.strip():
            raise pytest.UsageError(f'{flag} wants the reason, which the file keeps: {flag} "why"')
    if None not in reasons.values():
        raise pytest.UsageError("--update-golden renews what moved and adds what is new: leave --add-golden out")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was renewed, which no failure shows."""
    for report in terminalreporter.getreports("passed"):
        for name, said in report.user_properties:
            if name == "renewed":
                terminalreporter.section("known numbers renewed")
                terminalreporter.write_line(said)


@pytest.fixture
def products_in_fp32() -> Iterator[None]:
    """Torch's switches for TF32 are off, and are put back afterwards."""
    before = CONVOLUTIONS.fp32_precision, PRODUCTS.fp32_precision
    allow_tf32(False)
    yield
    CONVOLUTIONS.fp32_precision, PRODUCTS.fp32_precision = before


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the fast engine itself keep it, and those whose processes would not all have the other."""
    kept = "engine" in request.path.parts or "own_engine" in request.keywords
    if request.config.getoption("--engine") == "reference" and not kept:
        monkeypatch.setattr(MixedCell, "mix", lambda cell, inputs, weights: ByReference(cell)(inputs, weights))
