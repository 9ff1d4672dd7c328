"""Stages: parts of a search, each with a fresh supernet that is deeper and has fewer operations (Chen et al., 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from spaces.base import Space


@dataclass(frozen=True)
class Stage:
    """One part of a search, in the numbers of the paper that declares it. Only their proportions count.

    A search's `epochs` are divided in proportion to the stages' `epochs`, its `cells` are the depth of the first
    stage, and an edge keeps the share of its operations that `operations` is of the first stage's.
    """

    epochs: int
    cells: int  # depth
    operations: int  # that an edge has
    skip_dropout: float = 0.0  # at the start; the recipe's `skip_dropout` piece gives the rate from there on


WHOLE = Stage(epochs=1, cells=1, operations=1)
"""The only stage of a search that is not divided."""


def _proportion(value: int, part: int, whole: int) -> int:
    """`value * part / whole`, rounded half up, without floating point."""
    return (2 * value * part + whole) // (2 * whole)


def bounds(stages: Sequence[Stage], epochs: int) -> list[int]:
    """The first epoch of every stage, and the end of the last: `len(stages) + 1` numbers from 0 to `epochs`.

    With fewer epochs than stages the last stages have no epoch.
    """
    ends = list(accumulate(stage.epochs for stage in stages))
    return [0, *(-(-epochs * end // ends[-1]) for end in ends)]


def stage_of(stages: Sequence[Stage], epochs: int, epoch: int) -> int:
    """The number of the stage that `epoch` (from 0) belongs to."""
    return next(number for number, end in enumerate(bounds(stages, epochs)[1:]) if epoch < end)


def depth(stages: Sequence[Stage], number: int, cells: int) -> int:
    """The cells of stage `number`'s supernet where the first stage's has `cells`."""
    return _proportion(cells, stages[number].cells, stages[0].cells)


def prune(whole: Space, space: Space, weights: dict[str, Tensor], stages: Sequence[Stage], number: int) -> Space:
    """`space` without the weakest operations of each edge, for stage `number`.

    `weights[kind]` is `[edges, operations]`, or `[cells, edges, operations]`, of which the mean over cells counts;
    of equal weights the first operation stays. `whole` is the space of the first stage. An edge keeps at least two
    operations: the weight of a single one would be 1 whatever its alpha, and nothing would rank the edges. It also
    keeps at least one operation that a genotype may have, so not `none` alone.
    """
    kept = {}
    for kind, mask in space.mask.items():
        table = weights[kind].detach().to("cpu", torch.float64)
        table = table.mean(0) if table.dim() == 3 else table
        kept[kind] = torch.zeros_like(mask)
        for edge, row in enumerate(mask):
            had = int(whole.mask[kind][edge].sum())
            count = max(2, _proportion(had, stages[number].operations, stages[0].operations))
            ranked = sorted(row.nonzero().flatten().tolist(), key=lambda operation: -float(table[edge, operation]))
            selectable = [operation for operation in ranked if space.selectable[kind][edge, operation]]
            chosen = ranked[:count]
            if selectable[0] not in chosen:
                chosen[-1] = selectable[0]
            kept[kind][edge, chosen] = True
    return space.restricted(kept)
