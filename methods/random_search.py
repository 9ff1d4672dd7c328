"""Random search: the baseline that a differentiable search has to beat (Li & Talwalkar, UAI 2019).

Its budget is that of the searches beside it: one candidate for each of their epochs, trained for as many weight
steps on the same half of the images as their supernet takes in an epoch, at the supernet's width and depth, and
ranked by its accuracy on the other half. It takes no alpha steps, and its networks are smaller than a supernet, so
it computes less; a record's search seconds say how much.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from methods.search.learner import Task
from methods.search.probe import Watched
from methods.search.recipe import FileRead
from methods.search.settings import Settings, Value
from methods.search.standalone_training import DerivedLearner
from methods.search.step import Batch
from methods.search.training import cosine
from spaces import IMAGE_SPACES
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.common import streams


class RandomLearner(DerivedLearner):
    """Draws an architecture an epoch, trains it for that epoch, keeps the best so far."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.best: tuple[str, float] = ("", -1.0)  # genotype, accuracy on the architecture split
        self._draw(epoch=0)

    def _draw(self, epoch: int) -> None:
        """The candidate of an epoch is a function of (seed, epoch) alone."""
        self.epoch = epoch
        self.candidate = self.task.space.random(streams.generator(self.task.seed, "candidate", epoch))
        self.begin(self.candidate, "candidate network", epoch)

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step of the epoch's candidate; the learning rate falls from first to last within the epoch."""
        if epoch != self.epoch:
            self._draw(epoch)
        s = self.task.settings
        rate = cosine(s.learning_rate, s.learning_rate_min, number / self.task.steps)
        return self.weight_step(rate, epoch, number, train)

    def measure(self) -> dict[str, float]:
        """The candidate on the architecture split; `discrete_accuracy` is that of the best candidate so far."""
        loss, hits = self.validation()
        if hits > self.best[1]:
            self.best = (str(self.candidate), hits)
        return {"valid_loss": loss, "valid_accuracy": hits, "discrete_accuracy": self.best[1]}

    def genotype(self) -> Genotype:
        """The best candidate so far."""
        return self.task.space.parse(self.best[0]) if self.best[0] else self.candidate

    def state_dict(self) -> dict[str, Any]:
        """The epoch's candidate in training, and the best so far."""
        return {"epoch": self.epoch, "best": self.best, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Draw the saved epoch's candidate again and continue its training."""
        self._draw(state["epoch"])
        self.best = tuple(state["best"])
        super().load_state_dict(state)


@dataclass(frozen=True)
class RandomSearch:
    """The method without pieces: no relaxation, no gradient of alpha."""

    name: str = "random"
    options: Mapping[str, Value] = field(default_factory=dict)
    spaces: tuple[str, ...] = IMAGE_SPACES
    probes: tuple[Watched, ...] = ()

    def removes(self, space: str) -> tuple[str, ...]:
        """No operation."""
        return ()

    def layers(self, space: Space) -> dict[str, Mapping[str, Value]]:
        """Those of the space: as first-order DARTS, whose budget this search is given."""
        return {f"space {space.name}": space.search_defaults}

    def reads(self, space: Space, settings: Settings) -> dict[str, FileRead]:
        """No file."""
        return {}

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """What is drawn, how it is ranked, and the budget."""
        candidates = "one an epoch" if settings is None else str(settings.epochs)
        return {
            "title": "Random search",
            "source": "Li & Talwalkar, Random Search and Reproducibility for NAS, UAI 2019 (budget: ours)",
            "candidates": f"{candidates}, uniform over the space's genotypes",
            "budget": "each trained as many weight steps as a supernet takes in an epoch, at its width and depth; no "
            "alpha steps",
            "selection": "best accuracy on the architecture split",
            "operations removed from the space": "no operation",
            "batch norm": "that of the derived networks: affine, running statistics",
        }

    def learner(self, task: Task) -> RandomLearner:
        """A learner with an empty record of the best."""
        return RandomLearner(task)


RANDOM = RandomSearch()
