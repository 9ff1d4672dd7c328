"""Training of derived networks instead of a supernet: the base class of learners without alpha."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from methods.search.learners.learner import SearchSetup
from methods.search.learners.training import descend, measure, sgd, weight_gradients
from methods.search.step import Alpha, Batch, Weights
from spaces.cells.genotype import Genotype
from spaces.common import streams
from spaces.conventions import Role


class DerivedLearner(ABC):
    """Trains the derived network of one genotype at a time, at the supernet's width and depth."""

    roles: Mapping[str, Role] = {}  # there is no alpha

    def __init__(self, setup: SearchSetup) -> None:
        self.setup = setup

    def begin(self, genotype: Genotype, *purpose: str | int) -> None:
        """Start on the network of `genotype`, its first weights drawn for `purpose`, with a fresh optimiser."""
        setup, s = self.setup, self.setup.settings
        with streams.seeded(setup.seed, *purpose):
            self.net: nn.Module = setup.space.network(
                genotype, channels=s.channels, cells=s.cells, classes=setup.outputs, in_channels=setup.in_channels
            ).to(setup.device)
        self.optimiser = sgd(self.net, s)

    def weight_step(self, rate: float, epoch: int, number: int, train: Batch) -> tuple[Tensor, Tensor]:
        """One step of the weights at learning rate `rate`; the loss and the task's tally (scalars) before it."""
        self.optimiser.param_groups[0]["lr"] = rate
        self.net.train()
        self.net.random.reseed(self.setup.seed, "noise", epoch, number)  # type: ignore[union-attr,operator]
        logits = self.net(train.images)
        loss = self.setup.task.loss(logits, train.labels)
        descend(self.optimiser, weight_gradients(loss, self.optimiser), self.setup.settings.gradient_clip)
        return loss.detach(), self.setup.task.tally(logits.detach(), train.labels)

    def validation(self) -> tuple[float, float]:
        """Loss and metric of the network on the architecture split, with running statistics."""

        def forward(images: Tensor, number: int) -> Tensor:
            self.net.random.reseed(self.setup.seed, "noise", "measure", number)  # type: ignore[union-attr,operator]
            return self.net(images)

        self.net.eval()
        return measure(forward, self.setup.valid, self.setup.settings.batch_size, self.setup.task)

    def computed_by(self) -> str | None:
        """None: there is no supernet."""
        return None

    @abstractmethod
    def genotype(self) -> Genotype:
        """The architecture that the search would return now."""

    def weights(self) -> Weights:
        """One where the genotype has an operation, else zero."""
        return self.setup.space.encode(self.genotype())

    def alpha(self) -> Alpha:
        """Empty: there is no alpha."""
        return {}

    def make_step(self, epoch: int, number: int, train: Batch, valid: Batch) -> None:
        """Nothing: there is no supernet."""
        return

    def score(self, weights: Weights) -> float:
        """The network's metric on the architecture split; `weights` has no influence on it."""
        return self.validation()[1]

    def on_epoch_end(self, history: Sequence[dict[str, Any]]) -> None:
        """Do nothing."""
        return

    def select_epoch(self, history: Sequence[dict[str, Any]]) -> int:
        """The last row, which has the best of all."""
        return len(history) - 1

    def stop(self, history: Sequence[dict[str, Any]]) -> bool:
        """Never: the budget is spent in full."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """The network in training and its optimiser."""
        return {"net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue the training of the network that has begun."""
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
