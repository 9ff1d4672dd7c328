"""Not searches: fixed architectures that are trained as a search's weights are, so that their losses can be compared.

PR-DARTS (Zhou et al., NeurIPS 2020) says that a search which follows the loss prefers what trains fast. Its Figure 2
trains cells with more and more skip-connections, its Theorem 4 is about a deep and a shallow cell (`methods/pr_darts_theory.py`
has both). Here each is a method, so that a study runs them like any other and a report shows their training losses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from methods.pr_darts_theory import SHARES, depth_genotypes, skip_genotypes
from methods.search.learner import Task
from methods.search.probe import Watched
from methods.search.recipe import FileRead
from methods.search.settings import Settings, Value
from methods.search.standalone_training import DerivedLearner
from methods.search.step import Batch
from methods.search.training import cosine
from spaces.base import Space
from spaces.cells.genotype import Genotype


class FixedLearner(DerivedLearner):
    """Trains one architecture on the weight split for all epochs, the learning rate annealed as a search's is."""

    def __init__(self, task: Task, genotype: Genotype) -> None:
        super().__init__(task)
        self._genotype = genotype
        self.begin(genotype, "theory network")

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step; the architecture split is not trained on."""
        s = self.task.settings
        return self.weight_step(cosine(s.learning_rate, s.learning_rate_min, epoch / s.epochs), epoch, number, train)

    def measure(self) -> dict[str, float]:
        """The network on the architecture split; nothing is left to discretize."""
        loss, hits = self.validation()
        return {"valid_loss": loss, "valid_accuracy": hits, "discrete_accuracy": hits}

    def genotype(self) -> Genotype:
        """The one that was given."""
        return self._genotype


@dataclass(frozen=True)
class FixedArchitecture:
    """A method that searches nothing: `architecture` says what it trains, from the space and the trial's seed."""

    name: str
    title: str
    exhibit: str
    words: str
    architecture: Callable[[Space, int], Genotype]
    options: Mapping[str, Value] = field(default_factory=dict)
    probes: tuple[Watched, ...] = ()
    spaces: tuple[str, ...] = ("darts", "s2", "s3")  # where every edge can be a skip-connection or a convolution

    def removes(self, space: str) -> tuple[str, ...]:
        """No operation."""
        return ()

    def layers(self, space: Space) -> dict[str, Mapping[str, Value]]:
        """Those of the space."""
        return {f"space {space.name}": space.search_defaults}

    def reads(self, space: Space, settings: Settings) -> dict[str, FileRead]:
        """No file."""
        return {}

    def declaration(self, settings: Settings | None = None) -> dict[str, str]:
        """What is trained, and on what."""
        return {
            "title": f"No search: {self.title}",
            "source": f"Zhou et al., Theory-Inspired Path-Regularized Differentiable NAS, NeurIPS 2020, {self.exhibit}",
            "architecture": self.words,
            "training": "the derived network at the supernet's width and depth, on the weight split, by the weights' "
            "optimiser; the architecture split is measured alone",
            "operations removed from the space": "no operation",
            "batch norm": "that of the derived networks: affine, running statistics",
        }

    def learner(self, task: Task) -> FixedLearner:
        """A learner of the one architecture."""
        return FixedLearner(task, self.architecture(task.space, task.seed))


def with_skips(share: float) -> FixedArchitecture:
    """Figure 2's cell with this share of skip-connections."""
    percent = f"{100 * share:g}"
    return FixedArchitecture(
        name=f"fixed-skips-{percent}",
        title=f"fixed cells of 3x3 separable convolutions and {percent} % skip-connections",
        exhibit="Figure 2",
        words=f"{percent} % of both cells' operations skip-connections, the rest 3x3 separable convolutions; which, "
        "and which nodes are connected, is drawn by the seed, the same wiring for every share",
        architecture=lambda space, seed: skip_genotypes(space, seed, (share,))[share],
    )


def of_depth(kind: str, words: str) -> FixedArchitecture:
    """The `deep` or the `shallow` cell."""
    return FixedArchitecture(
        name=f"fixed-{kind}",
        title=f"fixed {kind} cells of 3x3 separable convolutions",
        exhibit="Theorem 4",
        words=f"3x3 separable convolutions alone; {words}",
        architecture=lambda space, seed: depth_genotypes(space)[kind],
    )


SKIPS_0, SKIPS_37, SKIPS_62 = (with_skips(share) for share in SHARES)
DEEP = of_depth("deep", "each node takes the two nodes before it")
SHALLOW = of_depth("shallow", "each node takes the cell's two inputs")
