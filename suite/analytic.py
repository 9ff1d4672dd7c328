"""A search of the space `analytic`: no data, no retraining, no record; it ends where it comes to rest.

result = solve("rarts", {"lambda": 15, "beta": 15})
result["alpha"], result["w"], result["y"]          # beside result["closed_form"]
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor

from methods import Search, get_method
from methods.amended_darts import ETA
from methods.rarts import BETA, LAMBDA
from methods.search.loop import HistoryRow
from methods.search.settings import Settings, resolve
from methods.search.task import Parameters, Reduction, Task
from spaces.analytic.rest_points import (
    Point,
    rest_of_amended,
    rest_of_first_order,
    rest_of_mixed_level,
    rest_of_relaxed,
    rest_of_second_order,
)
from spaces.analytic.space import Analytic
from spaces.common.errors import InputError
from spaces.common.metric import Metric
from spaces.common.settings import Value

AT_REST = 1e-5  # alpha, w and y move in a step by less than this times their rate: the slope is flat


REST: Mapping[str, Callable[[Settings], Point]] = {
    "darts-1st": lambda s: rest_of_first_order(),
    "darts-2nd": lambda s: rest_of_second_order(s.learning_rate),
    "darts-2nd-exact": lambda s: rest_of_second_order(s.learning_rate),
    "amended-darts": lambda s: rest_of_amended(ETA.of(s)),
    "amended-darts-exact": lambda s: rest_of_amended(ETA.of(s)),
    "milenas": lambda s: rest_of_mixed_level(),
    "rarts": lambda s: rest_of_relaxed(LAMBDA.of(s), BETA.of(s)),
}
"""Where a method comes to rest. These are the methods that make sense here: their pieces ask for two losses and the
gradients of them; the others' ask for cells, for operations to choose among, or for networks to train."""


class Minimisation(Task):
    """The outputs are values of the loss, and a batch has nothing but inputs."""

    name = "minimisation"
    metric = Metric("loss", better="lower")

    def loss(self, outputs: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The mean of the outputs, or their sum."""
        return outputs.mean() if reduction == "mean" else outputs.sum()

    def tally(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum of the outputs."""
        return outputs.sum()

    def score(self, tally: float, images: int) -> float:
        """The mean loss."""
        return tally / images

    def point(self, alpha: Parameters, weights: Parameters, second_weights: Parameters) -> Point:
        """`alpha`, `w` and, where a method has it, `y`."""
        sets = {"alpha": alpha, "w": weights, "y": second_weights}
        return {name: value.item() for name, held in sets.items() for value in held.values()}


# Plain gradient descent in alpha and in the weights, as the iterations are written (RARTS, eqs. 3 and 6).
DESCENT: Mapping[str, Value] = {
    "epochs": 200_000,  # at most: an epoch is a step
    "momentum": 0.0,
    "nesterov": False,
    "weight_decay": 0.0,
    "gradient_clip": 1e9,
    "alpha_optimiser": "sgd",
    "alpha_weight_decay": 0.0,
}


def settings_for(method: str, overrides: Mapping[str, Any]) -> Settings:
    """The settings of `method` after `overrides`: rates of 0.01 (RARTS, section III-D), less where that is not stable.

    The Lagrangian of RARTS bends by at most 2λ + β along a single variable, that of MiLeNAS by 2λ along alpha.
    """
    recipe = get_method(method)
    if method not in REST:
        raise InputError(f"{method} is not defined on analytic, where alpha is one number: take {', '.join(REST)}")
    layers = {**recipe.layers(Analytic()), "plain gradient descent": DESCENT}
    first = resolve(recipe.options, {**layers, "settings": overrides})[0]
    bend = 2 * (LAMBDA.of(first) if LAMBDA in recipe.options else 1) + (BETA.of(first) if BETA in recipe.options else 0)
    rate = min(0.01, 1 / max(bend, 1.0))
    constant = overrides.get("learning_rate", rate)
    rates = {"learning_rate": rate, "learning_rate_min": constant, "alpha_learning_rate": rate}
    return resolve(recipe.options, {**layers, "stable rates": rates, "settings": overrides})[0]


def search(method: str, settings: Settings, space: Analytic | None = None) -> Search:
    """The same loop as on images. Its history has a row for each step, with `alpha`, `w` and, of RARTS, `y`."""
    space = space or Analytic()
    return Search(
        space,
        get_method(method),
        *space.splits(),
        settings=settings,
        classes=1,
        in_channels=1,
        seed=0,
        task=Minimisation(),
    )


def point(row: HistoryRow) -> Point:
    """`alpha`, `w` and, where the method has it, `y` of a history row."""
    return {key: row[key] for key in ("alpha", "w", "y") if key in row}


def until_rest(rows: Iterable[HistoryRow], rate: float) -> Iterator[HistoryRow]:
    """The rows of a search until nothing moves any more. Raises `InputError` where it runs away."""
    for before, row in pairwise(rows):
        yield row
        moved = max(abs(row[key] - before[key]) for key in point(row))
        if moved < AT_REST * rate:
            return
        if not moved < 1e6:  # or not a number
            raise InputError("the search runs away: lower learning_rate and alpha_learning_rate")


def solve(method: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Search until it comes to rest: the end point under `alpha`, `w` and `y`, the closed form, and how it was run.

    `course` has a row a step with `epoch`, the step, and the point.

    Raises `InputError` for a method that makes no sense here, a setting that does not exist, a λ and β without
    a minimum, or rates at which the search runs away.
    """
    settings = settings_for(method, overrides)
    get_method(method).reads(Analytic(), settings)
    closed_form = REST[method](settings)
    running = search(method, settings)
    for _ in until_rest(running, min(settings.learning_rate, settings.alpha_learning_rate)):
        pass
    end = point(running.history[-1])
    return {
        "method": method,
        "space": Analytic.name,
        **end,
        "closed_form": closed_form,
        "at_rest": running.steps_taken < settings.epochs,
        "steps": running.steps_taken,
        "course": [{"epoch": row["epoch"], **point(row)} for row in running.history],
        "recipe": get_method(method).declaration(settings),
        "settings": settings.flat(),
    }
