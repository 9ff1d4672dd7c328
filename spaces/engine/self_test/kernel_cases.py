"""The cases of a family of kernels: a node's sum, statistics, batch norm, ReLU, pooling; and those of convolutions."""

from collections.abc import Iterator

import torch
from torch import Tensor

from spaces.engine.kernels import Kernels
from spaces.engine.self_test.convolution_cases import convolution_cases
from spaces.engine.self_test.inputs import PIXELS, Case, Inputs, added, flat


def cases(device: torch.device, dtype: torch.dtype, rounded: torch.dtype | None = None) -> Iterator[tuple[str, Case]]:
    """Cases of every function by name. The inputs are first rounded to `rounded`, or to `dtype`."""
    of = Inputs(device, dtype, rounded)
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
        means, variances = of.statistics(2)
        kernels.moments(of.x + 3, means, variances)
        return [*means, *variances]

    yield "moments", moments

    def of_node(scale: Tensor, shift: Tensor) -> Case:
        """A node's sum and its backward pass, where norms learn a scale and a shift or a column stands for them."""

        def case(kernels: Kernels) -> list[Tensor]:
            sums, columns = kernels.reduce(of.g, of.terms)[0], (of.columns[0], scale, shift)
            learnt = scale.shape[1] > 1
            found = kernels.backward_coefficients(of.norms(19), sums, *columns, PIXELS, of.dtype, learnt=learnt)
            return [*kernels.forward_coefficients(of.norms(19), *columns, of.dtype), *flat(found)]

        return case

    yield "backward_coefficients", of_node(*of.learnt)
    yield "backward_coefficients", of_node(of.columns[1], of.columns[2])
    yield (
        "backward_coefficients",
        lambda kernels: flat(
            kernels.backward_coefficients(
                of.norms(1), kernels.reduce(of.g, of.terms[:1])[0], None, None, None, PIXELS, of.dtype, learnt=False
            )
        ),
    )
    yield "normalization", lambda kernels: [*kernels.normalization(of.norms(3), None, None, of.dtype)]
    yield (
        "normalization",
        lambda kernels: [*kernels.normalization(of.norms(3), of.coefficients[:3], of.coefficients[3:6], of.dtype)],
    )
    yield "summed_coefficients", lambda kernels: [*kernels.summed_coefficients(of.three)]
    yield "rectify", lambda kernels: [kernels.rectify(of.x)]

    def rectified_back(kernels: Kernels) -> list[Tensor]:
        gx = of.x.clone()
        kernels.rectify_backward(of.terms[1], of.x, gx)
        return [gx]

    yield "rectify_backward", rectified_back

    def pooled(stride: int, *, largest: bool) -> Case:
        def case(kernels: Kernels) -> list[Tensor]:
            value, gx = kernels.pool(of.x, stride, largest=largest), of.x.clone()
            grad_output = of.terms[1] if stride == 1 else of.smaller[0]
            kernels.pool_backward(grad_output, of.x, value, stride, gx, largest=largest)
            return [value, gx]

        return case

    for stride in (1, 2):
        for largest in (False, True):
            yield "pool", pooled(stride, largest=largest)
