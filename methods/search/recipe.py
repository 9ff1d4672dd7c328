"""A method is a recipe of pieces; what it declares is what a record and a report print of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from methods.search.piece_forms import function_of, name_of
from methods.search.probe import Watched
from methods.search.settings import Settings, Value
from methods.search.stages import WHOLE, Stage, bounds, depth
from methods.search.step import Alpha, Relaxation, Step, StepContext, Weights
from spaces import IMAGE_SPACES
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common.files import file_digest

if TYPE_CHECKING:
    from methods.search.learner import Learner

StartPiece = Callable[[Space, int], Alpha]  # alpha before the first step, from the seed
GradientPiece = Callable[[Step], Alpha]
SchedulePiece = Callable[[Step], bool]  # does alpha move in this step?
PerturbationPiece = Callable[[Step], Alpha]  # the alpha that the weight step sees, detached
InnerTerm = Callable[[Step], Sequence[Tensor]]  # added to the weights' gradients, before clipping; sees their alpha
WatchPiece = Callable[[Step, Sequence[Tensor]], None]  # is shown ∇_w L_train of each weight step, before any term
OuterTerm = Callable[[Step], Alpha]  # added to alpha's gradient
ConstraintPiece = Callable[[Step], None]  # puts alpha back, in place, to where it may be after its step
LogPiece = Callable[[dict[str, Any]], dict[str, float]]  # from the memory after an epoch, columns of a history
StopPiece = Callable[[Sequence[Mapping[str, Any]], Settings], bool]  # histories so far → stop now?
EpochSelection = Callable[[Sequence[Mapping[str, Any]], Settings], int]  # history → the row that the search returns
DecayPiece = Callable[[Sequence[Mapping[str, Any]], Settings], float]  # history so far → the weights' weight decay
SelectionPiece = Callable[[Space, Weights], Genotype]
RatePiece = Callable[[StepContext], float]
FilePiece = Callable[[Path, Space, Settings], str]  # what a file holds; raises `InputError` if it does not fit


@dataclass(frozen=True)
class FileRead:
    """A file that an option names: SHA-256 of its bytes, in hex, and what it holds, in words."""

    digest: str
    words: str


def small_normal(space: Space, seed: int) -> Alpha:
    """1e-3 times standard normal."""
    return space.alpha(seed)


def unconstrained(step: Step) -> None:
    """Alpha may be anywhere."""


def unperturbed(step: Step) -> Alpha:
    """The weight step sees alpha as it is."""
    return {kind: alpha.detach() for kind, alpha in step.alpha.items()}


def every_step(step: Step) -> bool:
    """Alpha moves in every step."""
    return True


def never(history: Sequence[Mapping[str, Any]], settings: Settings) -> bool:
    """The search runs all its epochs."""
    return False


def latest(history: Sequence[Mapping[str, Any]], settings: Settings) -> int:
    """The architecture after the last epoch."""
    return len(history) - 1


def constant_decay(history: Sequence[Mapping[str, Any]], settings: Settings) -> float:
    """The settings' own, throughout."""
    return settings.weight_decay


def constant_rate(at: StepContext) -> float:
    """The stage's own rate throughout."""
    return at.stage.skip_dropout


def strongest(space: Space, weights: Weights) -> Genotype:
    """The space's own discretization of the weights (not of raw alpha)."""
    return space.discretize(weights)


def describe(piece: Callable[..., Any]) -> str:
    """A piece's name and the first line of its docstring."""
    summary = (function_of(piece).__doc__ or "").strip().splitlines()
    return f"{name_of(piece)}: {summary[0]}" if summary else name_of(piece)


def sequence(stages: tuple[Stage, ...], settings: Settings | None) -> str:
    """A recipe's stages in words: as declared, or with `settings` as they are run."""
    if len(stages) == 1:
        return "one: the whole search"
    starts = bounds(stages, settings.epochs) if settings else []
    words = []
    for number, stage in enumerate(stages):
        epochs = starts[number + 1] - starts[number] if settings else stage.epochs
        cells = depth(stages, number, settings.cells) if settings else stage.cells
        words.append(f"{epochs} epochs at depth {cells}, {stage.operations} of {stages[0].operations} operations")
    return "; ".join(words) + "; each with a fresh supernet, alpha and optimisers"


def conduct(settings: Settings) -> dict[str, str]:
    """Choices that public codes leave silent, in words: the order within a step, and the supernet's batch norm."""
    order = {"alpha-weights": "alpha, then the weights", "weights-alpha": "the weights, then alpha"}
    statistics = {
        "running": "running statistics, moved by the weight step alone and used by eval()",
        "batch": "the batch's own statistics, always",
    }
    affine = "with scale and shift" if settings.affine else "no scale and shift"
    nodes = "; one more after each intermediate node's sum" if settings.node_norm else ""
    return {
        "order within a step": order[settings.order],
        "batch norm": f"{statistics[settings.batch_norm]}; {affine} in the searched cells{nodes}",
    }


class Method(Protocol):
    """What the search loop asks of a method."""

    @property
    def name(self) -> str:
        """As the command line knows it."""

    @property
    def options(self) -> Mapping[str, Value]:
        """The method's own settings and their defaults."""

    @property
    def probes(self) -> tuple[Watched, ...]:
        """Probes that the method itself leans on."""

    @property
    def spaces(self) -> tuple[str, ...]:
        """The spaces of images on which its definition makes sense."""

    def removes(self, space: str) -> tuple[str, ...]:
        """Operations that the method takes out of `space`."""

    def layers(self, space: Space) -> dict[str, Mapping[str, Value]]:
        """The overrides of the base settings by `space`, then by the method, outermost last."""

    def reads(self, space: Space, settings: Settings) -> dict[str, FileRead]:
        """The files that the method's own settings name, by option. Raises `InputError` for one that does not fit."""

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """What the method is made of, in words, for lists, records and reports; with `settings`, how it is run."""

    def learner(self, task: Any) -> "Learner":
        """A learner of this method for a `methods.search.learner.Task`."""


@dataclass(frozen=True)
class Recipe:
    """A gradient-based search through a supernet."""

    name: str
    title: str
    source: str
    relaxation: Relaxation
    gradient: GradientPiece
    start: StartPiece = small_normal
    schedule: SchedulePiece = every_step
    watch: tuple[WatchPiece, ...] = ()
    log: tuple[LogPiece, ...] = ()
    inner: tuple[InnerTerm, ...] = ()
    layerwise: bool = (
        False  # the inner terms are given what the weight step's pass finds of each layer (`Step.cached_gradients`)
    )
    outer: tuple[OuterTerm, ...] = ()
    constraint: ConstraintPiece = unconstrained
    perturbation: PerturbationPiece = unperturbed
    selection: SelectionPiece = strongest
    stop: StopPiece = never
    select_epoch: EpochSelection = latest
    weight_decay: DecayPiece = constant_decay
    probes: tuple[Watched, ...] = ()  # that `stop`, `select_epoch` or `weight_decay` read in the history
    stages: tuple[Stage, ...] = (WHOLE,)
    skip_dropout: RatePiece = constant_rate  # of the supernet's skip-connections, in training
    auxiliary_skip: RatePiece | None = None  # weight of a skip-connection beside every edge; None: there is none
    spaces: tuple[str, ...] = IMAGE_SPACES
    without: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # space → operations taken out of it
    options: Mapping[str, Value] = field(default_factory=dict)
    files: Mapping[str, FilePiece] = field(default_factory=dict)  # options that may name a file
    settings: Mapping[str, Value] = field(default_factory=dict)
    per_space: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)

    def removes(self, space: str) -> tuple[str, ...]:
        """Operations that the recipe takes out of `space`."""
        return self.without.get(space, ())

    def layers(self, space: Space) -> dict[str, Mapping[str, Value]]:
        """The overrides of the base settings by `space`, then by the recipe, then by the recipe on that space."""
        return {
            f"space {space.name}": space.search_defaults,
            f"recipe {self.name}": self.settings,
            f"recipe {self.name} on {space.name}": self.per_space.get(space.name, {}),
        }

    def reads(self, space: Space, settings: Settings) -> dict[str, FileRead]:
        """The files that the recipe's options name, each looked into by its piece."""
        named = {option: Path(str(settings.options[option])) for option in self.files if settings.options[option]}
        return {
            option: FileRead(words=self.files[option](path, space, settings), digest=file_digest(path))
            for option, path in named.items()
        }

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """The recipe's pieces, in words; with `settings`, also the order of steps and the batch norm."""
        pieces = {
            "relaxation": describe(self.relaxation),
            "alpha at the start": describe(self.start),
            "gradient": describe(self.gradient),
            "schedule": describe(self.schedule),
            "watched in the weight step": "; ".join(map(describe, self.watch)) or "nothing",
            "inner terms": "; ".join(map(describe, self.inner)) or "none: the training loss alone",
            "alpha in the weight step": describe(self.perturbation),
            "outer terms": "; ".join(map(describe, self.outer)) or "none: the validation loss alone",
            "constraint on alpha": describe(self.constraint),
            "selection": describe(self.selection),
            "stop": describe(self.stop),
            "architecture returned": describe(self.select_epoch),
            "weight decay": describe(self.weight_decay),
            "probes": "; ".join(f"{w.probe.name}, every {w.every} epochs" for w in self.probes) or "none",
            "stages": sequence(self.stages, settings),
            "skip dropout": self._dropout(),
            "auxiliary skip": describe(self.auxiliary_skip) if self.auxiliary_skip else "none",
        }
        removals = [f"{', '.join(operations)} from {space}" for space, operations in self.without.items()]
        removed = {"operations removed from the space": "; ".join(removals) or "no operation"}
        logged = {"logged in the history": "; ".join(map(describe, self.log))} if self.log else {}
        return {
            "title": self.title,
            "source": self.source,
            **pieces,
            **removed,
            **logged,
            **(conduct(settings) if settings else {}),
        }

    def _dropout(self) -> str:
        rates = [stage.skip_dropout for stage in self.stages]
        return f"{describe(self.skip_dropout)} ({', '.join(map(str, rates))})" if any(rates) else "none"

    def learner(self, task: Any) -> "Learner":
        """The supernet learner with these pieces."""
        from methods.search.learner import SupernetLearner

        return SupernetLearner(self, task)
