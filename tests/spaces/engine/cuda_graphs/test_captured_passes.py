"""Passes from graphs give the same bits as eager passes."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.operations import frozen_statistics
from spaces.cells.precision import allow_tf32
from spaces.common.streams import generator
from spaces.engine.cuda_graphs.dispatch import WARM_UP
from suite.environment import make_deterministic

FIRST = [("nats-tss", {"affine": True, "node_norm": True}, "fast"), ("nats-tss", {"batch_norm": "batch"}, "reference")]
MORE = [
    ("nats-tss", {"affine": True, "node_norm": True}, "reference"),
    ("nats-tss", {"batch_norm": "batch"}, "fast"),
    *(("darts", {}, engine) for engine in ("fast", "reference")),
    *(("s3", {"affine": True}, engine) for engine in ("fast", "reference")),
]


@pytest.mark.parametrize(
    ("space", "options", "engine"), [*FIRST, *(pytest.param(*each, marks=pytest.mark.slow) for each in MORE)], ids=str
)
def test_steps_are_the_same_from_graphs(both_ways: Any, space: str, options: dict[str, Any], engine: str) -> None:
    """The backward passes are replayed one use later than the two forward passes."""
    both = both_ways(space, engine=engine, **options)
    assert both.same(both.step()) == 2 * (4 + 3)
    assert both.same(both.step(1), times=2) == 2 * 4  # other images and weights
    assert len(both.recorder.tapes) == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_a_gpus_own_graphs(both_ways: Any, space: str) -> None:
    make_deterministic(torch.get_num_threads())
    both = both_ways(space, "cuda")
    both.same(both.step())
    assert all(kind.graph and kind.graph.backward_graphs for kind in both.graphs._kinds.values())


def test_a_replay_overwrites_nothing_that_it_returned(both_ways: Any) -> None:
    """Logits and gradients of one pass stay as they are when the graph is replayed."""
    both = both_ways()
    both.same(both.step())
    (_, compute), (images, labels), alpha = both.each()[1], both.batch(), both.alpha()
    parameters = list(both.nets[1].parameters())
    fixed = {kind: a.detach() for kind, a in alpha.items()}

    def pass_on(x: Tensor) -> list[Tensor]:
        logits = compute(x, fixed)
        return [logits, *torch.autograd.grad(F.cross_entropy(logits, labels), parameters)]

    held = pass_on(images)
    copies = [x.clone() for x in held]
    played = both.recorder.replays
    pass_on(images * 2)
    assert both.recorder.replays == played + 2
    assert all(torch.equal(one, other) for one, other in zip(held, copies, strict=True))


def test_gradients_at_other_parameters_are_the_same(both_ways: Any) -> None:
    """The passes of a finite difference: gradients for other parameters, at them, and where only some are other."""
    both = both_ways("s1")
    alpha, (images, labels) = both.alpha(), both.batch()

    def passes(net: Any, compute: Any) -> list[Tensor]:
        own = dict(net.named_parameters())
        moved = {name: w * 1.01 for name, w in own.items()}
        weights = {kind: a.softmax(-1) for kind, a in alpha.items()}
        found = []
        for given, leaves in (
            (moved, [*alpha.values(), *moved.values()]),
            ({name: w.detach() for name, w in moved.items()}, list(alpha.values())),
            ({name: moved[name] for name in list(moved)[:3]}, [next(iter(alpha.values()))]),
        ):
            with frozen_statistics(net):
                loss = F.cross_entropy(compute(images, weights, given), labels)
            found += torch.autograd.grad(loss, leaves, retain_graph=True)
        return found

    assert both.same(passes) > 8


def test_gradients_for_each_cells_table_and_for_parameters_are_the_same(both_ways: Any) -> None:
    """Λ-DARTS has a table for each cell. Also with fixed tables, where the loss depends on only some parameters."""
    both = both_ways("nats-tss")
    (images, labels), table = both.batch(), both.alpha()["cell"].detach().repeat(3, 1, 1).requires_grad_()

    def passes(net: Any, compute: Any) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, {"cell": table}), labels)
        return list(torch.autograd.grad(loss, [table, *net.parameters()]))

    assert both.same(passes)
    zeros = table.detach() * 0  # known on the host
    zeros[:, :, 1] = 1.0

    def of_some(net: Any, compute: Any) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, {"cell": zeros}), labels)
        found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
        assert any(g is None for g in found)
        return [g for g in found if g is not None]

    assert both.same(of_some)


def test_evaluations_of_several_architectures_are_the_same(both_ways: Any) -> None:
    """Without gradients, with running statistics; each architecture has graphs of its own."""
    both = both_ways()
    both.same(both.step(), times=1)
    genotypes = [both.space.encode(both.space.random(generator(number, "genotype"))) for number in range(3)]

    def passes(net: Any, compute: Any) -> list[Tensor]:
        net.eval()
        with torch.no_grad():
            return [compute(both.batch(0, size)[0], weights) for weights in genotypes for size in (2, 3)]

    assert both.same(passes, times=WARM_UP + 2) == 2 * 6


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_an_auxiliary_weight_may_change_from_pass_to_pass(both_ways: Any, engine: str) -> None:
    """DARTS- changes it with every step. A pass with weight zero does not compute the skip-connections."""
    both = both_ways(auxiliary_skip=True, engine=engine)
    passes, replays = both.step(), 0
    for number in range(6):
        for net in both.nets:
            net.auxiliary_weight = 1 - number / 10
        replays += both.same(passes, times=1)
    assert replays == 2 * (4 + 3)
    for net in both.nets:
        net.auxiliary_weight = 0.0
    assert both.same(passes, times=WARM_UP + 2) == 2 * (2 + 1)


def test_engine_and_precision_may_change_between_passes(both_ways: Any) -> None:
    both = both_ways()
    for engine, precision in (("fast", "fp32"), ("reference", "fp32"), ("fast", "bf16"), ("fast", "fp32")):
        for net in both.nets:
            net.engine, net.precision = engine, precision  # type: ignore[assignment]
        both.same(both.step(), times=WARM_UP + 2)


@pytest.mark.usefixtures("products_in_fp32")
def test_a_graph_is_not_used_where_products_are_rounded_otherwise(both_ways: Any) -> None:
    both = both_ways()
    both.same(both.step())
    made = len(both.recorder.tapes)
    allow_tf32(True)
    both.same(both.step())
    assert len(both.recorder.tapes) == 2 * made
