"""A plan is a trial's configuration, resolved: all that determines its result, and the key that names it."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from methods import METHODS, get_method
from methods.core.settings import Settings, convert, resolve
from spaces import get_space
from spaces.core.errors import InputError
from suite.protocol import Evaluation, evaluation, get_protocol

CODE = 1  # raised by hand whenever a change of the code changes what the same plan gives


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
    settings: Settings
    evaluation: Evaluation
    images: int
    threads: int
    origin: Mapping[str, str]  # which layer set a key that is not at its base value

    def key(self, dataset_digest: str, table_digest: str | None) -> str:
        """A readable name plus a digest of the plan, of the data read and of the table that evaluates, if one does."""
        determines = {
            **{k: v for k, v in asdict(self).items() if k not in ("origin", "method")},
            "data": dataset_digest,
            "table": table_digest,
            "version": CODE,
        }
        digest = hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()[:12]
        words = (self.name, self.space, self.dataset, f"s{self.seed}", self.protocol, digest)
        return "--".join(re.sub(r"[^A-Za-z0-9.+_]+", "-", word).strip("-")[-40:] for word in words)

    @property
    def scale(self) -> str:
        """The sizes of the search and of the retraining, in words."""
        s, e = self.settings, self.evaluation
        stage = " a stage" if self.space == "nats-tss" else ""
        images = f"{self.images} training images" if self.images else "all training images"
        return (
            f"{self.protocol}: search {s.epochs} epochs, {s.channels} channels, {cells(s.cells)}{stage}, {images}; "
            f"retraining {e.epochs} epochs, {e.channels} channels, {cells(e.cells)}{stage}"
        )


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def cells(number: int) -> str:
    """A number of cells, in words."""
    return "1 cell" if number == 1 else f"{number} cells"


def plan(
    method: str,
    space: str,
    dataset: str,
    seed: int,
    protocol: str = "quick",
    overrides: Mapping[str, Any] | None = None,
    device: str = "auto",
) -> Plan:
    """Resolve a trial's configuration. Raises `InputError` for any name, key or value that does not exist or fit.

    `overrides` has a search's settings by their names, the retraining's as ``evaluate.NAME``, and ``images`` and
    ``threads``.
    """
    chosen, scale = get_method(method), get_protocol(protocol)
    if get_space(space, without=chosen.removes(space)).scalar:
        raise InputError(f"{space} has no images, so no trials: run `dartboard search {method} --space {space}`")
    given = dict(overrides or {})
    images = int(convert("images", given.pop("images", scale.images), 0, "settings"))
    threads = int(convert("threads", given.pop("threads", scale.threads), 1, "settings"))
    if images < 0 or threads < 1:
        raise InputError("settings: images must be 0 (all) or more, threads 1 or more")
    retraining = {k.removeprefix("evaluate."): given.pop(k) for k in list(given) if k.startswith("evaluate.")}
    settings, origin = resolve(
        chosen.options,
        {
            **chosen.layers(space),
            f"protocol {protocol}": scale.search,
            f"protocol {protocol} on {space}": scale.search_on.get(space, {}),
            "settings": given,
        },
    )
    return Plan(
        method=method,
        name=chosen.name,
        code=file_digest(Path(method.rpartition(":")[0])) if method not in METHODS else None,
        space=space,
        dataset=dataset,
        seed=seed,
        protocol=protocol,
        device=pick_device(device, scale.device),
        settings=settings,
        evaluation=evaluation(scale, space, retraining),
        images=images,
        threads=threads,
        origin=origin,
    )


def pick_device(asked: str, usual: str) -> str:
    """`asked`, or the protocol's `usual` kind where ``auto`` is asked and it is there; raises `InputError`."""
    if asked == "auto":
        return usual if usual == "cpu" or torch.cuda.is_available() else "cpu"
    if asked not in ("cpu", "cuda"):
        raise InputError(f"unknown device {asked!r}: choose auto, cpu or cuda")
    if asked == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not available here: choose cpu")
    return asked
