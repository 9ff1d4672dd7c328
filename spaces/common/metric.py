"""What a number says of an architecture: its name, its unit, and which way it is better."""

from dataclasses import dataclass
from math import inf
from typing import Literal


@dataclass(frozen=True)
class Metric:
    """A number that says how good an architecture is.

    - `name`: a word in lower case, part of the names of the history's columns, such as `valid_accuracy`.
    - `better`: which way it is better.
    - `unit`: `"%"` for a number from 0 to 100, else empty.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: Literal["%", ""] = ""

    @property
    def title(self) -> str:
        """The name as a heading: `Accuracy`."""
        return self.name.replace("_", " ").capitalize()

    @property
    def heading(self) -> str:
        """The name as a heading, with its unit: `Accuracy (%)`."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    def words(self, value: float) -> str:
        """A value with its unit, such as `93.10 %`."""
        return f"{value:.2f} {self.unit}" if self.unit else f"{value:.4g}"

    @property
    def worst(self) -> float:
        """What every value is better than."""
        return -inf if self.better == "higher" else inf

    def improves(self, value: float, on: float) -> bool:
        """Whether `value` is better than `on`; false for what is not a number."""
        return value > on if self.better == "higher" else value < on


IMAGE_CLASSIFICATION = "image-classification"
"""The task of a trial that names no other; its metric is `ACCURACY`."""

ACCURACY = Metric("accuracy", better="higher", unit="%")
