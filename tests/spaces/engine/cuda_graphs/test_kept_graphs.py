"""How many graphs a supernet keeps, and what a graph keeps in memory."""

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import torch
import torch.nn.functional as F
from torch import Tensor

from spaces.cells.mixed_cell import MixedCell
from spaces.cells.supernet import Supernet
from spaces.common.streams import generator
from spaces.engine.cuda_graphs.dispatch import MAX_GRAPHS, WARM_UP
from spaces.engine.fast_engine import KEPT_PLANS


def test_a_graph_keeps_the_plans_that_its_cells_have_discarded(both_ways: Any) -> None:
    """The constants that a graph reads live as long as the graph; the last batch of each pass is smaller."""
    both = both_ways()
    many = [both.space.encode(both.space.random(generator(number, "genotype"))) for number in range(KEPT_PLANS + 2)]
    for weights in many:

        def passes(net: Supernet, compute: Callable[..., Tensor], weights: Any = weights) -> list[Tensor]:
            with torch.no_grad():
                return [compute(both.batch(0, size)[0], weights) for size in (3, 3, 3, 2)]

        both.same(passes, times=1)
    cells = [module for module in both.nets[1].modules() if isinstance(module, MixedCell)]
    oldest, *_ = both.kept()
    assert len(oldest.plans) > len(cells)
    assert not {id(plan) for plan in oldest.plans} & {id(plan) for cell in cells for plan in cell.plans}


def test_discarded_graphs_are_freed_at_once(both_ways: Any) -> None:
    """Without the garbage collector."""
    both = both_ways()
    gc.disable()
    try:
        seen = []
        for number in range(MAX_GRAPHS + 2):
            weights = both.space.encode(both.space.random(generator(number, "genotype")))

            def passes(net: Supernet, compute: Callable[..., Tensor], weights: Any = weights) -> list[Tensor]:
                loss = F.cross_entropy(compute(both.batch()[0], weights), both.batch()[1])
                found = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
                return [g for g in found if g is not None]

            both.same(passes, times=WARM_UP + 2)
            seen += [ref(graph) for graph in both.kept()[-1:]]
        assert len({id(graph()) for graph in seen if graph() is not None}) == len(both.kept()) == MAX_GRAPHS
    finally:
        gc.enable()


def test_the_most_recently_used_graphs_are_kept(both_ways: Any) -> None:
    both = both_ways()
    weights = {kind: a.detach() for kind, a in both.alpha().items()}

    def passes(net: Any, compute: Any) -> list[Tensor]:
        with torch.no_grad():
            return [compute(both.batch(0, size)[0], weights) for size in sizes]

    sizes = list(range(1, MAX_GRAPHS + 1))
    assert both.same(passes, times=WARM_UP + 1) == MAX_GRAPHS
    sizes = list(range(1, MAX_GRAPHS + 2))  # one too many: each graph is discarded before its pass comes again
    assert both.same(passes) == MAX_GRAPHS
