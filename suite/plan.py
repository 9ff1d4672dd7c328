"""A plan: the resolved configuration of a trial, which determines its result, and the key that names it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import gcd
from pathlib import Path
from typing import Any

from methods import METHODS, get_method, get_task
from methods.probes import get_probe
from methods.search.external.own_errors import own_errors
from methods.search.method import Method
from methods.search.settings import Settings, resolve
from spaces import get_space
from spaces.base import Space
from spaces.common.errors import InputError
from spaces.common.files import file_digest
from spaces.common.metric import IMAGE_CLASSIFICATION
from spaces.common.plural import counted
from suite.compute import USUAL, Compute
from suite.data.pixels import LOSSLESS
from suite.data.sets import Augment, default_augment, is_own
from suite.evaluation import Evaluation, evaluation
from suite.protocol import get_protocol
from suite.trial_options import EVALUATE, SEED, TrialOptions, check_names

CODE = 3  # raised by hand whenever a change of the code changes the result of a plan


@dataclass(frozen=True)
class Plan:
    """One trial: (method, space, data set, seed, protocol) with every setting resolved."""

    method: str  # a registered name, or path/to/file.py:NAME
    name: str  # the recipe's own
    code: str | None  # digest of the method's file, if it is outside the repository
    space: str
    dataset: str
    seed: int
    protocol: str
    compute: Compute
    settings: Settings
    evaluation: Evaluation
    images: int
    size: int
    augment: Augment  # of the training images, in the search and in the retraining, which adds its own cutout
    fit: str  # how a user's own images become square; "": not given, so they are padded
    files: Mapping[str, str]  # option of the method that names a file -> the file's digest
    origin: Mapping[str, str]  # key not at its base value -> the layer that set it
    probes: Mapping[str, int] = field(default_factory=dict)  # requested beside the recipe's own, name -> stride
    task: str = IMAGE_CLASSIFICATION  # or path/to/file.py[:NAME]
    task_code: str | None = None  # digest of the task's file and its name there, if it is outside the repository

    def determines(self) -> dict[str, Any]:
        """The values that determine the result.

        Left out are the places of files and data, the layers that set the values, the probes (`covers` decides whether
        a record has those of a plan), and CUDA graphs, which give the same bits.
        """
        left_out = ("origin", "method", "dataset", "files", "probes", "graphs", "augment", "fit", "task", "task_code")
        values = asdict(self)
        values |= values.pop("compute")
        found = {name: value for name, value in values.items() if name not in left_out}
        found["settings"]["options"].update(self.files)
        if not self.size:
            del found["size"]  # keys are older than this setting
        if self.task_code:
            found["task"] = self.task_code
        if is_own(self.dataset):
            found["fit"] = self.fit or LOSSLESS
        if self.states_augment:
            found["augment"] = {"crop": self.augment.crop, "flip": self.augment.flip}
        return found

    @property
    def states_augment(self) -> bool:
        """Whether key and scale state the augmentation. They are older, so an official set's default is left out."""
        return is_own(self.dataset) or self.augment != default_augment(self.dataset, self.size)

    def key(self, dataset: str, dataset_digest: str, table_digest: str | None) -> str:
        """A readable name and a digest of the plan, the data and, if a table has the accuracies, the table."""
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
        """The sizes of the search over `images` training images and, if `retrained`, of the retraining, in words."""
        s, e, cells = self.settings, self.evaluation, get_space(self.space).count_cells
        size = f"{counted(s.epochs, 'epoch')}, {counted(s.channels, 'channel')}, {cells(s.cells)}"
        search = f"search {size}, {images} training images"
        if self.size:
            search += f" of {self.size} x {self.size}"
        size = f"{counted(e.epochs, 'epoch')}, {counted(e.channels, 'channel')}, {cells(e.cells)}"
        augment = f"; augmentation: {self.augment.words}" if self.states_augment else ""
        return f"{self.protocol}: {search}{f'; retraining {size}' if retrained else ''}{augment}"

    def augmentation(self, retrained: bool) -> str:
        """The augmentation of training images in the search and, if `retrained`, in the retraining, in words."""
        words = f"search: {self.augment.words}"
        if retrained:
            words += f"; retraining: {replace(self.augment, cutout=self.evaluation.cutout).words}"
        return words


@own_errors()
def plan(
    method: str,
    space: str,
    dataset: str,
    seed: int,
    protocol: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    compute: Compute = USUAL,
    *,
    probes: Mapping[str, int] | None = None,
    task: str = IMAGE_CLASSIFICATION,
) -> Plan:
    """Resolve a trial's configuration. Raises `InputError` for any name, key or value that does not exist or fit.

    `overrides` has a search's settings by their names, the retraining's as ``evaluate.NAME``, and those of every trial
    (`suite.trial_options`). `probes` are names and strides: after every so many epochs they are measured.
    """
    recipe, scale, probes = get_method(method), get_protocol(protocol), probes or {}
    searched = _space_for(recipe, method, space)
    SEED.check(seed, "trial")
    given = dict(overrides or {})
    check_names(given, recipe.options, method)
    options = TrialOptions.take(given, dataset, scale)
    _check_probes(probes)
    retraining = {key.removeprefix(EVALUATE): given.pop(key) for key in list(given) if key.startswith(EVALUATE)}
    retrain, retrain_origin = evaluation(scale, searched, dataset, retraining)
    layers = {**recipe.layers(searched), f"protocol {protocol}": scale.search_on(searched), "settings": given}
    settings, origin = resolve(recipe.options, layers)
    return Plan(
        method=method,
        name=recipe.name,
        code=_method_code(method),
        space=space,
        dataset=dataset,
        seed=seed,
        protocol=protocol,
        compute=compute.resolved(scale.device, options.threads),
        settings=settings,
        evaluation=retrain,
        images=options.images,
        size=options.size,
        augment=options.augment,
        fit=options.fit,
        files={option: file.digest for option, file in recipe.reads(searched, settings).items()},
        origin={
            **origin,
            **{f"{EVALUATE}{key}": layer for key, layer in retrain_origin.items()},
            **dict.fromkeys(("images", "threads"), f"protocol {protocol}"),  # which has both, whatever their values
            **dict.fromkeys(overrides or {}, "settings"),
        },
        probes=dict(sorted(probes.items())),
        task=task,
        task_code=_task_code(task),
    )


def _space_for(recipe: Method, method: str, space: str) -> Space:
    """The space called `space` as `recipe` searches it. Raises `InputError` where a trial of both cannot be run."""
    searched = get_space(space, without=recipe.removes(space))
    if not searched.trials:
        raise InputError(f"{space} has no images, so no trials: run `dartboard search {method} --space {space}`")
    if space not in recipe.spaces:
        raise InputError(f"{method} makes no sense on {space}: choose {', '.join(recipe.spaces)}")
    return searched


def _method_code(method: str) -> str | None:
    """The digest of the file in path/to/file.py:NAME; None for a registered name, whose code is this package's."""
    return file_digest(Path(method.rpartition(":")[0])) if method not in METHODS else None


def _task_code(task: str) -> str | None:
    """What tells an outside task from others, its name and its file's digest. Raises `InputError` as `get_task`."""
    name = get_task(task).name
    path = task if task.endswith(".py") else task.rpartition(":")[0]
    return f"{name} {file_digest(Path(path))}" if path else None


def _check_probes(probes: Mapping[str, int]) -> None:
    """Raise `InputError` for a probe that does not exist and for a stride below 1."""
    for name, every in probes.items():
        get_probe(name)
        if every < 1:
            raise InputError(f"probe_every = {every} must be 1 (every epoch) or more")


def covers(measured: Mapping[str, int], wanted: Mapping[str, int]) -> bool:
    """Whether the probes `wanted` (name -> stride) were all measured after the epochs of their strides."""
    return all(name in measured and every % measured[name] == 0 for name, every in wanted.items())


def united(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The probes that cover both, name -> stride."""
    return {name: gcd(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}
