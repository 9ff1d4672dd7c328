"""What the readers of data sets return."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LabelledImages = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images [N, C, H, W] and their labels [N]."""


class Arrays(NamedTuple):
    """A data set as read: images uint8 [N, C, H, W], labels int64 [N] from 0 to `classes` - 1.

    `source` says where the images come from and how they were prepared. `notes` lists the changes to a user's own
    images that the user did not ask for, each in a few words.
    """

    x_train: NDArray[np.uint8]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.uint8]
    y_test: NDArray[np.int64]
    classes: int
    source: str
    notes: tuple[str, ...] = ()
