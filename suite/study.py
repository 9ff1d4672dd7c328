"""A study: a TOML file that names many trials.

title = "…"
protocol = "quick"
task = "image-classification"    # or path/to/file.py (docs/adding-a-task.md)

[[trials]]                       # the product of four lists; any number of such blocks
methods = ["darts-1st", "random"]
spaces = ["nats-tss", "s2"]
datasets = ["digits"]
seeds = [0, 1, 2]
set = { epochs = 5 }             # overrides, as with `dartboard search --set`
probes = ["cell", "hessian"]     # measured during the search (`dartboard list probes`), none by default
probe_every = 1                  # after every epoch, or every second, …
when_available = false           # true: a data set that is not in the data root is left out and reported

[[trials]]
methods = "*"                    # every registered method, on the spaces and with the seeds of its `quick`
datasets = ["digits"]
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from methods import METHODS
from spaces.common.errors import InputError, unknown
from spaces.common.metric import IMAGE_CLASSIFICATION
from spaces.common.toml import read_toml
from suite.compute import USUAL, Compute
from suite.data.sets import available
from suite.plan import Plan, plan, united

EVERY = "*"
"""All registered methods."""

STUDIES = Path(__file__).parent / "studies"


class TrialGrid(BaseModel):
    """One product of methods, spaces, data sets and seeds.

    With `methods` = ``"*"`` the methods are all registered ones. Each declares its spaces and, unless `seeds` are
    given, its seeds.
    """

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    methods: list[str] = Field(min_length=1)
    spaces: list[str] = Field(default_factory=list, validate_default=True)
    datasets: list[str] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(default_factory=list, validate_default=True)
    overrides: dict[str, Any] = Field(default_factory=dict, alias="set")
    probes: list[str] = Field(default_factory=list)
    probe_every: int = Field(default=1, ge=1)
    when_available: bool = False

    @field_validator("methods", mode="before")
    @classmethod
    def _every(cls, methods: Any) -> Any:
        return [EVERY] if methods == EVERY else methods

    @field_validator("spaces", "seeds")
    @classmethod
    def _given_unless_every(cls, entries: list[Any], info: ValidationInfo) -> list[Any]:
        every = info.data.get("methods") == [EVERY]
        if not entries and not every:
            raise ValueError("list should have at least 1 item")
        if entries and every and info.field_name == "spaces":
            raise ValueError('leave it out: methods = "*" runs each method on its own spaces')
        return entries

    def combinations(self) -> Iterator[tuple[str, str, int]]:
        """Method, space and seed of each trial on a data set."""
        if self.methods != [EVERY]:
            yield from product(self.methods, self.spaces, self.seeds)
            return
        for name, method in METHODS.items():
            for space, seeds in method.quick_trials.items():
                yield from ((name, space, seed) for seed in self.seeds or seeds)

    def plans(self, dataset: str, protocol: str, task: str, compute: Compute) -> Iterator[Plan]:
        """The plan of each trial on `dataset`. Raises `InputError` as `suite.plan.plan`."""
        probes = dict.fromkeys(self.probes, self.probe_every)
        for method, space, seed in self.combinations():
            yield plan(method, space, dataset, seed, protocol, self.overrides, compute, probes=probes, task=task)


class Study(BaseModel):
    """A study file's contents."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: str
    protocol: str = "quick"
    task: str = IMAGE_CLASSIFICATION
    trials: list[TrialGrid] = Field(min_length=1)

    def with_seeds(self, count: int) -> Self:
        """The same study with the seeds 0 … `count` - 1 in every block."""
        grids = [grid.model_copy(update={"seeds": list(range(count))}) for grid in self.trials]
        return self.model_copy(update={"trials": grids})


@dataclass(frozen=True)
class Expansion:
    """A study's trials, each once and in the file's order, and what was left out and why, in words."""

    plans: list[Plan]
    left_out: list[str]


def names() -> dict[str, str]:
    """The bundled studies: name → title."""
    return {path.stem: read(path).title for path in sorted(STUDIES.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a bundled study's name or of a path; raises `InputError` with the nearest name."""
    bundled = STUDIES / f"{name}.toml"
    if bundled.is_file():
        return bundled
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == ".toml":
        raise InputError(f"{path}: there is no such study file")
    raise unknown("study", name, (p.stem for p in STUDIES.glob("*.toml")))


def read(path: Path) -> Study:
    """The study in `path`. Raises `InputError` naming the file, the key and what is wrong with it."""
    return read_toml(path, Study)


class _Exhibit(Study):
    """The keys of an exhibit's file that make a study; `reports.exhibits.exhibit` reads the others."""

    model_config = ConfigDict(extra="ignore", strict=True)


def read_exhibit(path: Path) -> Study:
    """The trials of the exhibit in `path`, as a study. Raises `InputError` as `read`."""
    return read_toml(path, _Exhibit)


def expand(
    study: Study,
    path: Path,
    root: Path,
    *,
    protocol: str | None = None,
    task: str | None = None,
    compute: Compute = USUAL,
    all_available: bool = False,
) -> Expansion:
    """All plans of `study`, which stands in `path`; with `all_available`, no data set is left out for want of files.

    Raises `InputError` for a name or a setting that does not exist.
    """
    plans: dict[str, Plan] = {}
    left_out = []
    for number, grid in enumerate(study.trials, 1):
        if "probe_every" in grid.model_fields_set and not grid.probes:
            raise InputError(
                f"{path}: trials.{number}.probe_every: no probe is named: name some, as probes = ['cell', 'weights']"
            )
        try:
            for dataset in grid.datasets:
                here = available(dataset, root) or all_available
                if grid.when_available and not here:
                    left_out.append(f"{dataset}: not in the data root {root} (trials block {number})")
                    continue
                for made in grid.plans(dataset, protocol or study.protocol, task or study.task, compute):
                    _add(plans, made)
        except InputError as error:
            raise InputError(f"{path}: trials.{number}: {error}") from error
    if not plans:
        raise InputError(f"{path}: nothing to run: {'; '.join(left_out)}")
    return Expansion(list(plans.values()), left_out)


def _add(plans: dict[str, Plan], made: Plan) -> None:
    """Add `made` to `plans`, which has each trial once: its probes are united with those of an equal trial."""
    trial = json.dumps([made.determines(), made.dataset], sort_keys=True)
    if trial in plans:
        made = replace(made, probes=united(plans[trial].probes, made.probes))
    plans[trial] = made
