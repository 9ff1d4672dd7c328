"""CUDA graphs without a GPU: a `Tape` of torch's operations stands in for the recording of a GPU's kernels.

Like a graph it does in every replay what was done while it was recorded, with the same tensors, whatever Python would
decide by then; and what a GPU could not capture (reading a value, drawing, copying from the host) it refuses.
"""

import gc
from collections.abc import Callable
from copy import deepcopy
from typing import Any
from weakref import ref

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import _unsafe_preserve_version_counter as uncounted
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from methods import Search, get_method
from methods.search.settings import resolve
from spaces import get_space
from spaces.cells.mixed_cell import MixedCell
from spaces.cells.operations import frozen_statistics
from spaces.cells.supernet import Supernet
from spaces.common.streams import generator
from spaces.engine import fused_cell, torch_kernels
from spaces.engine.cuda_graphs import KEPT, WARM_UP, Graph, Graphs, NotCaptured, eager
from spaces.engine.fast_engine import KEPT_PLANS
from suite.data.sets import Augment, Loader
from suite.environment import make_deterministic

REFUSED = {"_local_scalar_dense", "nonzero", "equal", "lift_fresh", "bernoulli", "normal", "rand", "randn", "uniform_"}


class Tape(TorchDispatchMode):
    """Records operations and does them again."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Any, Any, Any]] = []
        self.made: dict[int, Tensor] = {}  # by its address, the recording's own memory
        self.before: dict[int, tuple[Tensor, Tensor]] = {}  # other memory, and what it held

    def __call__(self, run: Callable[[], None]) -> Callable[[], None]:
        with self:
            run()
        # On a GPU nothing has been computed yet.
        for tensor, value in self.before.values():
            fill(tensor, value)
        for tensor in self.made.values():
            fill(tensor, torch.full_like(tensor, torch.nan if tensor.is_floating_point() else -1))
        return self.replay

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in REFUSED:
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
        kwargs = kwargs or {}
        given = {address(x): x for x in tensors((args, kwargs))}
        for place in given.keys() - self.made.keys() - self.before.keys():
            whole = given[place].new_empty(0).set_(given[place].untyped_storage())  # type: ignore[call-overload]
            self.before[place] = whole, whole.clone()
        out = func(*args, **kwargs)
        self.made |= {address(x): x for x in tensors(out) if address(x) not in given.keys() | self.made.keys()}
        self.done.append((func, args, kwargs, out))
        return out

    def replay(self) -> None:
        with torch.no_grad():
            for func, args, kwargs, out in self.done:
                with uncounted(tuple(tensors((args, kwargs)))):
                    again = func(*args, **kwargs)
                for tensor, value in zip(tensors(out), tensors(again), strict=True):
                    if address(tensor) != address(value):
                        fill(tensor, value)


def tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def address(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()


def fill(tensor: Tensor, value: Tensor) -> None:
    """Write as a GPU does: autograd learns nothing of it."""
    with torch.no_grad(), uncounted(tensor):
        tensor.copy_(value)


class Recorder:
    """Makes tapes, and knows how often they were played."""

    def __init__(self) -> None:
        self.tapes: list[Tape] = []
        self.played = 0

    def __call__(self) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def capture(run: Callable[[], None]) -> Callable[[], None]:
            tape = Tape()
            self.tapes.append(tape)
            replay = tape(run)

            def play() -> None:
                self.played += 1
                replay()

            return play

        return capture


@pytest.fixture(autouse=True)
def portable_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain torch: a tape does not hear what kernels in C++ do."""
    monkeypatch.setattr(fused_cell, "kernels_for", lambda x: torch_kernels)


class Both:
    """One supernet twice: passes as ever, and from graphs."""

    def __init__(self, space: str = "nats-tss", device: str = "cpu", **options: Any) -> None:
        self.space = get_space(space)
        self.nets = []
        for _ in range(2):
            torch.manual_seed(0)
            net = self.space.supernet(4, 1 if space == "nats-tss" else 3, classes=3, **options)
            self.nets.append(net.to(device))
        self.recorder = Recorder()
        self.graphs = Graphs(self.nets[1], self.recorder) if device == "cpu" else Graphs(self.nets[1])

    def each(self) -> list[tuple[Supernet, Callable[..., Tensor]]]:
        def as_ever(*given: Any) -> Tensor:
            return eager(self.nets[0], *given)

        return [(self.nets[0], as_ever), (self.nets[1], self.graphs)]

    def same(self, take: Callable[[Supernet, Callable[..., Tensor]], list[Tensor]], times: int = WARM_UP + 4) -> int:
        """Takes the same passes both ways, so often; the results and the buffers are equal. Tells how many replays."""
        before = self.recorder.played
        for _ in range(times):
            expected, found = (take(net, compute) for net, compute in self.each())
            for one, other in zip(found, expected, strict=True):
                assert one.stride() == other.stride()
                assert torch.equal(one, other)
            for one, other in zip(*(net.buffers() for net in self.nets), strict=True):
                assert torch.equal(one, other)
        return self.recorder.played - before


def batch(number: int = 0, size: int = 2) -> tuple[Tensor, Tensor]:
    return torch.randn(size, 3, 8, 8, generator=generator(number, "images")), torch.arange(size) % 3


def softmax(both: Both, number: int = 0) -> dict[str, Tensor]:
    return {
        kind: torch.randn(alpha.shape, generator=generator(number, "alpha", kind)).requires_grad_()
        for kind, alpha in both.space.alpha(seed=0).items()
    }


def step(both: Both, number: int = 0, device: str = "cpu") -> Callable[[Supernet, Callable[..., Tensor]], list[Tensor]]:
    """A weight step, in place and with moving statistics, and alpha's gradient with frozen ones."""
    alpha = {kind: a.detach().to(device).requires_grad_() for kind, a in softmax(both, number).items()}
    images, labels = (x.to(device) for x in batch(number))

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        fixed = {kind: a.detach().softmax(-1) for kind, a in alpha.items()}
        logits = compute(images, fixed)
        found = torch.autograd.grad(F.cross_entropy(logits, labels), list(net.parameters()))
        with torch.no_grad():
            torch._foreach_add_(list(net.parameters()), list(found), alpha=-0.1)
        with frozen_statistics(net):
            loss = F.cross_entropy(compute(images + 1, {k: a.softmax(-1) for k, a in alpha.items()}), labels)
        return [logits, *found, loss, *torch.autograd.grad(loss, list(alpha.values()))]

    return take


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize(
    ("space", "options"),
    [
        ("nats-tss", {"affine": True, "node_norm": True}),
        ("nats-tss", {"batch_norm": "batch"}),
        pytest.param("darts", {}, marks=pytest.mark.slow),
        pytest.param("s3", {"affine": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_steps_are_the_same_from_graphs(space: str, options: dict[str, Any], engine: str) -> None:
    """Replays: forward of two passes, and, one use later, back."""
    both = Both(space, engine=engine, **options)
    assert both.same(step(both)) == 2 * (4 + 3)
    assert both.same(step(both, 1)) == 2 * 12  # other images and weights
    assert len(both.recorder.tapes) == 4


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("space", ["nats-tss", "darts"])
def test_a_gpus_own_graphs(space: str) -> None:
    make_deterministic(torch.get_num_threads())
    both = Both(space, "cuda")
    both.same(step(both, device="cuda"))
    assert all(known.graph and known.graph.ways for known in both.graphs._known.values())


def test_what_was_given_out_is_never_overwritten() -> None:
    """Logits and gradients of one pass stay as they are when the graph is replayed."""
    both = Both()
    both.same(step(both))
    (_, compute), (images, labels), alpha = both.each()[1], batch(), softmax(both)
    parameters = list(both.nets[1].parameters())
    fixed = {kind: a.detach() for kind, a in alpha.items()}

    def pass_on(x: Tensor) -> list[Tensor]:
        logits = compute(x, fixed)
        return [logits, *torch.autograd.grad(F.cross_entropy(logits, labels), parameters)]

    held = pass_on(images)
    copies = [x.clone() for x in held]
    played = both.recorder.played
    pass_on(images * 2)
    assert both.recorder.played == played + 2
    assert all(torch.equal(one, other) for one, other in zip(held, copies, strict=True))


def test_other_parameters() -> None:
    """Of a finite difference: a gradient at them, for them, for some of the tables alone; where only some are other."""
    both = Both("s1")
    alpha, (images, labels) = softmax(both), batch()

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
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

    assert both.same(take) > 8


def test_each_layers_weights_and_those_of_the_net_at_once() -> None:
    """As Λ-DARTS asks for them: tables a cell, some of them fixed; where nothing depends on a leaf, None."""
    both = Both("nats-tss")
    (images, labels), table = batch(), softmax(both)["cell"].detach().repeat(3, 1, 1).requires_grad_()

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, {"cell": table}), labels)
        return list(torch.autograd.grad(loss, [table, *net.parameters()]))

    assert both.same(take)
    zeros = table.detach() * 0  # known on the host
    zeros[:, :, 1] = 1.0

    def hardly(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, {"cell": zeros}), labels)
        found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
        assert any(g is None for g in found)
        return [g for g in found if g is not None]

    assert both.same(hardly)


def test_evaluation_and_what_is_known_to_be_zero() -> None:
    """Without gradients, with running statistics; architectures in turn, each its own graph."""
    both = Both()
    both.same(step(both), times=1)
    genotypes = [both.space.encode(both.space.random(generator(number, "genotype"))) for number in range(3)]

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        net.eval()
        with torch.no_grad():
            return [compute(batch(0, size)[0], weights) for weights in genotypes for size in (2, 3)]

    assert both.same(take, times=WARM_UP + 2) == 2 * 6


def test_passes_that_overlap_are_taken_as_ever() -> None:
    """Two forward passes, then two back: the first's values have been overwritten."""
    both = Both()
    alpha, (images, labels) = softmax(both), batch()
    weights = {kind: a.softmax(-1) for kind, a in alpha.items()}

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        losses = [F.cross_entropy(compute(x, weights), labels) for x in (images, images + 1)]
        return [g for loss in losses for g in torch.autograd.grad(loss, list(alpha.values()), retain_graph=True)]

    assert both.same(take) == 2  # as many as it takes to see it


def test_gradients_that_are_differentiated() -> None:
    """Once more, or in a batch: such passes are known before they would be captured."""
    alpha, (images, labels) = softmax(Both()), batch()

    def twice(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, alpha), labels)
        slope = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
        return [loss, *torch.autograd.grad(sum(g.square().sum() for g in slope), list(alpha.values()))]

    def rows(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        logits = compute(images, alpha).sum(0)
        return list(torch.autograd.grad(logits, list(alpha.values()), torch.eye(3), is_grads_batched=True))

    def once(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        loss = F.cross_entropy(compute(images, alpha), labels)
        return list(torch.autograd.grad(loss, list(alpha.values())))

    for take in (twice, rows):
        assert Both().same(take) == 0
        both = Both()
        assert both.same(once) > 4
        # A pass that was captured gives them too; its sums are taken in another order, once.
        expected, found = (take(net, compute) for net, compute in both.each())
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
        assert both.same(take) == both.same(once) == 0


def test_passes_that_draw_are_taken_as_ever() -> None:
    """Noise, and dropout while there is any."""
    both = Both("s4")
    weights = {kind: a.detach() for kind, a in softmax(both).items()}

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        net.random.reseed(0, "pass")
        return [compute(batch()[0], weights)]

    assert both.same(take) == 0
    both = Both("s1")
    weights = {kind: a.detach() for kind, a in softmax(both).items()}
    for rate, replays in ((0.3, 0), (0.0, 4), (0.3, 0)):
        for net in both.nets:
            net.skip_dropout = rate
        assert both.same(take) == replays


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_an_auxiliary_weight_may_change_from_pass_to_pass(engine: str) -> None:
    """As that of DARTS- does; where it is zero nothing is computed, which is another pass."""
    both = Both(auxiliary_skip=True, engine=engine)
    take, replays = step(both), 0
    for number in range(8):
        for net in both.nets:
            net.auxiliary_weight = 1 - number / 10
        replays += both.same(take, times=1)
    assert replays == 2 * (6 + 5)
    for net in both.nets:
        net.auxiliary_weight = 0.0
    assert both.same(take) == 2 * (4 + 3)


def test_gradients_of_an_evaluation_are_taken_as_ever() -> None:
    """They are another pass's where the running statistics have moved since."""
    both = Both()
    alpha, (images, labels) = softmax(both), batch()

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        net.eval()
        loss = F.cross_entropy(compute(images, alpha), labels)
        return list(torch.autograd.grad(loss, list(alpha.values())))

    assert both.same(take) == 0


def test_what_a_net_computes_by_may_change() -> None:
    both = Both()
    for engine, precision in (("fast", "fp32"), ("reference", "fp32"), ("fast", "bf16"), ("fast", "fp32")):
        for net in both.nets:
            net.engine, net.precision = engine, precision  # type: ignore[assignment]
        both.same(step(both), times=WARM_UP + 2)


def test_more_architectures_than_a_cell_keeps_plans() -> None:
    """Beside batches that are smaller than the others: what a graph reads lives as long as the graph."""
    both = Both()
    many = [both.space.encode(both.space.random(generator(number, "genotype"))) for number in range(KEPT_PLANS + 2)]
    for weights in many:

        def take(net: Supernet, compute: Callable[..., Tensor], weights: Any = weights) -> list[Tensor]:
            with torch.no_grad():
                return [compute(batch(0, size)[0], weights) for size in (3, 3, 3, 2)]

        both.same(take, times=2)
    cells = [module for module in both.nets[1].modules() if isinstance(module, MixedCell)]
    oldest, *_ = kept(both)
    assert len(oldest.plans) > len(cells)
    assert not {id(plan) for plan in oldest.plans} & {id(plan) for cell in cells for plan in cell.plans}


def kept(both: Both) -> list[Graph]:
    return [known.graph for known in both.graphs._known.values() if known.graph]


def test_graphs_that_are_not_kept_give_their_memory_back() -> None:
    """At once: no collector has to come by."""
    both = Both()
    gc.disable()
    try:
        seen = []
        for number in range(KEPT + 4):
            weights = both.space.encode(both.space.random(generator(number, "genotype")))

            def take(net: Supernet, compute: Callable[..., Tensor], weights: Any = weights) -> list[Tensor]:
                loss = F.cross_entropy(compute(batch()[0], weights), batch()[1])
                found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
                return [g for g in found if g is not None]

            both.same(take)
            seen += [ref(graph) for graph in kept(both)[-1:]]
        assert len({id(graph()) for graph in seen if graph() is not None}) == len(kept(both)) == KEPT
    finally:
        gc.enable()


def test_as_many_graphs_as_are_kept() -> None:
    both = Both()
    weights = {kind: a.detach() for kind, a in softmax(both).items()}

    def take(net: Supernet, compute: Callable[..., Tensor]) -> list[Tensor]:
        with torch.no_grad():
            return [compute(batch(0, size)[0], weights) for size in sizes]

    sizes = list(range(1, KEPT + 1))
    assert both.same(take, times=WARM_UP + 1) == KEPT
    sizes = list(range(1, KEPT + 2))  # one too many: in turn, each falls out before it comes again
    assert both.same(take) == KEPT


def test_what_cannot_be_captured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both()
    usual = Supernet.weighed

    def reads(net: Supernet, tables: dict[str, Tensor], *rest: Any) -> Any:
        return usual(net, {kind: table * float(table.detach().max()) for kind, table in tables.items()}, *rest)

    monkeypatch.setattr(Supernet, "weighed", reads)
    with pytest.raises(NotCaptured) as told:
        both.same(step(both))
    assert str(told.value) == (
        "--graphs: a pass cannot be captured (operation not permitted when stream is capturing): leave it out"
    )


@pytest.mark.parametrize(("way", "captures"), [("forward", 1), ("back", 3)])
def test_a_graph_that_gives_other_bits_is_not_used(monkeypatch: pytest.MonkeyPatch, way: str, captures: int) -> None:
    """As where a kernel was not captured, or takes another order within a graph."""
    both = Both()
    usual = Tape.__call__

    def forgetful(self: Tape, run: Callable[[], None]) -> Callable[[], None]:
        replay = usual(self, run)
        if len(both.recorder.tapes) == captures:
            products = [n for n, (func, *_) in enumerate(self.done) if "mm" in func.overloadpacket.__name__]
            self.done.pop(products[-1])
        return replay

    monkeypatch.setattr(Tape, "__call__", forgetful)
    with pytest.raises(NotCaptured, match=f"--graphs: a pass {way} gives other bits from a graph"):
        both.same(step(both))


OTHERS = [
    pytest.param(*each, marks=pytest.mark.slow)
    for each in [
        ("darts-2nd", "nats-tss"),
        ("darts-2nd-exact", "nats-tss"),
        ("lambda-sdarts-rs", "nats-tss"),
        ("lambda-darts-outer", "nats-tss"),
        ("amended-darts", "nats-tss"),
        ("rarts", "nats-tss"),
        ("milenas", "nats-tss"),
        ("random", "nats-tss"),
        ("darts-minus", "darts"),
        ("prime+crb", "s2"),
        ("p-darts", "darts"),
        ("darts-1st", "s4"),
    ]
]


@pytest.mark.parametrize(
    ("method", "space"), [("darts-1st", "nats-tss"), ("lambda-darts", "nats-tss"), ("pr-darts", "nats-tss"), *OTHERS]
)
def test_a_search_is_the_same_from_graphs(monkeypatch: pytest.MonkeyPatch, method: str, space: str) -> None:
    """Histories, bit for bit; and of one that was interrupted, whose passes are captured anew."""
    recorder = Recorder()
    monkeypatch.setattr("methods.search.learners.supernet.Graphs", lambda net: Graphs(net, recorder))
    expected = list(search(method, space))
    found = search(method, space, graphs=True)
    for _ in range(7):
        found.advance()
    again = search(method, space, graphs=True)
    again.load_state_dict(deepcopy(found.state_dict()))  # which names the tensors that go on to change
    assert [*again.history, *again] == expected == [*found.history, *found]
    assert bool(recorder.played) == (method != "random" and space != "s4")


def search(method: str, space: str, *, graphs: bool = False) -> Search:
    """Four epochs of four steps through the smallest supernet."""
    recipe = get_method(method)
    sizes = {"channels": 4, "cells": 1 if space == "nats-tss" else 3, "batch_size": 4, "epochs": 4}
    settings, _ = resolve(recipe.options, {**recipe.layers(get_space(space)), "test": sizes})
    images = torch.randint(0, 256, (16, 3, 8, 8), generator=generator(0, "images"), dtype=torch.uint8)
    loaders = [
        Loader(
            images,
            torch.arange(16) % 3,
            batch_size=4,
            seed=0,
            purpose=split,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            augment=Augment(crop=2, flip=True),
            device="cpu",
        )
        for split in ("weights", "alpha")
    ]
    searched = get_space(space, without=recipe.removes(space))
    sizes = {"classes": 3, "in_channels": 3, "seed": 0}
    return Search(searched, recipe, *loaders, **sizes, settings=settings, graphs=graphs)  # type: ignore[arg-type]
