"""Passes that no graph replaces: they run eagerly, or an error says why they cannot be captured."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.supernet import Supernet
from spaces.engine.cuda_graphs import NotCaptured, OtherBits
from spaces.engine.cuda_graphs.dispatch import WARM_UP


def test_passes_that_overlap_run_eagerly(both_ways: Any) -> None:
    """Two forward passes, then two backward passes: the second forward pass overwrites the values of the first."""
    both = both_ways()
    alpha, (images, labels) = both.alpha(), both.batch()
    weights = {kind: a.softmax(-1) for kind, a in alpha.items()}

    def passes(net: Any, compute: Any) -> list[Tensor]:
        losses = [F.cross_entropy(compute(x, weights), labels) for x in (images, images + 1)]
        return [g for loss in losses for g in torch.autograd.grad(loss, list(alpha.values()), retain_graph=True)]

    assert both.same(passes) == 2  # the two forward passes that show the overlap


def test_passes_whose_gradients_are_differentiated_run_eagerly(both_ways: Any) -> None:
    """Differentiated again, or computed in a batch: both are noticed before the pass is captured."""
    both = both_ways()
    alpha, (images, labels) = both.alpha(), both.batch()

    def twice(net: Any, compute: Any) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, alpha), labels)
        slope = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        return [loss, *torch.autograd.grad(sum(g.square().sum() for g in slope), list(alpha.values()))]

    def rows(net: Any, compute: Any) -> list[Tensor]:
        logits = compute(images, alpha).sum(0)
        return list(torch.autograd.grad(logits, list(alpha.values()), torch.eye(3), is_grads_batched=True))

    def once(net: Any, compute: Any) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, alpha), labels)
        return list(torch.autograd.grad(loss, list(alpha.values())))

    for passes in (twice, rows):
        assert both_ways().same(passes, times=WARM_UP + 2) == 0
        both = both_ways()
        assert both.same(once) > 4
        # A captured pass gives them too, the first time with sums in another order.
        expected, found = (passes(net, compute) for net, compute in both.each())
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        assert both.same(passes, times=2) == both.same(once, times=2) == 0


def test_passes_that_draw_random_numbers_run_eagerly(both_ways: Any) -> None:
    """The noise operation, and dropout while its rate is not zero."""
    both = both_ways("s4")
    weights = {kind: a.detach() for kind, a in both.alpha().items()}

    def passes(net: Any, compute: Any) -> list[Tensor]:
        net.random.reseed(0, "pass")
        return [compute(both.batch()[0], weights)]

    assert both.same(passes, times=WARM_UP + 2) == 0
    both = both_ways("s1")
    weights = {kind: a.detach() for kind, a in both.alpha().items()}
    for rate, replays in ((0.3, 0), (0.0, 4), (0.3, 0)):
        for net in both.nets:
            net.skip_dropout = rate
        assert both.same(passes) == replays


def test_gradients_in_eval_mode_run_eagerly(both_ways: Any) -> None:
    """The running statistics may move between the two passes."""
    both = both_ways()
    alpha, (images, labels) = both.alpha(), both.batch()

    def passes(net: Any, compute: Any) -> list[Tensor]:
        net.eval()
        loss = F.cross_entropy(compute(images, alpha), labels)
        return list(torch.autograd.grad(loss, list(alpha.values())))

    assert both.same(passes) == 0


@pytest.fixture
def not_capturable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass reads a value, which no capture allows."""
    usual = Supernet.weighed

    def reads(net: Supernet, tables: dict[str, Tensor], *rest: Any) -> Any:
        return usual(net, {kind: table * float(table.detach().max()) for kind, table in tables.items()}, *rest)

    monkeypatch.setattr(Supernet, "weighed", reads)


@pytest.mark.usefixtures("not_capturable")
def test_a_pass_that_cannot_be_captured_is_an_input_error_where_graphs_are_required(both_ways: Any) -> None:
    both = both_ways()
    with pytest.raises(NotCaptured) as caught:
        both.same(both.step())
    assert str(caught.value).startswith("CUDA graphs: a pass cannot be captured (operation not permitted")
    assert str(caught.value).endswith(": run with --no-graphs")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("not_capturable")
def test_a_pass_that_cannot_be_captured_runs_eagerly_where_they_are_not(both_ways: Any) -> None:
    """It is tried once, and told."""
    both = both_ways(required=False)
    assert both.graphs.in_words() == "CUDA graphs where passes allow"
    assert both.same(both.step()) == 0
    assert len(both.recorder.tapes) == 2
    why = "a pass cannot be captured (operation not permitted when stream is capturing)"
    assert both.graphs.in_words() == f"CUDA graphs where passes allow (not captured: {why})"


def test_a_gradient_that_cannot_be_captured_is_computed_eagerly(
    both_ways: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The forward pass was captured, and replayed once."""

    def refused(*_: Any) -> None:
        raise NotCaptured("a gradient waits")

    monkeypatch.setattr("spaces.engine.cuda_graphs.graph.BackwardGraph", refused)
    both = both_ways(required=False)
    assert both.same(both.step()) == 2
    assert both.graphs.in_words().endswith("(not captured: a gradient waits)")
    both = both_ways()
    with pytest.raises(NotCaptured, match="a gradient waits"):
        both.same(both.step())


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(("way", "captures"), [("forward", 1), ("backward", 3)])
def test_a_graph_that_gives_other_bits_is_not_used(
    both_ways: Any, tape: Any, monkeypatch: pytest.MonkeyPatch, way: str, captures: int, required: bool
) -> None:
    """A kernel may be missing from a capture, or may add in another order within a graph."""
    both = both_ways(required=required)
    usual = tape.__call__

    def forgetful(self: Any, run: Callable[[], None]) -> Callable[[], None]:
        replay = usual(self, run)
        if len(both.recorder.tapes) == captures:
            products = [n for n, (func, *_) in enumerate(self.done) if "mm" in func.overloadpacket.__name__]
            self.done.pop(products[-1])
        return replay

    monkeypatch.setattr(tape, "__call__", forgetful)
    with pytest.raises(OtherBits, match=f"CUDA graphs: a {way} pass gives other bits from a graph"):
        both.same(both.step())
