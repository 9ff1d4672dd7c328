"""A recipe is a method made of pieces: a gradient-based search through a supernet."""

from dataclasses import dataclass

from methods.search.learners.learner import Learner, SearchSetup
from methods.search.learners.supernet import SupernetLearner
from methods.search.method import Method
from methods.search.piece_forms import describe
from methods.search.pieces import Pieces
from methods.search.settings import Settings
from methods.search.stages import Stage, bounds, depth


@dataclass(frozen=True, kw_only=True)
class Recipe(Method, Pieces):
    """A gradient-based search through a supernet. `probes` are those that its pieces read in the history."""

    def learner(self, setup: SearchSetup) -> Learner:
        """The supernet learner with these pieces."""
        return SupernetLearner(self, setup)

    def made_of(self, settings: Settings | None = None) -> dict[str, str]:
        """The pieces, in words; with `settings`, also the order of steps and the batch norm."""
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
            "stages": _in_words(self.stages, settings),
            "skip dropout": self._dropout(),
            "auxiliary skip": describe(self.auxiliary_skip) if self.auxiliary_skip else "none",
        }
        logged = {"logged in the history": "; ".join(map(describe, self.log))} if self.log else {}
        return {**pieces, **logged, **(_how_it_is_run(settings) if settings else {})}

    def _dropout(self) -> str:
        rates = [stage.skip_dropout for stage in self.stages]
        return f"{describe(self.skip_dropout)} ({', '.join(map(str, rates))})" if any(rates) else "none"


def _in_words(stages: tuple[Stage, ...], settings: Settings | None) -> str:
    """A recipe's stages: as declared, or with `settings` as they are run."""
    if len(stages) == 1:
        return "one: the whole search"
    starts = bounds(stages, settings.epochs) if settings else []
    words = []
    for number, stage in enumerate(stages):
        epochs = starts[number + 1] - starts[number] if settings else stage.epochs
        cells = depth(stages, number, settings.cells) if settings else stage.cells
        words.append(f"{epochs} epochs at depth {cells}, {stage.operations} of {stages[0].operations} operations")
    return "; ".join(words) + "; each with a fresh supernet, alpha and optimisers"


def _how_it_is_run(settings: Settings) -> dict[str, str]:
    """What public codes leave unsaid: the order within a step, and the supernet's batch norm."""
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
