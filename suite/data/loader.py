"""Batches of images that stay on the device as uint8, where they are gathered, augmented and normalised.

Random numbers are drawn on the CPU from a stream named by (seed, purpose, epoch, step) and copied to the device. So a
batch is the same on every device, and batches can be requested in any order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spaces.common.plural import counted
from spaces.common.streams import generator


@dataclass(frozen=True)
class Augment:
    """The standard augmentation of small images, drawn independently for each image.

    - `crop`: the image is padded with this many black pixels on each side, and a random window of its size is cut out.
    - `flip`: the image is mirrored left to right with probability 1/2.
    - `cutout`: a square with this side, centred anywhere in the image and clipped at its border, is set to the mean,
      which is zero after normalising (DeVries and Taylor, Cutout, 2017). 0: no cutout.
    """

    crop: int
    flip: bool
    cutout: int = 0

    @property
    def words(self) -> str:
        """The augmentation in words; ``none`` if there is none."""
        steps = [f"random crop after padding by {counted(self.crop, 'pixel')}"] if self.crop else []
        steps += ["random flip of left and right"] if self.flip else []
        steps += [f"cutout of {counted(self.cutout, 'pixel')}"] if self.cutout else []
        return ", ".join(steps) or "none"


class Loader:
    """Batches of `x` uint8 [N, C, H, W] and `y` int64 [N], both kept on `device`.

    A batch is a pure function of (seed, purpose, epoch, step). The permutation of an epoch comes from the stream
    (seed, purpose, "order", epoch), the augmentation of a batch from (seed, purpose, "augment", epoch, step).
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        *,
        batch_size: int,
        seed: int,
        purpose: str,
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augment | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        if len(x) == 0 or batch_size < 1:
            raise ValueError(f"a loader needs at least one image and a batch size of 1, not {len(x)} and {batch_size}")
        self.x = x.to(device)
        self.y = y.to(device)
        self.batch_size = batch_size
        self.seed = seed
        self.purpose = purpose
        self.augment = augment
        self.device = self.x.device
        # (x / 255 - mean) / std takes one multiplication and one addition for each pixel.
        deviation = torch.tensor(std, dtype=torch.float64)
        average = torch.tensor(mean, dtype=torch.float64)
        self._scale = (1 / (255 * deviation)).float().view(1, -1, 1, 1).to(device)
        self._shift = (-average / deviation).float().view(1, -1, 1, 1).to(device)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __len__(self) -> int:
        """Steps of an epoch: the number of full batches, or 1 if there are fewer images than a batch holds."""
        return max(1, len(self.x) // self.batch_size)

    def batch(self, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """The images float32 [B, C, H, W], augmented and normalised, and the labels int64 [B] of a step."""
        if not 0 <= step < len(self):
            raise IndexError(f"step {step} of an epoch of {len(self)} steps")
        chosen = self._permutation(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        if self.augment is None:
            return self._normalise(self.x[chosen]), self.y[chosen]
        stream = generator(self.seed, self.purpose, "augment", epoch, step)
        return self._augmented(self.x[chosen], self.augment, stream), self.y[chosen]

    def all(self, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Every image once, in stored order, normalised and not augmented. The last batch may be smaller."""
        for start in range(0, len(self.x), batch_size):
            end = start + batch_size
            yield self._normalise(self.x[start:end]), self.y[start:end]

    def _moved(self, drawn: Tensor) -> Tensor:
        """A copy on the device. The host does not wait for it."""
        return drawn.to(self.device, non_blocking=True)

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            order = torch.randperm(len(self.x), generator=generator(self.seed, self.purpose, "order", epoch))
            self._order, self._epoch = self._moved(order), epoch
        return self._order

    def _normalise(self, images: Tensor) -> Tensor:
        return images.float().mul_(self._scale).add_(self._shift)

    def _augmented(self, images: Tensor, augment: Augment, stream: torch.Generator) -> Tensor:
        count, channels, height, width = images.shape
        # For each pixel of the result, the row and the column of the image that it is taken from.
        rows = torch.arange(height, device=self.device).expand(count, -1)
        columns = torch.arange(width, device=self.device).expand(count, -1)
        if augment.crop:
            offsets = self._moved(torch.randint(-augment.crop, augment.crop + 1, (2, count, 1), generator=stream))
            rows, columns = rows + offsets[0], columns + offsets[1]
        if augment.flip:
            flipped = self._moved(torch.rand(count, 1, generator=stream) < 0.5)
            columns = torch.where(flipped, columns.flip(1), columns)
        if augment.crop or augment.flip:
            at = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
            pixels = at.view(count, 1, -1).expand(-1, channels, -1)
            images = images.flatten(2).gather(2, pixels).view_as(images)
            inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
            images = images * inside[:, None]
        result = self._normalise(images)
        if augment.cutout:
            centres = torch.stack([torch.randint(side, (count, 1), generator=stream) for side in (height, width)])
            top, left = self._moved(centres) - augment.cutout // 2
            row_cut = _within(torch.arange(height, device=self.device) - top, augment.cutout)
            column_cut = _within(torch.arange(width, device=self.device) - left, augment.cutout)
            result.masked_fill_((row_cut[:, :, None] & column_cut[:, None, :])[:, None], 0.0)
        return result


def _within(position: Tensor, size: int) -> Tensor:
    return (position >= 0) & (position < size)
