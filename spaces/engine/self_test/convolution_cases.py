"""The cases of dense and separable convolutions, with the moments of the batch and their backward passes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from spaces.engine.kernel_values import NOTHING, Bypass, DepthwiseShape, Pointwise, SeparableStage, WeightedImages
from spaces.engine.kernels import Kernels
from spaces.engine.self_test.inputs import Case, Inputs, added, flat, given
from spaces.engine.torch_kernels import evaluate


def convolution_cases(of: Inputs) -> Iterator[tuple[str, Case]]:
    """By name; each forward and back."""

    def dense(kinds: Sequence[Tensor], bypass: Bypass) -> Case:
        """Convolutions of one image, with the gradients that bypass them."""

        def case(kernels: Kernels) -> list[Tensor]:
            into, gx, of_weights = of.statistics(len(kinds)), of.x.clone(), kernels.weight_gradients()
            values, second = kernels.dense(of.x, kinds, into) if kinds else ([], None)
            gradients = [of.g, of.terms[1], of.g][: len(kinds)]
            whole = [y if y.numel() else Pointwise(of.x, weight) for y, weight in zip(values, kinds, strict=True)]
            products = [kernels.reduce(g, [value])[1][0] for g, value in zip(gradients, whole, strict=True)]
            found = kernels.dense_backward(
                gradients, values, of.three[: len(kinds)], of.x, kinds, gx, second=second, products=products,
                bypass=bypass, of_weights=of_weights,
            )  # fmt: skip
            of_weights.finish()
            return [*map(evaluate, whole), *(of.measured(kernels, into) if kinds else []), gx, *given(found)]

        return case

    two = WeightedImages([of.g, of.terms[1]], [of.bias, of.coefficients[0]])
    innermost = of.dense3.to(memory_format=torch.channels_last)
    yield "dense", dense([of.dense3, of.pointwise[0], of.dense3], Bypass(WeightedImages([of.g], [of.bias])))
    yield "dense", dense([of.pointwise[0], innermost], Bypass(two, two, accumulate=False))
    yield "dense", dense([], Bypass(means=two))

    def factorized(kernels: Kernels) -> list[Tensor]:
        """Reductions of even and odd pixels."""
        pairs = [(each[: of.channels // 2], each[of.channels // 2 :]) for each in of.pointwise[:2]]
        into, gx, of_weights = of.statistics(2), of.x.clone(), kernels.weight_gradients()
        values = kernels.factorized(of.x, pairs, into)
        found = kernels.factorized_backward(of.smaller, values, of.three[:2], of.x, pairs, gx, of_weights=of_weights)
        of_weights.finish()
        return [*values, *of.measured(kernels, into), gx, *given(found)]

    yield "factorized", factorized

    def separable(kernels: Kernels) -> list[Tensor]:
        """Second stages, each of an image of its own; with the backward pass of the norms before them."""
        forms = [DepthwiseShape(3, 1, 1), DepthwiseShape(5, 1, 1), DepthwiseShape(3, 1, 1)]
        stages = [
            SeparableStage(of.terms[n], of.coefficients[n], of.bias, of.depthwise[form.kernel], of.pointwise[n], form)
            for n, form in enumerate(forms)
        ]
        into, of_weights = of.statistics(3), kernels.weight_gradients()
        values, gx = kernels.separable(stages, into), [torch.empty_like(of.x) for _ in forms]
        sums, found = kernels.separable_backward(
            [of.g, of.x, of.g], values, of.three, stages, gx, bypass=None, of_weights=of_weights
        )
        of_weights.finish()
        assert sums is not None
        of_norms = kernels.backward_coefficients(
            of.norms(3), sums, None, of.coefficients[:3], None, of.pixels, of.dtype, learnt=True
        )
        return [*values, *of.measured(kernels, into), *gx, added(sums), *given(found), *flat(of_norms)]

    yield "separable", separable

    def first_stages(stride: int, bypass: Bypass) -> Case:
        """First stages, of two images, to which all gradients are added."""

        def case(kernels: Kernels) -> list[Tensor]:
            forms = [DepthwiseShape(size, dilation, stride) for size, dilation in ((3, 1), (5, 2), (3, 2), (5, 2))]
            stages = [
                SeparableStage(x, None, None, of.depthwise[form.kernel], of.pointwise[n], form)
                for n, (x, form) in enumerate(zip([of.x, of.terms[2]] * 2, forms, strict=True))
            ]
            values, of_weights = kernels.separable(stages, None), kernels.weight_gradients()
            gxs = [of.x.clone(), of.g.clone()]
            gradients = [of.g, of.x, of.g, of.x] if stride == 1 else of.smaller * 2
            _, found = kernels.separable_backward(
                gradients, values, [of.by] * 4, stages, gxs * 2, bypass=[bypass, Bypass()] * 2, of_weights=of_weights
            )
            of_weights.finish()
            return [*values, *gxs, *given(found)]

        return case

    yield "separable", first_stages(1, Bypass(two, NOTHING, accumulate=False))
    yield "separable", first_stages(2, Bypass())
