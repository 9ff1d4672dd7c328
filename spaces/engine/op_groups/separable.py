"""The dilated and separable convolutions of a source node, which the kernels compute together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spaces.cells.operations import BatchNorm
from spaces.engine.kernel_values import BackwardCoefficients, Bypass, DepthwiseShape, SeparableStage
from spaces.engine.kernels import WeightGradients
from spaces.engine.op_groups.groups import Group, GroupGradients, GroupInputs, GroupOutputs

StageGradient = tuple[Tensor, Tensor, BackwardCoefficients]
"""The gradient of a stage's value y as A g + B y + K: g, y, and the coefficients."""

NEITHER = (None, None)  # scale nor shift


class SeparableConvolution(NamedTuple):
    """A dilated or separable convolution: depthwise and pointwise, once or twice, with a batch norm between the two."""

    convolutions: tuple[tuple[nn.Conv2d, nn.Conv2d], ...]
    between: BatchNorm | None = None

    def parameters(self) -> list[Tensor]:
        """The kernels, then scale and shift of the batch norm between, if it learns them."""
        found = [convolution.weight for pair in self.convolutions for convolution in pair]
        if self.between is not None and self.between.affine:
            found += [self.between.weight, self.between.bias]
        return found

    def stage(self, number: int, x: Tensor, parameters: Sequence[Tensor], *normalization: Tensor) -> SeparableStage:
        """A stage on x, normalised first if a scale and a shift are given."""
        depthwise, _ = self.convolutions[number]
        form = DepthwiseShape(depthwise.kernel_size[0], depthwise.dilation[0], depthwise.stride[0])
        scale, shift = normalization or NEITHER
        of_depthwise, of_pointwise = parameters[2 * number : 2 * number + 2]
        return SeparableStage(x, scale, shift, of_depthwise, of_pointwise, form)


@dataclass
class Separable(Group):
    """Dilated and separable convolutions; the rows of the batch norms within them are consecutive."""

    members: list[SeparableConvolution] = field(default_factory=list)
    first_between: int = -1

    def parameters(self) -> list[Tensor]:
        """Those of each member in turn."""
        return [parameter for member in self.members for parameter in member.parameters()]

    def _by_member(self, parameters: Sequence[Tensor]) -> list[list[Tensor]]:
        """The parameters of each member."""
        rest = iter(parameters)
        return [list(islice(rest, len(member.parameters()))) for member in self.members]

    def _of_two_stages(self, places: Iterable[int]) -> list[int]:
        """The places of members with two stages, which have a batch norm between them."""
        return [place for place in places if self.members[place].between is not None]

    def _between(self, places: Sequence[int]) -> slice:
        """The rows of the batch norms within these members, which are consecutive."""
        first = self.first_between + len(self._of_two_stages(range(places[0])))
        return slice(first, first + len(places))

    def forward(self, given: GroupInputs) -> GroupOutputs:
        """Saves the state between two stages: the raw values, and the scales and shifts that normalise them."""
        kernels, statistics = given.kernels, given.statistics
        members, own, rows = self.members, self._by_member(given.parameters), [*self.rows]
        twice = self._of_two_stages(range(len(members)))
        for row, place in enumerate(twice, self.first_between):
            rows[place] = row
        firsts = [member.stage(0, x, of) for member, x, of in zip(members, given.xs, own, strict=True)]
        values = kernels.separable(firsts, statistics.moments(rows))
        if not twice:
            return GroupOutputs(values)
        between = [values[place] for place in twice]
        learnt = _stacked([own[place][4:] for place in twice])
        scale, shift = kernels.normalization(statistics.norms(self._between(twice)), *learnt, given.x.dtype)
        seconds = [
            members[place].stage(1, y, own[place], *of)
            for place, y, *of in zip(twice, between, scale.unbind(), shift.unbind(), strict=True)
        ]
        into = statistics.moments([self.rows[place] for place in twice])
        for place, value in zip(twice, kernels.separable(seconds, into), strict=True):
            values[place] = value
        return GroupOutputs(values, [*between, scale, shift])

    def backward(
        self, given: GroupInputs, outputs: GroupOutputs, back: GroupGradients, gxs: Mapping[int, Tensor]
    ) -> list[Tensor | None]:
        """As many members at once as the kernels take."""
        own, places, at_once = self._by_member(given.parameters), range(len(self.members)), given.kernels.AT_ONCE
        found: list[Tensor | None] = []
        begun: set[int] = set()
        for start in range(0, len(places), at_once):
            incoming = {
                place: (back.gradients[place], outputs.values[place], back.coefficients[place])
                for place in places[start : start + at_once]
            }
            later = self._second_stages_backward(given, incoming, outputs.saved, own, back.of_weights)
            firsts = [self.members[place].stage(0, given.xs[place], own[place]) for place in incoming]
            sources = [self.sources[place] for place in incoming]
            bypass = [Bypass() if source in begun else back.bypass.get(source, Bypass()) for source in sources]
            begun.update(sources)
            gradients, values, coefficients = zip(*incoming.values(), strict=True)
            _, kernels = given.kernels.separable_backward(
                gradients,
                values,
                coefficients,
                firsts,
                [gxs[source] for source in sources],
                bypass=bypass,
                of_weights=back.of_weights,
            )
            for number, place in enumerate(incoming):
                found += [*kernels[2 * number : 2 * number + 2], *later.get(place, [])]
        return found

    def _second_stages_backward(
        self,
        given: GroupInputs,
        incoming: dict[int, StageGradient],
        saved: Sequence[Tensor],
        own: Sequence[Sequence[Tensor]],
        of_weights: WeightGradients | None,
    ) -> dict[int, list[Tensor | None]]:
        """The backward pass of second stages and the batch norms before them.

        Replaces the gradients in `incoming`, by member, with those of the first stages. Returns, by member, the
        gradients of the second stages' kernels, and of the norms' scale and shift.
        """
        if not (twice := self._of_two_stages(incoming)):
            return {}
        kernels, rows, (*between, scale, shift) = given.kernels, self._between(twice), saved
        seconds = [
            self.members[place].stage(1, between[n], own[place], scale[n], shift[n])
            for n, place in enumerate(twice, rows.start - self.first_between)
        ]
        inner = [torch.empty_like(stage.x) for stage in seconds]
        gradients, values, coefficients = zip(*(incoming[place] for place in twice), strict=True)
        sums, found = kernels.separable_backward(
            gradients, values, coefficients, seconds, inner, bypass=None, of_weights=of_weights
        )
        assert sums is not None
        gamma, _ = _stacked([own[place][4:] for place in twice])
        norms = kernels.backward_coefficients(
            given.statistics.norms(rows), sums, None, gamma, None, inner[0][..., 0].numel(), scale.dtype,
            learnt=gamma is not None and of_weights is not None,
        )  # fmt: skip
        later = {}
        for n, place in enumerate(twice):
            incoming[place] = (inner[n], seconds[n].x, norms.coefficients[n])
            of_norm = [None if of is None else of[n] for of in (norms.of_scale, norms.of_shift)]
            later[place] = [*found[2 * n : 2 * n + 2], *of_norm[: len(own[place][4:])]]
        return later


def _stacked(learnt: Sequence[Sequence[Tensor]]) -> tuple[Tensor | None, Tensor | None]:
    """The scales and the shifts of batch norms, `[norms, C]` each, if they learn them."""
    if not all(learnt):
        return NEITHER
    scales, shifts = zip(*learnt, strict=True)
    return torch.stack(scales), torch.stack(shifts)
