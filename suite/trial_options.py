"""The settings of every trial beside those of its search and of its retraining: of the images, and of the threads."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from methods.search.options import Option
from methods.search.settings import COMMON
from spaces.common.errors import InputError, unknown
from suite.data.pixels import FITS, LOSSLESS
from suite.data.sets import Augment, default_augment, is_own
from suite.evaluation import RETRAINING
from suite.protocol import Protocol

SEED = Option("seed", 0, "Seed of all random streams of a trial.", at_least=0, at_most=2**63 - 1)
IMAGES = Option("images", 0, "Training images used, a class-balanced subset; 0: all.", at_least=0, at_most=10**9)
SIZE = Option(
    "size",
    0,
    "Side to which all images are averaged, a divisor of theirs, in pixels; 0: as they are.",
    at_least=0,
    at_most=10_000,
)
THREADS = Option("threads", 1, "Threads of a trial on a CPU; they set the order of sums.", at_least=1, at_most=1024)
OF_TRIALS = (IMAGES, SIZE, THREADS)
PREPROCESSING = ("augment.crop", "augment.flip", "fit")
"""Settings of the images, whose defaults depend on the data set."""

EVALUATE = "evaluate."
"""The prefix of the retraining's settings."""

NAMES = (*(f"{EVALUATE}{own.name}" for own in RETRAINING), *(own.name for own in OF_TRIALS), *PREPROCESSING)
"""The settings that every trial has, whatever its method, apart from those of the search."""


@dataclass(frozen=True)
class TrialOptions:
    """The values of a trial's own settings."""

    images: int
    size: int
    threads: int
    augment: Augment
    fit: str

    @classmethod
    def take(cls, given: dict[str, Any], dataset: str, scale: Protocol) -> Self:
        """The values in `given`, which are removed from it, or else the defaults of the protocol and of the data set.

        Raises `InputError` for a value of the wrong type or range, and for a `fit` of images that are square.
        """

        def value(option: Option[Any], default: Any) -> Any:
            return option.read(given.pop(option.name, default), "settings")

        images, size = value(IMAGES, scale.images), value(SIZE, SIZE.default)
        threads = value(THREADS, scale.threads)
        usual = default_augment(dataset, size)
        crop = Option("augment.crop", usual.crop, "Pixels of padding before a random crop.", at_least=0)
        flip = Option("augment.flip", usual.flip, "Mirror training images left and right with probability 1/2.")
        augment = Augment(value(crop, crop.default), value(flip, flip.default))
        return cls(images, size, threads, augment, _fit(given, dataset))


def _fit(given: dict[str, Any], dataset: str) -> str:
    """The `fit` in `given`, which is removed from it; empty where it is not given."""
    if "fit" not in given:
        return ""
    option = Option("fit", LOSSLESS, "How one's own images become square.", choices=tuple(FITS))
    fit = option.read(given.pop("fit"), "settings")
    if not is_own(dataset):
        raise InputError(f"settings: fit = {fit!r}: the images of {dataset} are square: leave it out")
    return fit


def check_names(given: Iterable[str], options: Iterable[Option[Any]], method: str) -> None:
    """Raise `InputError` for a setting in `given` that no trial of `method` has.

    Also for an option of `method` that has the name of a setting of every trial.
    """
    own = [option.name for option in options]
    for name in own:
        if name in NAMES:
            raise InputError(f"{method}: options: {name} is a setting of every trial: rename the option")
    known = [*(common.name for common in COMMON), *own, *NAMES]
    for key in given:
        if key not in known:
            raise InputError(f"settings: {unknown('setting', key, known)}")
