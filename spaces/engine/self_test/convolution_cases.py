"""The cases of dense and separable convolutions, with the moments of the batch and their backward passes."""

from collections.abc import Iterator

import torch
from torch import Tensor

from spaces.engine.kernels import DepthwiseShape, Kernels, Pointwise, SeparableStage, WeightedImages
from spaces.engine.self_test.inputs import PIXELS, Case, Inputs, added, flat, given
from spaces.engine.torch_kernels import evaluate


def convolution_cases(of: Inputs) -> Iterator[tuple[str, Case]]:
    """By name; each forward and back."""

    def dense(kernels: Kernels) -> list[Tensor]:
        means, variances = of.statistics(3)
        kinds = [of.dense3, of.pointwise[0], of.dense3]
        values, second = kernels.dense(of.x, kinds, means, variances)
        gx, gradients = of.x.clone(), [of.g, of.terms[1], of.g]
        whole = [y if y.numel() else Pointwise(of.x, weight) for y, weight in zip(values, kinds, strict=True)]
        products = [kernels.reduce(g, [value])[1][0] for g, value in zip(gradients, whole, strict=True)]
        found = kernels.dense_backward(
            gradients, values, [of.by] * 3, of.x, kinds, gx, second=second, products=products,
            whole=WeightedImages([of.g], [of.bias]), means=WeightedImages([], []), accumulate=True, of_weights=True,
        )  # fmt: skip
        return [*map(evaluate, whole), *means, *variances, gx, *given(found)]

    yield "dense", dense

    def separable(kernels: Kernels) -> list[Tensor]:
        """Second stages, each of an image of its own; with the backward pass of the norms before them."""
        forms = [DepthwiseShape(3, 1, 1), DepthwiseShape(5, 1, 1), DepthwiseShape(3, 1, 1)]
        stages = [
            SeparableStage(of.terms[n], of.coefficients[n], of.bias, of.depthwise[form.kernel], of.pointwise[n], form)
            for n, form in enumerate(forms)
        ]
        means, variances = of.statistics(3)
        values, gx = kernels.separable(stages, means, variances), [torch.empty_like(of.x) for _ in forms]
        sums, found = kernels.separable_backward([of.g, of.x, of.g], values, [of.by] * 3, stages, gx, weights=True)
        assert sums is not None
        of_norms = kernels.backward_coefficients(
            of.norms(3), sums, None, of.coefficients[:3], None, PIXELS, of.dtype, learnt=True
        )
        return [*values, *means, *variances, *gx, added(sums), *given(found), *flat(of_norms)]

    yield "separable", separable

    def first_stages(stride: int) -> Case:
        """First stages, of one image, to which all gradients are added."""

        def case(kernels: Kernels) -> list[Tensor]:
            forms = [DepthwiseShape(size, dilation, stride) for size, dilation in ((3, 1), (5, 2), (3, 2), (5, 2))]
            stages = [
                SeparableStage(of.x, None, None, of.depthwise[form.kernel], of.pointwise[n], form)
                for n, form in enumerate(forms)
            ]
            values, gx = kernels.separable(stages, None, None), of.x.clone()
            gradients = [of.g, of.x, of.g, of.x] if stride == 1 else of.smaller * 2
            _, found = kernels.separable_backward(gradients, values, [of.by] * 4, stages, gx, weights=True)
            return [*values, gx, *given(found)]

        return case

    yield "separable", first_stages(1)
    yield "separable", first_stages(2)
