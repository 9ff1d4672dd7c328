"""The dilated and separable convolutions of a source node, handed to the kernels together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import BatchNorm
from spaces.engine.batch_statistics import Statistics
from spaces.engine.op_groups import Back, Group, Kernels
from spaces.engine.torch_kernels import Form, Half
from spaces.engine.torch_statistics import Slope

Coming = tuple[Tensor, Tensor, Slope]
"""What comes back to a half: g, its value y, and the slope that makes A g + B y + K of them."""

NEITHER = (None, None)  # scale nor shift


class Halves(NamedTuple):
    """A dilated or separable convolution: depthwise and pointwise, once or twice, a batch norm between the two."""

    stages: tuple[tuple[nn.Conv2d, nn.Conv2d], ...]
    between: BatchNorm | None = None

    def parameters(self) -> list[Tensor]:
        """The kernels, then scale and shift of the batch norm between, where it has them."""
        found = [convolution.weight for stage in self.stages for convolution in stage]
        if self.between is not None and self.between.affine:
            found += [self.between.weight, self.between.bias]
        return found

    def half(self, stage: int, x: Tensor, parameters: Sequence[Tensor], *normalising: Tensor) -> Half:
        """A stage on x, normalised first where a scale and a shift are given."""
        depthwise, _ = self.stages[stage]
        form = Form(depthwise.kernel_size[0], depthwise.dilation[0], depthwise.stride[0])
        scale, shift = normalising or NEITHER
        of_depthwise, of_pointwise = parameters[2 * stage : 2 * stage + 2]
        return Half(x, scale, shift, of_depthwise, of_pointwise, form)


@dataclass
class Separable(Group):
    """Dilated and separable convolutions; the rows of the batch norms within them follow one another."""

    members: list[Halves] = field(default_factory=list)
    first_between: int = -1

    def parameters(self) -> list[Tensor]:
        """The members' in turn."""
        return [parameter for member in self.members for parameter in member.parameters()]

    def _apart(self, parameters: Sequence[Tensor]) -> list[list[Tensor]]:
        """The parameters of each member."""
        rest = iter(parameters)
        return [list(islice(rest, len(member.parameters()))) for member in self.members]

    def _twice(self, places: Iterable[int]) -> list[int]:
        """Those of these members that have a batch norm within."""
        return [place for place in places if self.members[place].between is not None]

    def _between(self, places: Sequence[int]) -> slice:
        """The rows of the batch norms within these members, which follow one another."""
        first = self.first_between + len(self._twice(range(places[0])))
        return slice(first, first + len(places))

    def forward(
        self, kernels: Kernels, x: Tensor, parameters: Sequence[Tensor], statistics: Statistics
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Keeps what stands between two halves: the raw values, and scales and shifts that normalise them."""
        members, own, rows = self.members, self._apart(parameters), [*self.rows]
        twice = self._twice(range(len(members)))
        for row, place in enumerate(twice, self.first_between):
            rows[place] = row
        firsts = [member.half(0, x, of) for member, of in zip(members, own, strict=True)]
        values = kernels.separable(firsts, *statistics.written(rows))
        if not twice:
            return values, []
        between = [values[place] for place in twice]
        learnt = _stacked([own[place][4:] for place in twice])
        scale, shift = kernels.normalising(statistics.norms(self._between(twice)), *learnt, x.dtype)
        seconds = [
            members[place].half(1, y, own[place], *of)
            for place, y, *of in zip(twice, between, scale.unbind(), shift.unbind(), strict=True)
        ]
        where = statistics.written([self.rows[place] for place in twice])
        for place, value in zip(twice, kernels.separable(seconds, *where), strict=True):
            values[place] = value
        return values, [*between, scale, shift]

    def backward(
        self,
        kernels: Kernels,
        x: Tensor,
        values: Sequence[Tensor],
        kept: Sequence[Tensor],
        parameters: Sequence[Tensor],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """As many members at once as the kernels take."""
        own, everyone = self._apart(parameters), range(len(self.members))
        found: list[Tensor | None] = []
        for start in range(0, len(everyone), kernels.AT_ONCE):
            some = everyone[start : start + kernels.AT_ONCE]
            coming = {place: (back.gradients[place], values[place], back.slopes[place]) for place in some}
            found += self._through(kernels, x, coming, kept, own, back, gx)
        return found

    def _through(
        self,
        kernels: Kernels,
        x: Tensor,
        coming: dict[int, Coming],
        kept: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        back: Back,
        gx: Tensor,
    ) -> list[Tensor | None]:
        """Back through members, by their places."""
        later = self._through_second(kernels, coming, kept, own, back)
        firsts = [self.members[place].half(0, x, own[place]) for place in coming]
        _, found = kernels.separable_backward(*zip(*coming.values(), strict=True), firsts, gx, weights=back.weights)
        return [of for n, place in enumerate(coming) for of in (*found[2 * n : 2 * n + 2], *later.get(place, []))]

    def _through_second(
        self,
        kernels: Kernels,
        coming: dict[int, Coming],
        kept: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        back: Back,
    ) -> dict[int, list[Tensor | None]]:
        """Through second halves and the batch norms before them: `coming` is then what comes to first halves.

        The gradients of their kernels, and of the norms' scale and shift, by members' places.
        """
        if not (twice := self._twice(coming)):
            return {}
        rows, (*between, scale, shift) = self._between(twice), kept
        seconds = [
            self.members[place].half(1, between[n], own[place], scale[n], shift[n])
            for n, place in enumerate(twice, rows.start - self.first_between)
        ]
        inner = [torch.empty_like(half.x) for half in seconds]
        given = zip(*(coming[place] for place in twice), strict=True)
        sums, found = kernels.separable_backward(*given, seconds, inner, weights=back.weights)
        gamma, _ = _stacked([own[place][4:] for place in twice])
        passed = kernels.slopes(
            back.statistics.norms(rows), sums, None, gamma, None, inner[0][..., 0].numel(), scale.dtype,
            learnt=gamma is not None and back.weights,
        )  # fmt: skip
        later = {}
        for n, place in enumerate(twice):
            coming[place] = (inner[n], seconds[n].x, passed.slopes[n])
            of_norm = [None if of is None else of[n] for of in (passed.of_scale, passed.of_shift)]
            later[place] = [*found[2 * n : 2 * n + 2], *of_norm[: len(own[place][4:])]]
        return later


def _stacked(learnt: Sequence[Sequence[Tensor]]) -> tuple[Tensor | None, Tensor | None]:
    """The scales and the shifts of batch norms, `[norms, C]` each, where they learn any."""
    if not all(learnt):
        return NEITHER
    scales, shifts = zip(*learnt, strict=True)
    return torch.stack(scales), torch.stack(shifts)
