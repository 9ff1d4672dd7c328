"""A search's hyper-parameters: one flat list of typed keys, resolved from named layers.

The base is first-order DARTS on CIFAR-10 (Liu et al., 2019, section 3 and appendix A). A recipe overrides it, then
the recipe's entry for the space, then the protocol, then the user; a record keeps the outcome and which layer
each value came from.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from math import isfinite
from typing import Any, Literal

from spaces.common.errors import InputError, unknown

Value = bool | int | float | str


@dataclass(frozen=True)
class Settings:
    """Resolved hyper-parameters of one search. `options` holds those that only the recipe knows."""

    epochs: int = 50
    batch_size: int = 64
    channels: int = 16
    cells: int = 8  # per stage for nats-tss, in all for darts
    weights_share: float = 0.5  # share of the training images that moves the weights; the rest moves alpha
    learning_rate: float = 0.025
    learning_rate_min: float = 0.001  # cosine over the epochs
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 3e-4
    gradient_clip: float = 5.0  # Euclidean norm over all weights
    alpha_optimiser: str = "adam"  # or "sgd": plain gradient descent, without momentum
    alpha_learning_rate: float = 3e-4
    alpha_beta1: float = 0.5
    alpha_beta2: float = 0.999
    alpha_weight_decay: float = 1e-3
    order: str = "alpha-weights"  # which moves first in a step
    batch_norm: Literal["running", "batch"] = "running"  # what eval() uses: running statistics, or the batch's own
    affine: bool = False  # scale and shift in the supernet's batch norm
    node_norm: bool = False  # batch norm without scale and shift after the sum of each intermediate node
    options: Mapping[str, Value] = field(default_factory=dict)

    def flat(self) -> dict[str, Value]:
        """All keys in one dictionary, the recipe's options among them."""
        common = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "options"}
        return {**common, **self.options}


CHOICES = {
    "order": ("alpha-weights", "weights-alpha"),
    "batch_norm": ("running", "batch"),
    "alpha_optimiser": ("adam", "sgd"),
}

POSITIVE = (lambda x: x > 0, "positive")
NOT_NEGATIVE = (lambda x: x >= 0, "0 or more")
BELOW_ONE = (lambda x: 0 <= x < 1, "at least 0 and below 1")
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("epochs", "batch_size", "channels", "cells", "learning_rate", "gradient_clip"), POSITIVE),
    **dict.fromkeys(("weight_decay", "learning_rate_min", "auxiliary", "cutout"), NOT_NEGATIVE),
    **dict.fromkeys(("alpha_learning_rate", "alpha_weight_decay"), NOT_NEGATIVE),
    **dict.fromkeys(("momentum", "alpha_beta1", "alpha_beta2", "drop_path"), BELOW_ONE),
    "weights_share": (lambda x: 0 < x < 1, "between 0 and 1"),
    **dict.fromkeys(("radius", "epsilon0"), POSITIVE),
    **dict.fromkeys(("window", "ratio", "decay_factor", "decay_max", "admm_steps"), POSITIVE),
    **dict.fromkeys(("delta", "start_epoch", "rho_p", "rho_a", "noise_start", "noise_end"), NOT_NEGATIVE),
    "k": (lambda x: 0 <= x <= 100, "between 0 and 100"),  # of 3^k, which is to be a number
    "threshold_rise": (lambda x: x >= 1, "1 or more"),
    "ewma": (lambda x: 0 < x <= 1, "above 0 and at most 1"),
    "lambda_u": (lambda x: 0 <= x <= 1, "between 0 and 1"),
    "stop_share": (lambda x: 0 < x <= 1, "above 0 and at most 1"),
}
"""What a setting of that name may be, whether the search's, the retraining's or a recipe's own, and in words."""


def convert(key: str, value: Any, like: Value, where: str) -> Value:
    """`value` as the type of `like`; text (from a command line) is read as that type. Raises `InputError`."""
    kind = type(like)
    if isinstance(value, str) and kind is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and kind in (int, float):
        with suppress(ValueError):
            value = kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(value, float) and not isfinite(value):
        raise InputError(f"{where}: {key} = {value!r} must be finite")
    if type(value) is kind:
        return kind(value)
    raise InputError(f"{where}: {key} = {value!r} is not of type {kind.__name__} (such as {like!r})")


def check_ranges(values: Mapping[str, Value], where: Callable[[str], str], prefix: str = "") -> None:
    """Raise `InputError` for a value outside `RANGES`; `where(key)` is the layer that set it."""
    for key, (allowed, words) in RANGES.items():
        if key in values and not allowed(values[key]):
            raise InputError(f"{where(key)}: {prefix}{key} = {values[key]!r} must be {words}")
    if values.get("nesterov") and not values["momentum"]:
        raise InputError(f"{where('momentum')}: {prefix}nesterov needs momentum: set {prefix}nesterov = false with it")


def resolve(options: Mapping[str, Value], layers: Mapping[str, Mapping[str, Any]]) -> tuple[Settings, dict[str, str]]:
    """The settings after all `layers` (name → overrides, in order), and for each changed key the layer that set it.

    `options` are the recipe's own keys with their defaults. Raises `InputError` for a key that neither the base
    nor the recipe has, or a value of the wrong type or range.
    """
    base = Settings()
    values = {**base.flat(), **options}
    origin: dict[str, str] = {}
    for layer, overrides in layers.items():
        for key, value in overrides.items():
            if key not in values:
                raise InputError(f"{layer}: {unknown('setting', key, values)}")
            converted = convert(key, value, values[key], layer)
            if converted != values[key]:  # to say again what holds already changes nothing, least of all who said it
                origin[key] = layer
            values[key] = converted
    for key, choices in CHOICES.items():
        if values[key] not in choices:
            raise InputError(f"{origin[key]}: {key} = {values[key]!r}; choose one of {', '.join(choices)}")
    check_ranges(values, lambda key: origin.get(key, "settings"))
    common = {key: value for key, value in values.items() if key not in options}
    return replace(base, **common, options={key: values[key] for key in options}), origin  # type: ignore[arg-type]
