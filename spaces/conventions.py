"""What a space declares about itself, so that no other module has to ask for its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from spaces.common.errors import InputError
from spaces.common.plural import counted
from spaces.common.settings import Value
from spaces.tabular.benchmark import TabularBenchmark

CellsPer = Literal["stage", "network"]
"""What a number of cells is per."""

Searched = Literal["operations", "inputs", "widths", "other"]


@dataclass(frozen=True)
class Role:
    """What an architecture parameter decides.

    - `of`: `"operations"`, a table `[edges, operations]` of a kind of cell; `"inputs"`, the edges into its nodes;
      `"widths"`, the channels of a layer; or `"other"`.
    - `kind`: the kind of cell, or the layer; empty where there is none to name.
    """

    of: Searched
    kind: str = ""

    def __post_init__(self) -> None:
        """Raise `InputError` where `of` is none of `Searched`."""
        if self.of not in get_args(Searched):
            raise InputError(f"Role({self.of!r}): choose {', '.join(get_args(Searched))}")


class Conventions:
    """The declarations of a search space.

    - `cells_per`: whether a size `cells` counts the searched cells of each stage, or all cells of the network.
    - `search_defaults`: settings of every search on this space where they differ from the base settings. A method's
      own settings override them.
    - `benchmark`: the tabular benchmark that has the accuracies of this space's architectures, if there is one.
    - `trials`: whether a trial can be run here: a search on a data set, then the training of the architecture that it
      found. A space without trials is a problem that `dartboard search` solves.
    - `relaxed`: whether alpha weighs operations against one another, so that a method has to relax the choice.
    """

    cells_per: ClassVar[CellsPer]
    search_defaults: ClassVar[Mapping[str, Value]] = {}
    benchmark: ClassVar[TabularBenchmark | None] = None
    trials: ClassVar[bool] = True
    relaxed: ClassVar[bool] = True

    def retraining(self, dataset: str) -> Mapping[str, Value]:
        """The settings with which the field trains derived networks on `dataset`, where they differ from the base.

        `dataset` is named as on the command line. Keys are those of `suite.evaluation.Evaluation`, whose defaults are
        DARTS's on CIFAR-10.
        """
        return {}

    @classmethod
    def count_cells(cls, cells: int) -> str:
        """The size `cells` in words: `5 cells a stage`, or `8 cells` in the whole network."""
        return counted(cells, "cell") + (" a stage" if cls.cells_per == "stage" else "")
