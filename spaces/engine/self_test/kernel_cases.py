"""The cases of a family of kernels: a node's sum, statistics, batch norm, pools; and those of convolutions."""

from collections.abc import Iterator

import torch
from torch import Tensor

from spaces.engine.kernel_values import Moments, PoolGradient
from spaces.engine.kernels import Kernels
from spaces.engine.self_test.convolution_cases import convolution_cases
from spaces.engine.self_test.inputs import SMALL, Case, Inputs, Size, added, flat


def cases(
    device: torch.device, dtype: torch.dtype, rounded: torch.dtype | None = None, size: Size = SMALL
) -> Iterator[tuple[str, Case]]:
    """Cases of every function by name. The inputs, of this size, are first rounded to `rounded`, or to `dtype`."""
    of = Inputs(device, dtype, rounded, size)
    yield from _cases(of)
    yield from convolution_cases(of)


def _cases(of: Inputs) -> Iterator[tuple[str, Case]]:
    def combined(count: int, offset: Tensor | None, accumulate: bool) -> Case:
        def case(kernels: Kernels) -> list[Tensor]:
            out = of.bias.expand_as(of.x).clone()
            kernels.combine(of.terms[:count], of.coefficients[:count], offset, out, accumulate=accumulate)
            return [out]

        return case

    yield "combine", combined(19, of.bias, accumulate=False)
    yield "combine", combined(3, None, accumulate=True)
    yield "reduce", lambda kernels: [added(kernels.reduce(of.g, of.terms)[0])]

    def moments(kernels: Kernels) -> list[Tensor]:
        into = of.statistics(2)
        kernels.moments(of.x + 3, into)
        return of.measured(kernels, into)

    yield "moments", moments

    def of_node(scale: Tensor, shift: Tensor) -> Case:
        """A node's sum and its backward pass, where norms learn a scale and a shift or a column stands for them."""

        def case(kernels: Kernels) -> list[Tensor]:
            sums, columns = kernels.reduce(of.g, of.terms)[0], (of.columns[0], scale, shift)
            learnt = scale.shape[1] > 1
            found = kernels.backward_coefficients(of.norms(19), sums, *columns, of.pixels, of.dtype, learnt=learnt)
            forward, bias = kernels.forward_coefficients(of.norms(19), *columns, of.dtype)
            return [forward, bias.reshape(-1, of.channels).double().sum(0), *flat(found)]

        return case

    yield "backward_coefficients", of_node(*of.learnt)
    yield "backward_coefficients", of_node(of.columns[1], of.columns[2])
    yield (
        "backward_coefficients",
        lambda kernels: flat(
            kernels.backward_coefficients(
                of.norms(1), kernels.reduce(of.g, of.terms[:1])[0], None, None, None, of.pixels, of.dtype, learnt=False
            )
        ),
    )
    yield "normalization", lambda kernels: [*kernels.normalization(of.norms(3), None, None, of.dtype)]
    yield (
        "normalization",
        lambda kernels: [*kernels.normalization(of.norms(3), of.coefficients[:3], of.coefficients[3:6], of.dtype)],
    )
    rows = torch.tensor([2, 0, 1], device=of.device)
    yield (
        "running_rows",
        lambda kernels: [torch.stack([*each]) for each in kernels.running_rows(of.norms(3), rows, of.pixels, of.dtype)],
    )

    def pooled(stride: int) -> Case:
        """The maximum and the mean of one image and the maximum of another, each with a norm behind it."""

        def case(kernels: Kernels) -> list[Tensor]:
            given, into = [of.terms[1], of.g] if stride == 1 else of.smaller, of.statistics(3)
            xs, kinds, gxs = [of.x, of.x, of.terms[2]], [True, False, True], [of.x.clone(), of.g.clone()]
            of_each = [Moments([row], into.mean, into.variance, into.partial) for row in range(3)]
            values, saved = kernels.pools(xs, kinds, stride, of_each)
            kernels.pools_backward(
                [
                    PoolGradient(given, of.three[:2], xs[0], values[0], saved[0], True, gxs[0]),
                    PoolGradient(given[1:], of.three[1:2], xs[1], values[1], saved[1], False, gxs[0]),
                    PoolGradient(given[:1], of.three[2:], xs[2], values[2], saved[2], True, gxs[1]),
                ],
                stride,
            )
            return [*values, *gxs, *of.measured(kernels, into)]

        return case

    yield "pools", pooled(1)
    yield "pools", pooled(2)
