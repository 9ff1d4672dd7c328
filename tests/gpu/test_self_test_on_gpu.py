"""Every way of computing on the GPU, in every precision: each piece and every network, against float64 on the CPU."""

import pytest
import torch

from spaces.cells.precision import Precision
from spaces.engine import kernel_choice, trust
from spaces.engine.self_test.checks import checks
from spaces.engine.self_test.kernel_checks import compared
from spaces.engine.self_test.whole_nets import ACCURACY
from spaces.engine.triton_kernels import triton_kernels
from spaces.engine.ways import REFERENCE, Way, ways

PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16")
CASES = [(precision, way) for precision in PRECISIONS for way in ways("cuda", precision)]


@pytest.mark.parametrize(("precision", "way"), CASES, ids=str)
def test_everything_is_right(gpu: torch.device, precision: Precision, way: Way) -> None:
    if reason := kernel_choice.obstacle(way, gpu, torch.float32, 16):
        pytest.skip(reason)
    wrong = [finding for finding in checks(way, gpu, precision) if not finding.right]
    trust.conclude(way, gpu, precision, wrong)
    assert not [finding.words for finding in wrong if finding.what != ACCURACY]
    if wrong:
        pytest.skip(f"not used: {wrong[0].words}")


def test_the_outcome_is_kept(gpu: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trust.why_not(REFERENCE, gpu, "fp32") == ""
    kernel_choice.forget()
    monkeypatch.setattr(trust, "checks", None)
    assert trust.why_not(REFERENCE, gpu, "fp32") == ""


def test_triton_kernels_in_float64(gpu: torch.device) -> None:
    if reason := triton_kernels.obstacle("cuda", torch.float64, 16):
        pytest.skip(reason)
    for name, results, exact in compared(triton_kernels, gpu, torch.float64):
        for found, expected in zip(results, exact, strict=True):
            apart = float((found.cpu().double() - expected).abs().max())
            assert apart <= 1e-12 * float(expected.abs().max()), name
