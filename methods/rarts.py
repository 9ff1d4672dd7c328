"""RARTS: An Efficient First-Order Relaxed Architecture Search Method (Xue, Qi & Xin, IEEE Access 2022).

Two networks share alpha, and a penalty keeps their weights close: the primary one has weights y and is trained on the
architecture split, the auxiliary one has weights w and is trained on the weight split,

    L(y, w, α) = L_v(y, α) + λ L_t(w, α) + β/2 ‖y - w‖²  [+ ⟨softmax(α), Lat⟩]                       (eq. 4 [eq. 5])

descended one variable after the other in Gauss-Seidel order, each with the newest values of the others (eqs. 6-8):

    w ← w - η_w (λ ∇_w L_t(w, α) + β (w - y))
    y ← y - η_y (∇_y L_v(y, α) + β (y - w))
    α ← α - η_α (λ ∇_α L_t(w, α) + ∇_α L_v(y, α) [+ ∇_α ⟨softmax(α), Lat⟩])

(Algorithm 1 writes L(w, w, α) in the last step, a misprint: eq. 6 has L(y, w, α).) With one set of weights in both
losses the last step is that of MiLeNAS (He et al., CVPR 2020), which the paper restates as eq. 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from methods.darts import softmax
from methods.search.learners.learner import SearchSetup
from methods.search.learners.supernet import SupernetLearner
from methods.search.learners.training import descend, load_optimiser, sgd
from methods.search.options import Option
from methods.search.pieces import Pieces
from methods.search.recipe import Recipe
from methods.search.settings import Settings
from methods.search.step import Alpha, Step, gradients
from methods.search.task import Parameters
from spaces.base import Space
from spaces.cells.cost import cost_tables, multiply_adds, operation_costs
from spaces.cells.latency import read_table
from spaces.common.errors import InputError
from spaces.common.settings import Value

LAMBDA = Option("lambda", 1.0, "λ: weight of the training loss L_t (eq. 4).", at_least=0, at_most=1e6)
BETA = Option("beta", 1.0, "β: strength of the pull between the two sets of weights (eq. 4).", at_least=0, at_most=1e6)
LATENCY_WEIGHT = Option(
    "latency_weight", 0.0, "Weight of the latency penalty ⟨softmax(α), Lat⟩ (eq. 5).", at_least=0, at_most=1e6
)
LATENCY_TABLE = Option(
    "latency_table",
    "",
    "File of `dartboard latency` with Lat in milliseconds; if none is named, Lat is in relative multiply-adds.",
)


def auxiliary_gradient(step: Step, training: Sequence[Tensor]) -> list[Tensor]:
    """∇_w L of eq. 4 from `training` = ∇_w L_t(w, α): λ times it, plus β (w - y)."""
    penalty, coupling = LAMBDA.of(step.settings), BETA.of(step.settings)
    return [
        penalty * gradient + coupling * (w.detach() - y.detach())
        for gradient, w, y in zip(training, step.parameters().values(), second_weights(step).values(), strict=True)
    ]


def primary_gradient(step: Step, alpha: Alpha) -> list[Tensor]:
    """∇_y L of eq. 4 at this `alpha`: ∇_y L_v(y, α) plus β (y - w), at the new w."""
    coupling, y = BETA.of(step.settings), second_weights(step)
    loss = step.loss(step.valid, alpha=alpha, parameters=y)
    return [
        gradient + coupling * (held.detach() - w.detach())
        for gradient, held, w in zip(
            gradients(loss, list(y.values())), y.values(), step.parameters().values(), strict=True
        )
    ]


def mixed(step: Step, y: Parameters | None) -> Alpha:
    """λ ∇_α L_t(w, α) + ∇_α L_v(y, α); without `y`, both at w."""
    training = step.alpha_gradient(step.loss(step.train))
    validation = step.alpha_gradient(step.loss(step.valid, parameters=y))
    return {kind: v + LAMBDA.of(step.settings) * training[kind] for kind, v in validation.items()}


def relaxed(step: Step) -> Alpha:
    """Both losses' gradients, each at its own weights: λ ∇_α L_t(w, α) + ∇_α L_v(y, α) (eq. 7)."""
    return mixed(step, second_weights(step))


def mixed_level(step: Step) -> Alpha:
    """Both losses' gradients at the same weights: ∇_α L_v(w, α) + λ ∇_α L_t(w, α) (MiLeNAS; eq. 7 with y = w).

    Eq. 3 has λ before L_v instead: that is this with 1/λ and λ times the learning rate of alpha. At λ = 1 they agree.
    """
    return mixed(step, None)


def second_weights(step: Step) -> Parameters:
    """The primary network's weights y."""
    assert step.second_weights is not None
    return step.second_weights


def latency(step: Step) -> Alpha:
    """latency_weight · ∇_α ⟨softmax(α), Lat⟩ (eqs. 5 and 8), Lat measured or in relative multiply-adds."""
    weight = LATENCY_WEIGHT.of(step.settings)
    if weight == 0:
        return {kind: torch.zeros_like(a) for kind, a in step.alpha.items()}
    if not step.space.relaxed:
        raise InputError(f"latency_weight: {step.space.name} has no operations that could take time: leave it 0")
    if "latency.table" not in step.memory:
        step.memory["latency.table"] = measured(step) or relative_multiply_adds(step)
    table, weights = step.memory["latency.table"], softmax(step.alpha, step, "train")
    products = [(weights[kind] * table[kind].to(weights[kind])).sum() for kind in weights]
    return step.alpha_gradient(weight * torch.stack(products).sum())


def measured(step: Step) -> Alpha:
    """Lat `[edges, operations]` in milliseconds from the file `latency_table`; nothing where none is named.

    The mean over the cells of a kind, since alpha has one entry for all of them ("the dimension of Lat is the same as
    that of α"). Raises `InputError` for a table of another supernet or other images.
    """
    if not (path := LATENCY_TABLE.of(step.settings)):
        return {}
    table, s = read_table(Path(path)), step.settings
    table.fits(Path(path), step.space, s.channels, s.cells, step.train.images.shape[-1])
    return {kind: costs.mean(0) for kind, costs in table.tables(step.space).items()}


def relative_multiply_adds(step: Step) -> Alpha:
    """Lat `[edges, operations]` without a device: each operation's multiply-adds, the costliest of the space at 1.

    The mean over the cells of a kind. A skip-connection and a pooling are free, but for the 1x1 convolutions of a
    skip-connection that halves the image.
    """
    costs = operation_costs(step.net, step.train.images[:2], multiply_adds)
    mean = {kind: table.mean(0) for kind, table in cost_tables(costs, step.space, step.settings.cells).items()}
    highest = max(float(table.max()) for table in mean.values())
    return {kind: table / highest for kind, table in mean.items()}


def latency_file(path: Path, space: Space, settings: Settings) -> str:
    """What a latency table was measured with. Raises `InputError` if it is of another supernet or is not used."""
    table = read_table(path)
    table.fits(path, space, settings.channels, settings.cells)
    if not LATENCY_WEIGHT.of(settings):
        raise InputError(f"{path}: latency_table is not used while latency_weight is 0: set both, or neither")
    images = f"{table.batch} x {table.size} x {table.size} images"
    return f"milliseconds on {table.where}, {images}, torch {table.torch}, {table.date}"


class RartsLearner(SupernetLearner):
    """Trains both networks. Only w's has running statistics and is measured: y is trained on the architecture split."""

    def __init__(self, recipe: Pieces, setup: SearchSetup) -> None:
        super().__init__(recipe, setup)
        # "Can have different weight initialization" (III-A). The paper does not say which; the space gives them.
        self.primary = setup.space.second_weights(self.net)
        self.primary_optimiser = sgd(self.primary, setup.settings)
        self.second_weights = dict(self.primary.named_parameters())

    def _weight_step(self, step: Step) -> tuple[Tensor, Tensor]:
        """w, then y at the new w (eq. 7)."""
        training, loss, tally = self._inner_gradients(step)
        descend(self.optimiser, auxiliary_gradient(step, training), step.settings.gradient_clip)
        self.primary_optimiser.param_groups[0]["lr"] = step.learning_rate
        validation = primary_gradient(step, self.recipe.perturbation(step))
        descend(self.primary_optimiser, validation, step.settings.gradient_clip)
        return loss, tally

    def state_dict(self) -> dict[str, Any]:
        """That of the supernet's learner, and y with its optimiser."""
        own = {"primary": self.primary.state_dict(), "primary_optimiser": self.primary_optimiser.state_dict()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore all of `state_dict`, in place."""
        super().load_state_dict(state)
        self.primary.load_state_dict(state["primary"])
        load_optimiser(self.primary_optimiser, state["primary_optimiser"])


@dataclass(frozen=True, kw_only=True)
class RartsRecipe(Recipe):
    """A recipe that trains two sets of weights."""

    def learner(self, setup: SearchSetup) -> RartsLearner:
        """The learner of both."""
        return RartsLearner(self, setup)


# Eqs. 3 and 6 move the weights first.
FIRST_WEIGHTS: dict[str, Value] = {"order": "weights-alpha"}

# Section IV-A: the settings of DARTS, the latency penalty weighted by 0.002 on CIFAR-10. There Lat is in milliseconds
# of the authors' device; their models take 22 ms (Table 2), a few tenths an operation, which is the size of our
# relative table, the default: `latency_table` names a measured one. On NATS-Bench the paper names no penalty. λ and β
# are given for the analytic model alone (10 and 15, III-D): for images, 1 and 1 are ours.
RARTS = RartsRecipe(
    name="rarts",
    title="RARTS: relaxed architecture search, two sets of weights",
    source="Xue, Qi & Xin, RARTS: An Efficient First-Order Relaxed Architecture Search Method, IEEE Access 2022",
    relaxation=softmax,
    gradient=relaxed,
    outer=(latency,),
    options=(LAMBDA, BETA, LATENCY_WEIGHT, LATENCY_TABLE),
    files={LATENCY_TABLE.name: latency_file},
    settings=FIRST_WEIGHTS,
    per_space={
        "darts": {"latency_weight": 0.002},
        "nats-tss": {"epochs": 100, "nesterov": False},  # IV-A: 100 epochs, momentum that is not Nesterov's
        "analytic": {"lambda": 15.0, "beta": 15.0},
    },
)

# λ = 1 is the default of its public code.
MILENAS = Recipe(
    name="milenas",
    title="MiLeNAS, first order: mixed-level search",
    source="He et al., MiLeNAS: Efficient Neural Architecture Search via Mixed-Level Reformulation, CVPR 2020",
    relaxation=softmax,
    gradient=mixed_level,
    options=(LAMBDA,),
    settings=FIRST_WEIGHTS,
)
