"""What a search is trained for: the loss, and the metric that says how good an architecture is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal, Protocol

import torch.nn.functional as F
from torch import Tensor

from spaces.common.metric import ACCURACY, IMAGE_CLASSIFICATION, Metric

Reduction = Literal["mean", "sum"]
Parameters = Mapping[str, Tensor]


class Batches(Protocol):
    """One split of a training set, in batches. `suite.data.loader.Loader` is one."""

    def __len__(self) -> int:
        """Steps an epoch."""

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Augmented images [N, C, H, W] and targets [N, …]: a pure function of (epoch, step)."""

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All batches of the split, in stored order, without augmentation."""


class Task(ABC):
    """What networks are trained for, in a search and in the retraining.

    A subclass has a `name` and a `metric`, and gives `loss`, `tally` and `score`.
    """

    name: ClassVar[str]
    metric: ClassVar[Metric]
    categorical: ClassVar[bool] = False
    """Whether the outputs are logits of a distribution over classes, so that a likelihood is defined."""

    def outputs(self, classes: int) -> int:
        """The number of a network's outputs on a data set of so many classes. By default one for each class."""
        return classes

    def batches(self, split: Batches) -> Batches:
        """The batches of this task, made of a data set's own (images and labels). By default these."""
        return split

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The loss (a scalar) of outputs [N, …] and targets [N, …]: its mean over the batch, or its sum."""

    @abstractmethod
    def tally(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """What the metric adds up over the images of a batch (a scalar on their device), such as the number of hits."""

    @abstractmethod
    def score(self, tally: float, images: int) -> float:
        """The metric of a tally over so many images."""

    def point(self, alpha: Parameters, weights: Parameters, second_weights: Parameters) -> Mapping[str, float]:
        """Further columns of the history after an epoch, made of all parameters. By default none."""
        return {}


class ImageClassification(Task):
    """Cross-entropy and accuracy (%)."""

    name = IMAGE_CLASSIFICATION
    metric = ACCURACY
    categorical = True

    def loss(self, outputs: Tensor, targets: Tensor, reduction: Reduction = "mean") -> Tensor:
        """The cross-entropy of logits [N, classes] and labels [N]."""
        return F.cross_entropy(outputs, targets, reduction=reduction)

    def tally(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The number of images whose largest logit is their label's."""
        return (outputs.argmax(1) == targets).sum()

    def score(self, tally: float, images: int) -> float:
        """The share of hits, in %."""
        return 100 * tally / images


CLASSIFICATION = ImageClassification()
