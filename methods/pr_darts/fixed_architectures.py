"""Fixed architectures, trained as the weights of a search are: their losses can be compared. They search nothing.

PR-DARTS (Zhou et al., NeurIPS 2020) claims that a search which follows the loss prefers what trains fast. Its Figure 2
trains cells with more and more skip-connections, its Theorem 4 is about a deep and a shallow cell (both in
`methods/pr_darts/theory.py`). Here each is a method: a study runs it like any other and a report shows its losses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from methods.pr_darts.theory import SHARES, depth_genotypes, skip_genotypes
from methods.search.learners.learner import SearchSetup
from methods.search.learners.standalone_training import DerivedLearner
from methods.search.learners.training import cosine_annealing
from methods.search.method import Method
from methods.search.settings import Settings
from methods.search.step import Batch
from spaces.base import Space
from spaces.cells.genotype import Genotype


class FixedLearner(DerivedLearner):
    """Trains one architecture on the weight split for all epochs, the learning rate annealed as a search's is."""

    def __init__(self, setup: SearchSetup, genotype: Genotype) -> None:
        super().__init__(setup)
        self._genotype = genotype
        self.begin(genotype, "theory network")

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step; the architecture split is not trained on."""
        s = self.setup.settings
        return self.weight_step(
            cosine_annealing(s.learning_rate, s.learning_rate_min, epoch / s.epochs), epoch, number, train
        )

    def measure(self) -> dict[str, float]:
        """The network on the architecture split; nothing is left to discretize."""
        loss, score = self.validation()
        name = self.setup.task.metric.name
        return {"valid_loss": loss, f"valid_{name}": score, f"discrete_{name}": score}

    def genotype(self) -> Genotype:
        """The one that was given."""
        return self._genotype


@dataclass(frozen=True, kw_only=True)
class FixedArchitecture(Method):
    """A method that searches nothing: `architecture` gives what it trains, from the space and the trial's seed."""

    words: str
    architecture: Callable[[Space, int], Genotype]
    spaces: tuple[str, ...] = ("darts", "s2", "s3")  # where every edge can be a skip-connection or a convolution
    quick: Mapping[str, tuple[int, ...]] | None = field(default_factory=dict)  # no search, so no part of that study

    def made_of(self, settings: Settings | None = None) -> dict[str, str]:
        """What is trained, and on what."""
        return {
            "architecture": self.words,
            "training": "the derived network at the supernet's width and depth, on the weight split, by the weights' "
            "optimiser; the architecture split is measured alone",
            "batch norm": "that of the derived networks: affine, running statistics",
        }

    def learner(self, setup: SearchSetup) -> FixedLearner:
        """A learner of the one architecture."""
        return FixedLearner(setup, self.architecture(setup.space, setup.seed))


SOURCE = "Zhou et al., Theory-Inspired Path-Regularized Differentiable NAS, NeurIPS 2020"


def with_skips(share: float) -> FixedArchitecture:
    """Figure 2's cell with this share of skip-connections."""
    percent = f"{100 * share:g}"
    return FixedArchitecture(
        name=f"fixed-skips-{percent}",
        title=f"No search: fixed cells of 3x3 separable convolutions and {percent} % skip-connections",
        source=f"{SOURCE}, Figure 2",
        words=f"{percent} % of both cells' operations skip-connections, the rest 3x3 separable convolutions; which, "
        "and which nodes are connected, is drawn by the seed, the same wiring for every share",
        architecture=lambda space, seed: skip_genotypes(space, seed, (share,))[share],
    )


def of_depth(kind: str, words: str) -> FixedArchitecture:
    """The `deep` or the `shallow` cell."""
    return FixedArchitecture(
        name=f"fixed-{kind}",
        title=f"No search: fixed {kind} cells of 3x3 separable convolutions",
        source=f"{SOURCE}, Theorem 4",
        words=f"3x3 separable convolutions alone; {words}",
        architecture=lambda space, seed: depth_genotypes(space)[kind],
    )


SKIPS_0, SKIPS_37, SKIPS_62 = (with_skips(share) for share in SHARES)
DEEP = of_depth("deep", "each node takes the two nodes before it")
SHALLOW = of_depth("shallow", "each node takes the cell's two inputs")
