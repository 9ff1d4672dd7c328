"""P-DARTS: Progressive Differentiable Architecture Search (Chen, Xie, Wu & Tian, ICCV 2019).

A search in three stages (section 3.2). From one to the next the supernet grows deeper, towards the depth at which the
architecture is evaluated, and every edge loses its weakest operations, so that the deeper supernet costs no more
("search space approximation", 3.2.1). Two priors hold the skip-connections back ("search space regularization",
3.2.2): dropout on their output, decaying within a stage, and at most two of them in the normal cell. Λ-DARTS
(appendix A.5.1, Table 6) searches without the two priors.
"""

from dataclasses import replace
from math import exp

from torch import Tensor

from methods.darts import first_order, softmax
from methods.darts_minus import fading
from methods.search.pieces import strongest
from methods.search.recipe import Recipe
from methods.search.stages import Stage
from methods.search.step import Step, StepContext, Weights
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common.settings import Value

# The paper's search on CIFAR-10, its dropout too; the command in the public code's README has 0.1, 0.4, 0.7. On spaces
# of other than 8 operations, and at other depths, the proportions hold (see `methods.search.stages`).
STAGES = (
    Stage(epochs=25, cells=5, operations=8, skip_dropout=0.0),
    Stage(epochs=25, cells=11, operations=5, skip_dropout=0.4),
    Stage(epochs=25, cells=17, operations=3, skip_dropout=0.7),
)

WARM_UP = 10 / 25  # of a stage's epochs: only weights move


def after_warm_up(step: Step) -> bool:
    """Alpha rests in the first ten of a stage's 25 epochs, or that share of them."""
    return step.stage_progress >= WARM_UP


def decaying_dropout(at: StepContext) -> float:
    """Falls from the stage's rate linearly while alpha rests, then exponentially, from the stage's rate again.

    The paper has it decay "gradually"; the two curves are the public code's: rate · (1 - t/25), then
    rate · exp(-0.2 (t - 10)) with t in epochs. There it changes once an epoch, here in every step.
    """
    t = 25 * at.stage_progress
    return at.stage.skip_dropout * (1 - t / 25 if at.stage_progress < WARM_UP else exp(-0.2 * (t - 10)))


SKIPS = 2  # M of section 3.2.2, in the normal cell


def two_skips(space: Space, weights: Weights) -> Genotype:
    """The strongest operations with at most two skip-connections in the normal cell (3.2.2).

    While the cell has more, the two with the largest weights stay, the others' weights become 0 and the cell is
    built again, which may bring in new ones. A skip-connection that no other operation can replace stays.
    """
    kind = space.kinds[0]  # the normal cell, or the one cell there is
    table = weights[kind].detach().clone()
    table = table.mean(0) if table.dim() == 3 else table
    while True:
        genotype = space.discretize({**weights, kind: table})
        surplus = _skips(space, kind, genotype, table)[SKIPS:]
        if not any(table[at] for at in surplus):
            return genotype
        for at in surplus:
            table[at] = 0.0


def _skips(space: Space, kind: str, genotype: Genotype, table: Tensor) -> list[tuple[int, int]]:
    """(Edge, operation) of the skip-connections of a kind of cell, the one of largest weight first."""
    skips = [
        (space.edges[kind].index((source, target)), space.operations.index(operation))
        for source, target, operation in genotype.edges(kind)
        if operation == "skip_connect"
    ]
    return sorted(skips, key=lambda at: -float(table[at]))


# The paper's search on CIFAR-10: batch 96, learning rate 0.025 annealed to 0 in each stage, alpha's 6e-4, 16 channels.
SETTINGS: dict[str, Value] = {
    "epochs": sum(stage.epochs for stage in STAGES),
    "cells": STAGES[0].cells,
    "batch_size": 96,
    "learning_rate_min": 0.0,
    "alpha_learning_rate": 6e-4,
}

# Not in the paper: one cell in each of three stages and two reductions are five, and 1, 2, 3 do not outgrow the five
# cells a stage of the evaluated network.
ON_NATS: dict[str, Value] = {"cells": 1}

P_DARTS = Recipe(
    name="p-darts",
    title="P-DARTS",
    source="Chen, Xie, Wu & Tian, Progressive Differentiable Architecture Search, ICCV 2019",
    relaxation=softmax,
    gradient=first_order,
    schedule=after_warm_up,
    selection=two_skips,
    stages=STAGES,
    skip_dropout=decaying_dropout,
    settings=SETTINGS,
    per_space={"nats-tss": ON_NATS},
)

# Λ-DARTS, Table 6: neither dropout nor the limit. `replace(P_DARTS_NO_PRIORS, inner=…)` is Λ-P-DARTS.
P_DARTS_NO_PRIORS = replace(
    P_DARTS,
    name="p-darts-no-priors",
    title="P-DARTS without its priors on skip-connections",
    selection=strongest,
    stages=tuple(replace(stage, skip_dropout=0.0) for stage in STAGES),
)

# Λ-DARTS, Table 6, "P-DARTS-": the auxiliary skip-connection of DARTS- in the place of the priors.
P_DARTS_AUXILIARY_SKIP = replace(
    P_DARTS_NO_PRIORS,
    name="p-darts-auxiliary-skip",
    title="P-DARTS with auxiliary skip-connections for its priors",
    auxiliary_skip=fading,
)
