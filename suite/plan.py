"""A plan is a trial's configuration, resolved: all that determines its result, and the key that names it."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import gcd
from pathlib import Path
from typing import Any, get_args

import torch

from methods import METHODS, get_method, get_task
from methods.probes import get_probe
from methods.search.external.own_errors import own_errors
from methods.search.options import Option
from methods.search.settings import COMMON, Settings, resolve
from spaces import get_space
from spaces.cells.mixed_cell import Engine
from spaces.cells.supernet import Precision
from spaces.common.errors import InputError, unknown
from spaces.common.files import file_digest
from spaces.common.metric import IMAGE_CLASSIFICATION
from spaces.common.plural import counted
from suite.data.pixels import FITS, LOSSLESS
from suite.data.sets import Augment, default_augment, is_own
from suite.protocol import RETRAINING, Evaluation, evaluation, get_protocol

CODE = 3  # raised by hand whenever a change of the code changes what the same plan gives


@dataclass(frozen=True)
class Plan:
    """One trial: (method, space, data set, seed, protocol) with every setting resolved."""

    method: str  # a registered name, or path/to/file.py:NAME
    name: str  # the recipe's own
    code: str | None  # digest of the method's file, if it stands outside the repository
    space: str
    dataset: str
    seed: int
    protocol: str
    device: str  # "cpu" or "cuda": a trial is the same, bit for bit, on one kind of device
    engine: Engine
    precision: Precision
    graphs: bool
    settings: Settings
    evaluation: Evaluation
    images: int
    size: int
    augment: Augment  # of the training images, in the search and in the retraining, which adds its own cutout
    fit: str  # how a user's own images are brought to squares; "": nobody has said, so they are padded
    threads: int
    files: Mapping[str, str]  # digest of the file that an option of the method names
    origin: Mapping[str, str]  # which layer set a key that is not at its base value, of search, retraining and trial
    probes: Mapping[str, int] = field(default_factory=dict)  # asked for beside the recipe's own, each with its stride
    task: str = IMAGE_CLASSIFICATION  # or path/to/file.py[:NAME]
    task_code: str | None = None  # digest of the task's file and its name there, if it stands outside the repository

    def determines(self) -> dict[str, Any]:
        """What of the plan determines the result: not where files or the data lie, nor who set a value.

        Nor what is watched meanwhile (`covers` says which record serves a plan with probes), nor whether passes come
        from graphs, which have to give the same bits.
        """
        left_out = ("origin", "method", "dataset", "files", "probes", "graphs", "augment", "fit", "task", "task_code")
        found = {k: v for k, v in asdict(self).items() if k not in left_out}
        found["settings"]["options"].update(self.files)
        if not self.size:
            del found["size"]  # as if there were no such setting: keys are older than it
        if self.task_code:
            found["task"] = self.task_code
        if is_own(self.dataset):
            found["fit"] = self.fit or LOSSLESS
        if self.states_augment:
            found["augment"] = {"crop": self.augment.crop, "flip": self.augment.flip}
        return found

    @property
    def states_augment(self) -> bool:
        """Does the augmentation have to be said? That of an official set at its usual goes without: keys are older."""
        return is_own(self.dataset) or self.augment != default_augment(self.dataset, self.size)

    def key(self, dataset: str, dataset_digest: str, table_digest: str | None) -> str:
        """A readable name plus a digest of the plan, of the data read and of the table that evaluates, if one does."""
        determines = {
            **self.determines(),
            "data": dataset_digest,
            "table": table_digest,
            "version": CODE,
        }
        digest = hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()[:12]
        words = (self.name, self.space, dataset, f"s{self.seed}", self.protocol, digest)
        return "--".join(re.sub(r"[^A-Za-z0-9.+_]+", "-", word).strip("-")[-40:] for word in words)

    def scale(self, images: int, retrained: bool) -> str:
        """The sizes of the search over `images` training images and, if any, of the retraining, in words."""
        s, e, cells = self.settings, self.evaluation, get_space(self.space).count_cells
        size = f"{counted(s.epochs, 'epoch')}, {counted(s.channels, 'channel')}, {cells(s.cells)}"
        search = f"search {size}, {images} training images"
        if self.size:
            search += f" of {self.size} x {self.size}"
        size = f"{counted(e.epochs, 'epoch')}, {counted(e.channels, 'channel')}, {cells(e.cells)}"
        augment = f"; augmentation: {self.augment.words}" if self.states_augment else ""
        return f"{self.protocol}: {search}{f'; retraining {size}' if retrained else ''}{augment}"

    def augmentation(self, retrained: bool) -> str:
        """What is done at random to training images in the search and, if there is one, in the retraining, in words."""
        words = f"search: {self.augment.words}"
        if retrained:
            words += f"; retraining: {replace(self.augment, cutout=self.evaluation.cutout).words}"
        return words


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


@own_errors()
def plan(
    method: str,
    space: str,
    dataset: str,
    seed: int,
    protocol: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
    engine: str = "fast",
    precision: str = "fp32",
    *,
    graphs: bool = False,
    probes: Mapping[str, int] | None = None,
    task: str = IMAGE_CLASSIFICATION,
) -> Plan:
    """Resolve a trial's configuration. Raises `InputError` for any name, key or value that does not exist or fit.

    `overrides` has a search's settings by their names, the retraining's as ``evaluate.NAME``, and those of
    `OF_TRIALS` and `PREPROCESSING`. `probes` are names and strides: after every so many epochs they are measured.
    """
    chosen, scale = get_method(method), get_protocol(protocol)
    searched = get_space(space, without=chosen.removes(space))
    if not searched.trials:
        raise InputError(f"{space} has no images, so no trials: run `dartboard search {method} --space {space}`")
    if space not in chosen.spaces:
        raise InputError(f"{method} makes no sense on {space}: choose {', '.join(chosen.spaces)}")
    SEED.check(seed, "trial")
    given = dict(overrides or {})
    of_trials = [*(f"evaluate.{own.name}" for own in RETRAINING), *(own.name for own in OF_TRIALS), *PREPROCESSING]
    for option in chosen.options:
        if option.name in of_trials:
            raise InputError(f"{method}: options: {option.name} is a setting of every trial: call the option otherwise")
    known = [*(own.name for own in (*COMMON, *chosen.options)), *of_trials]
    for key in given:
        if key not in known:
            raise InputError(f"settings: {unknown('setting', key, known)}")
    images = IMAGES.read(given.pop("images", scale.images), "settings")
    size = SIZE.read(given.pop("size", SIZE.default), "settings")
    threads = THREADS.read(given.pop("threads", scale.threads), "settings")
    augment, fit = _preprocessing(dataset, size, given)
    for name, every in (probes or {}).items():
        get_probe(name)
        if every < 1:
            raise InputError(f"probe_every = {every} must be 1 (every epoch) or more")
    retraining = {k.removeprefix("evaluate."): given.pop(k) for k in list(given) if k.startswith("evaluate.")}
    retrain, retrain_origin = evaluation(scale, searched, dataset, retraining)
    settings, origin = resolve(
        chosen.options,
        {
            **chosen.layers(searched),
            f"protocol {protocol}": scale.search_on(searched),
            "settings": given,
        },
    )
    device = pick_device(device, scale.device)
    if graphs and device != "cuda":
        raise InputError(f"--graphs: a graph is a GPU's, and this trial runs on {device}: leave it out")
    return Plan(
        method=method,
        name=chosen.name,
        code=file_digest(Path(method.rpartition(":")[0])) if method not in METHODS else None,
        space=space,
        dataset=dataset,
        seed=seed,
        protocol=protocol,
        device=device,
        engine=one_of(get_args(Engine), engine, "engine"),
        precision=one_of(get_args(Precision), precision, "precision"),
        graphs=graphs,
        settings=settings,
        evaluation=retrain,
        images=images,
        size=size,
        augment=augment,
        fit=fit,
        threads=threads,
        files={option: file.digest for option, file in chosen.reads(searched, settings).items()},
        origin={
            **origin,
            **{f"evaluate.{key}": layer for key, layer in retrain_origin.items()},
            **dict.fromkeys(("images", "threads"), f"protocol {protocol}"),  # which has both, whatever their values
            **dict.fromkeys(overrides or {}, "settings"),
        },
        probes=dict(sorted((probes or {}).items())),
        task=task,
        task_code=_task_code(task),
    )


def _task_code(task: str) -> str | None:
    """What tells an outside task from others, its name and its file's digest. Raises `InputError` as `get_task`."""
    name = get_task(task).name
    path = task if task.endswith(".py") else task.rpartition(":")[0]
    return f"{name} {file_digest(Path(path))}" if path else None


def _preprocessing(dataset: str, size: int, given: dict[str, Any]) -> tuple[Augment, str]:
    """The augmentation and the fit, taken out of `given`; raises `InputError` for what they cannot be."""
    usual = default_augment(dataset, size)
    crop_option = Option("augment.crop", usual.crop, "Pixels of padding before a random crop.", at_least=0)
    flip_option = Option("augment.flip", usual.flip, "Mirror training images left and right with probability 1/2.")
    crop = crop_option.read(given.pop("augment.crop", usual.crop), "settings")
    flip = flip_option.read(given.pop("augment.flip", usual.flip), "settings")
    if "fit" not in given:
        return Augment(crop, flip), ""
    fit_option = Option("fit", LOSSLESS, "How one's own images become square.", choices=tuple(FITS))
    fit = fit_option.read(given.pop("fit"), "settings")
    if not is_own(dataset):
        raise InputError(f"settings: fit = {fit!r}: the images of {dataset} are square: leave it out")
    return Augment(crop, flip), fit


def covers(measured: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Were the probes `wanted` (names and strides) measured after every epoch they are wanted of?"""
    return all(name in measured and every % measured[name] == 0 for name, every in wanted.items())


def united(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The probes that cover both, names and strides."""
    return {name: gcd(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}


def one_of(choices: Sequence[str], asked: str, what: str) -> Any:
    """`asked` if it is one of the choices; raises `InputError`."""
    if asked not in choices:
        raise InputError(f"unknown {what} {asked!r}: choose {' or '.join(choices)}")
    return asked


def pick_device(asked: str, usual: str) -> str:
    """`asked`, or the protocol's `usual` kind where ``auto`` is asked and it is there; raises `InputError`."""
    if asked == "auto":
        return usual if usual == "cpu" or torch.cuda.is_available() else "cpu"
    if asked not in ("cpu", "cuda"):
        raise InputError(f"unknown device {asked!r}: choose auto, cpu or cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not available here: choose cpu")
    return asked
