"""Random search: the baseline that a differentiable search has to beat (Li & Talwalkar, UAI 2019).

Its budget is that of a supernet search: one candidate an epoch, trained on the weight split for as many weight steps as
a supernet search takes in an epoch, at the supernet's width and depth, and ranked by its accuracy on the architecture
split. It takes no alpha steps, and its networks are smaller than a supernet, so it computes less; a record has the
seconds of the search.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from methods.search.learners.learner import SearchSetup
from methods.search.learners.standalone_training import DerivedLearner
from methods.search.learners.training import cosine_annealing
from methods.search.method import Method
from methods.search.settings import Settings
from methods.search.step import Batch
from spaces.cells.genotype import Genotype
from spaces.common import streams


class RandomLearner(DerivedLearner):
    """Draws one architecture an epoch, trains it for that epoch and keeps the best so far."""

    def __init__(self, setup: SearchSetup) -> None:
        super().__init__(setup)
        self.best: tuple[str, float] = ("", setup.task.metric.worst)  # genotype, metric on the architecture split
        self._draw(epoch=0)

    def _draw(self, epoch: int) -> None:
        """The candidate of an epoch is a function of (seed, epoch) alone."""
        self.epoch = epoch
        self.candidate = self.setup.space.random(streams.generator(self.setup.seed, "candidate", epoch))
        self.begin(self.candidate, "candidate network", epoch)

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step of the epoch's candidate; the learning rate falls from first to last within the epoch."""
        if epoch != self.epoch:
            self._draw(epoch)
        s = self.setup.settings
        rate = cosine_annealing(s.learning_rate, s.learning_rate_min, number / self.setup.steps)
        return self.weight_step(rate, epoch, number, train)

    def measure(self) -> dict[str, float]:
        """The candidate on the architecture split; the discrete metric is that of the best candidate so far."""
        loss, score = self.validation()
        metric = self.setup.task.metric
        if metric.improves(score, self.best[1]):
            self.best = (str(self.candidate), score)
        return {"valid_loss": loss, f"valid_{metric.name}": score, f"discrete_{metric.name}": self.best[1]}

    def genotype(self) -> Genotype:
        """The best candidate so far."""
        return self.setup.space.parse(self.best[0]) if self.best[0] else self.candidate

    def state_dict(self) -> dict[str, Any]:
        """The epoch's candidate in training, and the best so far."""
        return {"epoch": self.epoch, "best": self.best, **super().state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Draw the saved epoch's candidate again and continue its training."""
        self._draw(state["epoch"])
        self.best = tuple(state["best"])
        super().load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class RandomSearch(Method):
    """The method without pieces: no relaxation, no gradient of alpha. Its settings are those of first-order DARTS."""

    name: str = "random"
    title: str = "Random search"
    source: str = "Li & Talwalkar, Random Search and Reproducibility for NAS, UAI 2019 (budget: ours)"

    def made_of(self, settings: Settings | None = None) -> dict[str, str]:
        """What is drawn, how it is ranked, and the budget."""
        candidates = "one an epoch" if settings is None else str(settings.epochs)
        return {
            "candidates": f"{candidates}, uniform over the space's genotypes",
            "budget": "each trained as many weight steps as a supernet takes in an epoch, at its width and depth; no "
            "alpha steps",
            "selection": "best accuracy on the architecture split",
            "batch norm": "that of the derived networks: affine, running statistics",
        }

    def learner(self, setup: SearchSetup) -> RandomLearner:
        """A learner that has drawn the first candidate."""
        return RandomLearner(setup)


RANDOM = RandomSearch()
