"""A search's hyper-parameters: one flat list of typed keys, resolved from named layers.

The base is first-order DARTS on CIFAR-10 (Liu et al., 2019, section 3 and appendix A). The space overrides it, then
the recipe, the recipe's entry for the space, the protocol and the user. A record keeps the result and the layer that
set each value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from methods.search.options import Option, declared, layered, setting
from spaces.common.errors import InputError
from spaces.common.settings import Value

MOST_EPOCHS = 1_000_000
MOST_IMAGES = 1_000_000  # in a batch
MOST_CHANNELS = 10_000
MOST_CELLS = 1_000
MOST_RATE = 1e3  # of learning, and of weight decay
MOST_NORM = 1e12  # to which gradients are clipped


@dataclass(frozen=True)
class Settings:
    """Resolved hyper-parameters of one search. `options` holds those that only the recipe knows."""

    epochs: int = setting(50, "Passes over the weight split.", at_least=1, at_most=MOST_EPOCHS)
    batch_size: int = setting(64, "Images in a batch.", at_least=1, at_most=MOST_IMAGES)
    channels: int = setting(16, "Channels of the supernet's first cell.", at_least=1, at_most=MOST_CHANNELS)
    cells: int = setting(
        8, "Cells of the supernet, in all or in each stage: a space declares which.", at_least=1, at_most=MOST_CELLS
    )
    weights_share: float = setting(
        0.5, "Share of the training images in the weight split; the rest is the architecture split.", above=0, below=1
    )
    learning_rate: float = setting(
        0.025, "Learning rate of the network weights in the first epoch.", above=0, at_most=MOST_RATE
    )
    learning_rate_min: float = setting(
        0.001, "Learning rate of the network weights at the end of the cosine schedule.", at_least=0, at_most=MOST_RATE
    )
    momentum: float = setting(0.9, "Momentum of the network weights' SGD.", at_least=0, below=1)
    nesterov: bool = setting(False, "Whether the momentum is Nesterov's.")
    weight_decay: float = setting(3e-4, "Weight decay of the network weights.", at_least=0, at_most=MOST_RATE)
    gradient_clip: float = setting(
        5.0, "Largest Euclidean norm of the gradient of all network weights.", above=0, at_most=MOST_NORM
    )
    alpha_optimiser: Literal["adam", "sgd"] = setting(
        "adam", "Optimiser of alpha: Adam, or gradient descent without momentum.", choices=("adam", "sgd")
    )
    alpha_learning_rate: float = setting(3e-4, "Learning rate of alpha, constant.", at_least=0, at_most=MOST_RATE)
    alpha_beta1: float = setting(0.5, "β1 of alpha's Adam.", at_least=0, below=1)
    alpha_beta2: float = setting(0.999, "β2 of alpha's Adam.", at_least=0, below=1)
    alpha_weight_decay: float = setting(1e-3, "Weight decay of alpha.", at_least=0, at_most=MOST_RATE)
    order: Literal["alpha-weights", "weights-alpha"] = setting(
        "alpha-weights", "Order within a step: which moves first.", choices=("alpha-weights", "weights-alpha")
    )
    batch_norm: Literal["running", "batch"] = setting(
        "running",
        "Statistics that the supernet's batch norm uses in evaluation: running ones, or the batch's own.",
        choices=("running", "batch"),
    )
    affine: bool = setting(False, "Whether the supernet's batch norm has scale and shift.")
    node_norm: bool = setting(False, "Whether a batch norm follows the sum of each intermediate node.")
    options: Mapping[str, Value] = field(default_factory=dict)

    def flat(self) -> dict[str, Value]:
        """All keys in one dictionary, the recipe's options last."""
        return {**{option.name: getattr(self, option.name) for option in COMMON}, **self.options}


COMMON = declared(Settings)
"""The settings of every search."""


def check_nesterov(values: Mapping[str, Value], origin: Mapping[str, str], prefix: str = "") -> None:
    """Raise `InputError` for Nesterov momentum of zero."""
    if values["nesterov"] and not values["momentum"]:
        where = origin.get("momentum", "settings")
        raise InputError(f"{where}: {prefix}nesterov needs momentum: set {prefix}nesterov = false with it")


def resolve(options: Sequence[Option[Any]], layers: Mapping[str, Mapping[str, Any]]) -> tuple[Settings, dict[str, str]]:
    """The settings after all `layers` (name → overrides, in order), and for each changed key the layer that set it.

    `options` are the recipe's own. Raises `InputError` for a key that neither the base nor the recipe has, or a value
    of the wrong type or range.
    """
    values, origin = layered((*COMMON, *options), layers)
    check_nesterov(values, origin)
    own = {option.name: values.pop(option.name) for option in options}
    return replace(Settings(), **values, options=own), origin  # type: ignore[arg-type]
