"""The pieces of a recipe: what each is given, when it is called, what it returns, and its default.

A piece is a plain function. `Pieces` holds those of one recipe; `FORMS` declares them to the checks and the
documentation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from methods.search.piece_forms import Form, piece
from methods.search.settings import Settings
from methods.search.stages import WHOLE, Stage
from methods.search.step import Alpha, Relaxation, Step, StepContext, Weights
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.conventions import Role

History = Sequence[Mapping[str, Any]]
"""The rows of a search's history so far, one an epoch."""

StartPiece = Callable[[Space, int], Alpha]
RolesPiece = Callable[[Space], Mapping[str, Role]]
GradientPiece = Callable[[Step], Alpha]
SchedulePiece = Callable[[Step], bool]
PerturbationPiece = Callable[[Step], Alpha]
InnerTerm = Callable[[Step], Sequence[Tensor]]
WatchPiece = Callable[[Step, Sequence[Tensor]], None]
OuterTerm = Callable[[Step], Alpha]
ConstraintPiece = Callable[[Step], None]
LogPiece = Callable[[dict[str, Any]], Mapping[str, float]]
StopPiece = Callable[[History, Settings], bool]
EpochSelection = Callable[[History, Settings], int]
DecayPiece = Callable[[History, Settings], float]
SelectionPiece = Callable[[Space, Weights], Genotype]
RatePiece = Callable[[StepContext], float]
FilePiece = Callable[[Path, Space, Settings], str]  # raises `InputError` for a file that does not fit


# --- Defaults. Their first lines stand in the records of methods that keep them. --------------------------------------


def small_normal(space: Space, seed: int) -> Alpha:
    """1e-3 times standard normal."""
    return space.parameters(seed)


def own_roles(space: Space) -> Mapping[str, Role]:
    """Those that the space declares."""
    return space.roles


def unconstrained(step: Step) -> None:
    """Alpha may be anywhere."""


def unperturbed(step: Step) -> Alpha:
    """The weight step sees alpha as it is."""
    return {kind: alpha.detach() for kind, alpha in step.alpha.items()}


def every_step(step: Step) -> bool:
    """Alpha moves in every step."""
    return True


def never(history: History, settings: Settings) -> bool:
    """The search runs all its epochs."""
    return False


def latest(history: History, settings: Settings) -> int:
    """The architecture after the last epoch."""
    return len(history) - 1


def constant_decay(history: History, settings: Settings) -> float:
    """The settings' own, throughout."""
    return settings.weight_decay


def constant_rate(at: StepContext) -> float:
    """The stage's own rate throughout."""
    return at.stage.skip_dropout


def strongest(space: Space, weights: Weights) -> Genotype:
    """The space's own discretization of the weights (not of raw alpha)."""
    return space.discretize(weights)


# --- The pieces of one recipe -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """What a search through a supernet is made of. `layerwise` and `stages` are no functions."""

    name: str
    relaxation: Relaxation = piece(
        "alpha context split",
        "operation weights: kind → [edges, operations], or [cells, edges, operations] where cells differ",
        "at every pass through the supernet; `split` is `train`, `valid`, or `select`: then without random draws",
    )
    start: StartPiece = piece(
        "space seed",
        "alpha's first values: name → tensor, the kinds of cell and any further architecture parameters",
        "before the first step of each stage",
        small_normal,
    )
    roles: RolesPiece = piece(
        "space",
        "what each architecture parameter decides: name → Role; one that is not named is `other`",
        "before the first step of each stage",
        own_roles,
    )
    gradient: GradientPiece = piece("step", "∇α: name → a tensor like alpha's", "in every step in which alpha moves")
    outer: tuple[OuterTerm, ...] = piece(
        "step", "a term to add to ∇α: name → a tensor like alpha's, or a scalar", "after `gradient`", several=True
    )
    schedule: SchedulePiece = piece("step", "whether alpha moves in this step", "before `gradient`", every_step)
    constraint: ConstraintPiece = piece(
        "step", "nothing; it changes `step.alpha` in place", "after alpha moved", unconstrained
    )
    perturbation: PerturbationPiece = piece(
        "step", "the alpha that the weight step sees, detached", "before the weight step's pass", unperturbed
    )
    inner: tuple[InnerTerm, ...] = piece(
        "step",
        "a term to add to ∇w before clipping: a list with a tensor for each of `step.parameters()`",
        "in every weight step, at the alpha of `perturbation`",
        several=True,
    )
    layerwise: bool = False  # whether the inner terms get each cell's gradient too, as `Step.cached_gradients`
    watch: tuple[WatchPiece, ...] = piece(
        "step gradients",
        "nothing; `gradients` are those of the training loss, before any term and clipping",
        "in every weight step, before `inner`",
        several=True,
    )
    log: tuple[LogPiece, ...] = piece(
        "memory",
        "columns of the history: name → number; a name begins with the piece's own",
        "after each epoch, with the `memory` of the steps",
        several=True,
    )
    weight_decay: DecayPiece = piece(
        "history settings",
        "the weight decay of the network weights",
        "before the first epoch and after each",
        constant_decay,
    )
    stop: StopPiece = piece("history settings", "whether the search ends now", "after each epoch", never)
    select_epoch: EpochSelection = piece(
        "history settings", "the number of the row whose architecture is returned", "after the search", latest
    )
    selection: SelectionPiece = piece("space weights", "a genotype", "after each epoch", strongest)
    stages: tuple[Stage, ...] = (WHOLE,)
    skip_dropout: RatePiece = piece(
        "context",
        "the dropout rate of the supernet's skip-connections, 0 to 1",
        "before every step and measurement",
        constant_rate,
    )
    auxiliary_skip: RatePiece | None = piece(
        "context",
        "the weight of a skip-connection beside every edge",
        "before every step and measurement; None: there is no such connection",
        None,
        optional=True,
    )


FORMS: Mapping[str, Form] = {own.name: own.metadata["form"] for own in fields(Pieces) if "form" in own.metadata}
"""Field of `Pieces` → the form of its piece or pieces."""


def pieces_of(pieces: Pieces) -> list[tuple[str, Callable[..., Any]]]:
    """Field and function of every piece."""
    found: list[tuple[str, Callable[..., Any]]] = []
    for name, form in FORMS.items():
        value = getattr(pieces, name)
        found += [(name, one) for one in value] if form.several else [(name, value)] if value is not None else []
    return found
