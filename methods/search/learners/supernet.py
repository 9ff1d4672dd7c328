"""The learner of recipes: bilevel search through a supernet, a weight step and an alpha step on two splits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan
from typing import Any

import torch
from torch import Tensor

from methods.search.learners.learner import SearchSetup
from methods.search.learners.result_checks import ResultChecks
from methods.search.learners.training import (
    alpha_optimiser,
    cosine_annealing,
    descend,
    load_optimiser,
    measure,
    parameters_of,
    sgd,
    weight_gradients,
)
from methods.search.pieces import Pieces
from methods.search.stages import bounds, depth, prune, stage_of
from methods.search.step import Alpha, Batch, CachedGradients, Step, StepContext, Weights
from methods.search.task import Parameters
from spaces.base import Space
from spaces.cells.genotype import Genotype
from spaces.cells.operations import frozen_statistics
from spaces.common import streams
from spaces.engine.cuda_graphs import Graphs


def unrelaxed(alpha: Alpha, at: StepContext, split: str) -> Weights:
    """Alpha as it is: where it does not weigh operations against one another there is no choice to relax."""
    return alpha


class SupernetLearner:
    """Bilevel search through a supernet: a weight step and an alpha step on two splits (DARTS, algorithm 1)."""

    def __init__(self, recipe: Pieces, setup: SearchSetup) -> None:
        self.recipe = recipe if setup.space.relaxed else replace(recipe, relaxation=unrelaxed)
        self.setup = setup
        self.memory: dict[str, Any] = {}
        self._last = (0, 0)  # epoch and number of the latest step
        self.second_weights: Parameters | None = None  # set by a learner that trains a second set of weights
        self.checks = ResultChecks(recipe.name)
        self._weight_decay = self._decay(())
        self._enter(0, setup.space)

    def _enter(self, stage: int, space: Space) -> None:
        """Start a stage of the search: over `space`, a fresh supernet, alpha and optimisers, an empty memory."""
        setup = self.setup
        self.stage, self.space = stage, space
        cells = depth(self.recipe.stages, stage, setup.settings.cells)
        self.settings = s = replace(setup.settings, cells=cells, weight_decay=self._weight_decay)
        seed = streams.derive(setup.seed, "stage", stage) if stage else setup.seed
        with streams.seeded(seed, "supernet"):
            self.net = space.supernet(
                channels=s.channels,
                cells=s.cells,
                classes=setup.outputs,
                in_channels=setup.in_channels,
                affine=s.affine,
                batch_norm=s.batch_norm,
                node_norm=s.node_norm,
                auxiliary_skip=self.recipe.auxiliary_skip is not None,
                engine=setup.engine,
            ).on(setup.device)
        self.net.precision = setup.precision
        self.graphs = Graphs(self.net, required=bool(setup.graphs)) if setup.uses_graphs else None
        self.checks.enter(space, self.net, s.cells)
        start = self.checks.start(self.recipe.start, self.recipe.start(space, seed))
        self._alpha = {name: a.to(setup.device).requires_grad_() for name, a in start.items()}
        self.roles = self.checks.roles(self.recipe.roles, self.recipe.roles(space), self._alpha)
        self.checks.alpha = self._alpha
        self.optimiser = sgd(self.net, s)
        self.alpha_optimiser = alpha_optimiser(self._alpha, s)
        self.memory.clear()

    def computed_by(self) -> str:
        """What computes the supernet of this stage, and whether a GPU's passes come from graphs."""
        words = self.net.computed_by()
        if self.graphs:
            return f"{words}, {self.graphs.in_words()}"
        return words if self.setup.device.type == "cpu" else f"{words}, without CUDA graphs"

    def step(self, epoch: int, number: int, train: Batch, valid: Batch) -> tuple[Tensor, Tensor]:
        """One weight step and, if the schedule says so, one alpha step, in the order that the recipe declares.

        The first step of a stage starts from the operations that the stage before leaves it.
        """
        step = self.make_step(epoch, number, train, valid)
        self._last = (epoch, number)
        if self.setup.settings.order == "alpha-weights":
            self._alpha_step(step)
            return self._weight_step(step)
        result = self._weight_step(step)
        self._alpha_step(step)
        return result

    def make_step(self, epoch: int, number: int, train: Batch, valid: Batch) -> Step:
        """The step as its pieces see it, the stage entered and the rates set that it needs."""
        stages, s = self.recipe.stages, self.setup.settings
        stage = stage_of(stages, s.epochs, epoch)
        if stage != self.stage:
            self._enter(stage, prune(self.setup.space, self.space, self.weights(), stages, stage))
        first, end = bounds(stages, s.epochs)[stage : stage + 2]
        rate = cosine_annealing(s.learning_rate, s.learning_rate_min, (epoch - first) / (end - first))
        self.optimiser.param_groups[0]["lr"] = rate
        if not self.net.training:  # walking through its modules takes milliseconds
            self.net.train()
        context = self._context(epoch, number)
        self._regulate(context)
        return Step(
            **vars(context),
            net=self.net,
            graphs=self.graphs,
            alpha=self._alpha,
            relaxation=self._relaxation,
            memory=self.memory,
            learning_rate=rate,
            momenta=self._momenta,
            train=train,
            valid=valid,
            task=self.setup.task,
            second_weights=self.second_weights,
        )

    def _regulate(self, context: StepContext) -> None:
        """Set the supernet's dropout rate and the weight of its auxiliary skip-connections."""
        recipe, number = self.recipe, self.checks.number
        self.net.skip_dropout = number("skip_dropout", recipe.skip_dropout, recipe.skip_dropout(context), most=1)
        if (skip := recipe.auxiliary_skip) is not None:
            self.net.auxiliary_weight = number("auxiliary_skip", skip, skip(context))

    def _alpha_step(self, step: Step) -> None:
        recipe, checks = self.recipe, self.checks
        if not checks.truth("schedule", recipe.schedule, recipe.schedule(step)):
            return
        gradient = checks.like_alpha("gradient", recipe.gradient, recipe.gradient(step))
        for term in recipe.outer:
            extra = checks.added_to_alpha("outer", term, term(step))
            gradient = {name: g + extra[name] for name, g in gradient.items()}
        for name, alpha in self._alpha.items():
            alpha.grad = gradient[name]
        self.alpha_optimiser.step()
        self.alpha_optimiser.zero_grad(set_to_none=True)
        recipe.constraint(step)

    def _weight_step(self, step: Step) -> tuple[Tensor, Tensor]:
        gradients, loss, tally = self._inner_gradients(step)
        descend(self.optimiser, gradients, step.settings.gradient_clip)
        return loss, tally

    def _inner_gradients(self, step: Step) -> tuple[Sequence[Tensor], Tensor, Tensor]:
        """∇w of the training loss and the inner terms, that loss, and the task's tally; running statistics move."""
        # The inner objective and its terms are taken at the alpha that the perturbation gives.
        step = replace(step, alpha=self._perturbed(step))
        tables = self._layers(step) if self.recipe.layerwise else {}
        logits = step.logits(step.train, weights=tables or None, move_statistics=True)
        loss = step.task.loss(logits, step.train.labels)
        gradients: Sequence[Tensor] = weight_gradients(loss, self.optimiser, list(tables.values()))
        if tables:  # the layers' gradients of this pass, so that no term computes them again
            count = len(gradients) - len(tables)
            gradients, layers = gradients[:count], gradients[count:]
            step = replace(step, cached_gradients=CachedGradients(gradients, dict(zip(tables, layers, strict=True))))
        for piece in self.recipe.watch:
            piece(step, gradients)
        for term in self.recipe.inner:
            extra = self.checks.gradients(term, term(step))
            gradients = [g + more for g, more in zip(gradients, extra, strict=True)]
        return gradients, loss.detach(), step.task.tally(logits.detach(), step.train.labels)

    def _perturbed(self, step: Step) -> Alpha:
        """The alpha that the weight step sees."""
        piece = self.recipe.perturbation
        return self.checks.like_alpha("perturbation", piece, piece(step))

    def _relaxation(self, alpha: Alpha, at: StepContext, split: str) -> Weights:
        """The recipe's relaxation, its result checked."""
        piece = self.recipe.relaxation
        return self.checks.weights(piece, piece(alpha, at, split), split)

    def _layers(self, step: Step) -> Weights:
        """The operation weights, repeated as a table for each cell: leaves of the graph."""
        return {
            kind: w.detach().repeat(self.space.cells_of(kind, self.settings.cells), 1, 1).requires_grad_()
            for kind, w in step.relaxation(step.alpha, step, "train").items()
        }

    def _context(self, epoch: int, number: int) -> StepContext:
        setup = self.setup
        first, end = bounds(self.recipe.stages, setup.settings.epochs)[self.stage : self.stage + 2]
        steps = number / setup.steps
        return StepContext(
            space=self.space,
            settings=self.settings,
            seed=setup.seed,
            epoch=epoch,
            number=number,
            progress=(epoch + steps) / setup.settings.epochs,
            stage=self.recipe.stages[self.stage],
            stage_progress=(epoch - first + steps) / (end - first),
        )

    def _momenta(self) -> list[Tensor]:
        state = self.optimiser.state
        return [state[p].get("momentum_buffer", torch.zeros_like(p)) for p in parameters_of(self.optimiser)]

    def measure(self) -> dict[str, float]:
        """Loss and metric on the architecture split, further columns of the task, and what the pieces log."""
        measured = {**self._scores(), **self._point()}
        for piece in self.recipe.log:
            measured |= self.checks.columns(piece, piece(self.memory), measured)
        return measured

    def _scores(self) -> dict[str, float]:
        """On the architecture split: the mixture as `eval()` computes it, and the discretized architecture inside it.

        The discretized architecture's inputs are not those that the running statistics were gathered from, so it
        is always measured with the batch's own, and without what a derived network lacks: an auxiliary skip-connection
        and dropout. A space without a choice to relax has nothing to discretize.
        """
        self._regulate(self._context(*self._last))
        self.net.eval()
        loss, mixed = self._on_architecture_split(self.weights())
        name = self.setup.task.metric.name
        discrete = self.score(self.setup.space.encode(self.genotype())) if self.setup.space.relaxed else nan
        return {"valid_loss": loss, f"valid_{name}": mixed, f"discrete_{name}": discrete}

    def score(self, weights: Weights) -> float:
        """The supernet's metric at `weights`, with batch statistics and without what a derived network lacks."""
        self.net.train()
        rates = self.net.skip_dropout, self.net.auxiliary_weight
        self.net.skip_dropout = self.net.auxiliary_weight = 0.0
        with frozen_statistics(self.net):
            found = self._on_architecture_split(weights)[1]
        self.net.skip_dropout, self.net.auxiliary_weight = rates
        return found

    def _on_architecture_split(self, weights: Weights) -> tuple[float, float]:
        def forward(images: Tensor, number: int) -> Tensor:
            self.net.random.reseed(self.setup.seed, "noise", "measure", number)
            return compute(images, weights)

        compute = self.graphs or self.net
        return measure(forward, self.setup.valid, self.setup.settings.batch_size, self.setup.task)

    def _point(self) -> Mapping[str, float]:
        return self.setup.task.point(self.alpha(), dict(self.net.named_parameters()), self.second_weights or {})

    def weights(self) -> Weights:
        """The relaxed alpha, detached."""
        return self._relaxation(self.alpha(), self._context(*self._last), "select")

    def alpha(self) -> Alpha:
        """Alpha, detached."""
        return {name: a.detach() for name, a in self._alpha.items()}

    def genotype(self) -> Genotype:
        """What the recipe selects from the weights."""
        piece = self.recipe.selection
        return self.checks.genotype(piece, piece(self.space, self.weights()))

    def on_epoch_end(self, history: Sequence[dict[str, Any]]) -> None:
        """The weight decay is what the recipe's piece makes of the history."""
        self._weight_decay = self._decay(history)
        self.settings = replace(self.settings, weight_decay=self._weight_decay)
        self.optimiser.param_groups[0]["weight_decay"] = self._weight_decay

    def _decay(self, history: Sequence[dict[str, Any]]) -> float:
        piece = self.recipe.weight_decay
        return self.checks.number("weight_decay", piece, piece(history, self.setup.settings))

    def stop(self, history: Sequence[dict[str, Any]]) -> bool:
        """As the recipe's `stop` piece says."""
        piece = self.recipe.stop
        return self.checks.truth("stop", piece, piece(history, self.setup.settings))

    def select_epoch(self, history: Sequence[dict[str, Any]]) -> int:
        """As the recipe's `select_epoch` piece says."""
        piece = self.recipe.select_epoch
        return self.checks.row(piece, piece(history, self.setup.settings), len(history))

    def state_dict(self) -> dict[str, Any]:
        """The stage, weights with running statistics, alpha, both optimisers, pieces' memory, and the latest step."""
        return {
            "stage": self.stage,
            "mask": self.space.mask,
            "net": self.net.state_dict(),
            "alpha": self.alpha(),
            "optimiser": self.optimiser.state_dict(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "memory": self.memory,
            "last": self._last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore all of `state_dict`: in place where it is of the supernet at hand, else in the saved stage's."""
        stage, mask = state["stage"], state["mask"]
        if stage != self.stage or any(not torch.equal(own, mask[kind]) for kind, own in self.space.mask.items()):
            self._enter(stage, self.setup.space.restricted(mask))
        self.net.load_state_dict(state["net"])
        with torch.no_grad():
            for name, alpha in self._alpha.items():
                alpha.copy_(state["alpha"][name])
        load_optimiser(self.optimiser, state["optimiser"])
        self.alpha_optimiser.load_state_dict(state["alpha_optimiser"])
        memory = dict(state["memory"])
        self.memory.clear()
        self.memory.update(memory)
        self._last = tuple(state["last"])
