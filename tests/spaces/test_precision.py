"""TF32 is torch's matter: a supernet claims it only while torch's switches allow it, and says what they say."""

from typing import Any

import pytest
import torch

from spaces import get_space
from spaces.cells.precision import CONVOLUTIONS, PRODUCTS, allow_tf32, float32_products
from spaces.cells.supernet import Supernet

pytestmark = pytest.mark.usefixtures("products_in_fp32")


def supernet(**options: Any) -> Supernet:
    return get_space("nats-tss").supernet(channels=4, cells=1, classes=3, **options)


def test_a_supernet_does_not_claim_what_torch_does_not_do() -> None:
    net = supernet()
    for claim in (lambda: setattr(net, "precision", "tf32"), lambda: supernet(precision="tf32")):
        with pytest.raises(ValueError, match=r"allow_tf32\(True\) first"):
            claim()
    assert net.precision == "fp32"
    allow_tf32(True)
    net.precision = "tf32"
    assert (net.precision, supernet(precision="tf32").precision) == ("tf32", "tf32")


def test_words_follow_the_switches_on_a_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that a user set for convolutions or for matrix products alone, as torch's own default does."""
    net = supernet(engine="reference")
    allow_tf32(True)
    assert net.computed_by() == "reference, fp32"  # a CPU has no TF32
    monkeypatch.setattr(Supernet, "parameters", lambda net: iter([Claimed()]))
    assert net.computed_by() == "reference, tf32"
    CONVOLUTIONS.fp32_precision = "ieee"
    assert net.computed_by() == "reference, fp32, torch's matrix products in tf32"
    allow_tf32(False)
    assert net.computed_by() == "reference, fp32"
    CONVOLUTIONS.fp32_precision = "tf32"
    assert net.computed_by() == "reference, fp32, torch's convolutions in tf32"


class Claimed:
    """What `computed_by` asks of a parameter, on a GPU."""

    dtype, device = torch.float32, torch.device("cuda")


def test_both_switches_are_set() -> None:
    for allowed, word in ((True, "tf32"), (False, "ieee")):
        allow_tf32(allowed)
        assert {CONVOLUTIONS.fp32_precision, PRODUCTS.fp32_precision} == {word}
        assert float32_products() == ("tf32" if allowed else "fp32")
