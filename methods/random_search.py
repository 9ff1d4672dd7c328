"""Random search: the baseline that a differentiable search has to beat (Li & Talwalkar, UAI 2019).

Its budget is that of the searches beside it: one candidate for each of their epochs, trained for as many weight
steps on the same half of the images as their supernet takes in an epoch, at the supernet's width and depth, and
ranked by its accuracy on the other half. It takes no alpha steps, and its networks are smaller than a supernet, so
it computes less; a record's search seconds say how much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.learner import Task, accuracy, cosine, descend, sgd, weight_gradients
from methods.core.probes import Watched
from methods.core.settings import Settings, Value
from methods.core.step import Alpha, Batch, Weights
from methods.darts import NATS
from spaces.core import streams
from spaces.core.genotype import Genotype


class RandomLearner:
    """Draws an architecture an epoch, trains it for that epoch, keeps the best so far."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.best: tuple[str, float] = ("", -1.0)  # genotype, accuracy on the alpha half
        self._draw(epoch=0)

    def _draw(self, epoch: int) -> None:
        """The candidate of an epoch is a function of (seed, epoch) alone."""
        task, s = self.task, self.task.settings
        self.epoch = epoch
        self.candidate = task.space.random(streams.generator(task.seed, "candidate", epoch))
        with streams.seeded(task.seed, "candidate network", epoch):
            self.net: nn.Module = task.space.network(
                self.candidate, channels=s.channels, cells=s.cells, classes=task.classes, in_channels=task.in_channels
            ).to(task.device)
        self.optimiser = sgd(self.net, s)

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step of the epoch's candidate; the learning rate falls from first to last within the epoch."""
        if epoch != self.epoch:
            self._draw(epoch)
        s = self.task.settings
        rate = cosine(s.learning_rate, s.learning_rate_min, number / self.task.steps)
        self.optimiser.param_groups[0]["lr"] = rate
        self.net.train()
        self.net.random.reseed(self.task.seed, "noise", epoch, number)  # type: ignore[union-attr,operator]
        logits = self.net(train.images)
        loss = F.cross_entropy(logits, train.labels)
        descend(self.optimiser, self.net, weight_gradients(loss, self.net), s.gradient_clip)
        return loss.detach(), (logits.detach().argmax(1) == train.labels).sum()

    def sees(self, epoch: int, number: int, train: Batch, valid: Batch) -> None:
        """Nothing: there is no supernet."""
        return

    def accuracy(self, weights: Weights) -> float:
        """The best candidate's, which is all that has a weight."""
        return self.best[1]

    def measure(self) -> dict[str, float]:
        """The candidate on the alpha half; `discrete_accuracy` is that of the best candidate so far."""

        def forward(images: Tensor, number: int) -> Tensor:
            self.net.random.reseed(self.task.seed, "noise", "measure", number)  # type: ignore[union-attr,operator]
            return self.net(images)

        self.net.eval()
        loss, hits = accuracy(forward, self.task.valid, self.task.settings.batch_size)
        if hits > self.best[1]:
            self.best = (str(self.candidate), hits)
        return {"valid_loss": loss, "valid_accuracy": hits, "discrete_accuracy": self.best[1]}

    def weights(self) -> Weights:
        """One where the best candidate has an operation, else zero."""
        return self.task.space.encode(self.genotype())

    def alpha(self) -> Alpha:
        """None: random search has no alpha."""
        return {}

    def genotype(self) -> Genotype:
        """The best candidate so far."""
        return self.task.space.parse(self.best[0]) if self.best[0] else self.candidate

    def heed(self, history: Sequence[dict[str, Any]]) -> None:
        """Nothing changes."""

    def answer(self, history: Sequence[dict[str, Any]]) -> int:
        """The last row, which has the best candidate of all."""
        return len(history) - 1

    def stop(self, history: Sequence[dict[str, Any]]) -> bool:
        """Never: the budget is spent in full."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """The epoch's candidate in training, and the best so far."""
        return {
            "epoch": self.epoch,
            "best": self.best,
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Draw the saved epoch's candidate again and continue its training."""
        self._draw(state["epoch"])
        self.best = tuple(state["best"])
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])


@dataclass(frozen=True)
class RandomSearch:
    """The method without pieces: no relaxation, no gradient of alpha."""

    name: str = "random"
    options: Mapping[str, Value] = field(default_factory=dict)
    probes: tuple[Watched, ...] = ()

    def removes(self, space: str) -> tuple[str, ...]:
        """No operation."""
        return ()

    def layers(self, space: str) -> dict[str, Mapping[str, Value]]:
        """As first-order DARTS, whose budget this search is given."""
        return {f"recipe {self.name} on {space}": NATS if space == "nats-tss" else {}}

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """What is drawn, how it is ranked, and the budget."""
        candidates = "one an epoch" if settings is None else str(settings.epochs)
        return {
            "title": "Random search",
            "source": "Li & Talwalkar, Random Search and Reproducibility for NAS, UAI 2019 (budget: ours)",
            "candidates": f"{candidates}, uniform over the space's genotypes",
            "budget": "each trained as many weight steps as a supernet takes in an epoch, at its width and depth; no "
            "alpha steps",
            "selection": "best accuracy on the alpha half",
            "operations removed from the space": "no operation",
            "batch norm": "that of the derived networks: affine, running statistics",
        }

    def learner(self, task: Task) -> RandomLearner:
        """A learner with an empty record of the best."""
        return RandomLearner(task)


RANDOM = RandomSearch()
