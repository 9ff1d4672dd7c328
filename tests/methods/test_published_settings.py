"""All settings of the papers' methods at the papers' scale, against a list kept apart from the recipes.

The list has what a method's paper (or, where that is silent, its public code: see the cards in docs/methods/) changes
of DARTS's settings for CIFAR-10, and of NATS-Bench's searches there.
"""

from typing import Any

import pytest

from methods import get_method
from methods.search.settings import Settings, resolve
from spaces import get_space

NATS = {"cells": 5, "weight_decay": 5e-4, "nesterov": True, "order": "weights-alpha"}

SCHEDULED = {"weights_share": 10 / 11, "order": "weights-alpha"}  # DARTS-PRIME 4.3, algorithm 1
FIMT = {**SCHEDULED, "ratio": 10, "threshold": 1.0, "threshold_rise": 1.05, "ewma": 0.2}  # 4.2
PROXIMITY = {"rho_p": 0.1}
CRB = {"alpha_weight_decay": 0.0, "node_norm": True}  # S1.1
ADMM = {"rho_a": 0.1, "lambda_u": 0.8, "admm_steps": 10}  # S3
# Zela et al.: window 5, four epochs back, 0.75, from epoch 10; second order.
EIGENVALUE = {"radius": 0.01, "window": 5, "delta": 4, "ratio": 0.75, "start_epoch": 10}
SMOOTHING = {"noise_start": 0.03, "noise_end": 0.3}
ALIGNED = {"lambda": 0.25, "epsilon0": 1e-4, "difference": "central"}  # Λ-DARTS 5.1, A.9
ALIGNED_NATS = {"lambda": 0.125, "epochs": 100, "alpha_learning_rate": 1e-4}
GATES = {
    **{"epochs": 200, "batch_size": 128, "lambda1": 0.01, "lambda2": 0.005, "lambda3": 0.005},  # PR-DARTS 5
    **{"tau_start": 10.0, "tau_end": 0.1, "gate_low": -0.1, "gate_high": 1.1, "sampled_operations": 2},
    **{"nesterov": True, "weight_decay": 5e-4, "order": "weights-alpha", "batch_norm": "batch"},  # its code
}
PROGRESSIVE = {
    **{"epochs": 75, "batch_size": 96, "learning_rate_min": 0.0, "alpha_learning_rate": 6e-4, "cells": 5},
}
AMENDED = {"epochs": 100, "batch_size": 96, "eta": 0.1}  # Amended-DARTS 4.1.1
MIXED = {"lambda": 1.0, "order": "weights-alpha"}
RARTS = {**MIXED, "beta": 1.0, "latency_weight": 0.002, "latency_table": ""}  # RARTS IV-A

# method → what differs on the DARTS space, and what differs from that on NATS-Bench beyond `NATS`
LISTED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "darts-1st": ({}, {}),
    "darts-2nd": ({"radius": 0.01}, {}),
    "darts-2nd-exact": ({}, {}),
    "r-darts-es": (EIGENVALUE, {}),
    "r-darts-ada": ({**EIGENVALUE, "decay_factor": 10.0, "decay_max": 0.03}, {}),
    "r-darts-l2": ({"radius": 0.01, "k": 3}, {}),
    "darts+es": ({"stop_share": 0.5}, {}),
    "sdarts-rs": (SMOOTHING, {}),
    "lambda-darts": (ALIGNED, ALIGNED_NATS),
    "lambda-darts-sign": ({**ALIGNED, "lambda": 0.125}, ALIGNED_NATS),
    "lambda-darts-outer": (ALIGNED, {"lambda": 0.125}),  # A.4: 50 epochs
    "lambda-sdarts-rs": ({**ALIGNED, **SMOOTHING}, ALIGNED_NATS),
    "lambda-p-darts": ({**ALIGNED, **PROGRESSIVE}, {"cells": 1, "lambda": 0.125}),
    "pr-darts": (GATES, {}),
    "pr-darts-gates": (GATES, {}),
    "pr-darts-path": (GATES, {}),
    "amended-darts": ({**AMENDED, "radius": 0.001}, {}),
    "amended-darts-exact": (AMENDED, {}),
    "rarts": (RARTS, {"epochs": 100, "nesterov": False, "latency_weight": 0.0}),
    "milenas": (MIXED, {}),
    "darts+cs10": ({**SCHEDULED, "ratio": 10}, {}),
    "darts+fimt": (FIMT, {}),
    "darts+pr": (PROXIMITY, {}),
    "darts-prime": ({**FIMT, **PROXIMITY}, {}),
    "darts+crb": (CRB, {}),
    "darts+fimt+crb": ({**FIMT, **CRB}, {}),
    "prime+crb": ({**FIMT, **PROXIMITY, **CRB}, {}),
    "darts+admm": (ADMM, {}),
    "darts+admm+fimt": ({**FIMT, **ADMM}, {}),
    "darts+admm+fimt+crb": ({**FIMT, **ADMM, **CRB}, {}),
    "darts-minus": ({}, {}),
    "p-darts": (PROGRESSIVE, {"cells": 1}),
    "p-darts-no-priors": (PROGRESSIVE, {"cells": 1}),
    "p-darts-auxiliary-skip": (PROGRESSIVE, {"cells": 1}),
    "random": ({}, {}),
    "fixed-skips-0": ({}, {}),
    "fixed-skips-37.5": ({}, {}),
    "fixed-skips-62.5": ({}, {}),
    "fixed-deep": ({}, {}),
    "fixed-shallow": ({}, {}),
}


@pytest.mark.parametrize("method", LISTED)
def test_settings_are_the_published_ones(method: str) -> None:
    chosen = get_method(method)
    darts, nats = LISTED[method]
    listed = {"darts": darts, "nats-tss": {**darts, **NATS, **nats}}
    for space in set(listed) & set(chosen.spaces):
        settings, _ = resolve(chosen.options, chosen.layers(get_space(space)))
        assert settings.flat() == {**Settings().flat(), **listed[space]}
