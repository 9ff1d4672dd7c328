"""The kernels in C++ one by one, against the same in plain torch: values that are stored, and those that are not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from spaces.common.streams import generator
from spaces.engine import torch_kernels
from spaces.engine.cpp_kernels import cpp_kernels
from spaces.engine.kernel_values import (
    BackwardCoefficients,
    Bypass,
    DepthwiseShape,
    Mean,
    Moments,
    Pointwise,
    SeparableStage,
    Value,
    WeightedImages,
)
from spaces.engine.torch_kernels import evaluate

pytestmark = pytest.mark.skipif(isinstance(cpp_kernels.library(), str), reason=str(cpp_kernels.library()))

SHAPES = [(3, 5, 7, 4), (2, 8, 8, 16), (5, 4, 4, 24), (1, 1, 3, 8), (2, 9, 32, 32), (1, 1, 1, 12)]
whole_and_sliced = pytest.mark.parametrize("sliced", [False, True], ids=["whole", "sliced"])
in_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


class Draws:
    """Random tensors; images as slices of wider ones if so asked."""

    def __init__(self, sliced: bool) -> None:
        self.random, self.sliced = generator(0, "kernels"), sliced

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.random, dtype=torch.float64)

    def image(self, shape: tuple[int, ...]) -> Tensor:
        *outer, channels = shape
        return self(*outer, 2 * channels)[..., channels:] if self.sliced else self(*shape)

    def values(self, shape: tuple[int, ...]) -> list[Value]:
        x, channels = self.image(shape), shape[-1]
        kernels = [self(channels, channels, 1, 1) for _ in range(2)]
        return [
            self.image(shape), Pointwise(x, kernels[0]), x, Mean(x), Pointwise(self.image(shape), kernels[1]),
            Mean(self.image(shape)), self.image(shape), self.image(shape), self.image(shape), self.image(shape),
        ]  # fmt: skip


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@whole_and_sliced
@in_shapes
def test_the_sum_of_a_node(shape: tuple[int, ...], sliced: bool) -> None:
    draw = Draws(sliced)
    terms, before = draw.values(shape), draw.image(shape)
    for count in range(len(terms) + 1):
        coefficients, bias = draw(count, shape[-1]), draw(shape[-1])
        for accumulate in (False, True):
            outs = [before.clone(), before.clone()]
            for kernels, out in zip((cpp_kernels, torch_kernels), outs, strict=True):
                kernels.combine(terms[:count], coefficients, bias, out, accumulate=accumulate)
            close(*outs)


@whole_and_sliced
@in_shapes
def test_sums_of_a_gradient_with_each_term(shape: tuple[int, ...], sliced: bool) -> None:
    draw = Draws(sliced)
    g, terms = draw.image(shape), draw.values(shape)
    (sums, products), (expected, of_pointwise) = (kernels.reduce(g, terms) for kernels in (cpp_kernels, torch_kernels))
    close(sums, expected)
    assert [product is None for product in products] == [not isinstance(term, Pointwise) for term in terms]
    for product, other in zip(products, of_pointwise, strict=True):
        assert other is None or product is not None
        if product is not None and other is not None:
            close(product, other)


@whole_and_sliced
@in_shapes
@pytest.mark.parametrize("sizes", [(3, 1, 3, 1), (1, 1), (3,), ()], ids=str)
@pytest.mark.parametrize("of_batch", [True, False], ids=["batch", "running"])
def test_convolutions_and_what_comes_back(
    shape: tuple[int, ...], sliced: bool, sizes: tuple[int, ...], of_batch: bool
) -> None:
    """Pointwise convolutions have their moments and gradients without ever being stored."""
    draw = Draws(sliced)
    channels = shape[-1]
    x, weights = draw.image(shape), [draw(channels, channels, size, size) for size in sizes]
    gradients = [draw.image(shape) for _ in sizes]
    coefficients = [BackwardCoefficients(*draw(3, channels).unbind()) for _ in sizes]
    if not of_batch:
        zero = torch.zeros(channels, dtype=torch.float64)
        coefficients = [BackwardCoefficients(by.of_gradient, zero, zero) for by in coefficients]
    whole, means = (WeightedImages([draw.image(shape) for _ in range(n)], [*draw(n, channels)]) for n in (3, 2))
    before = draw.image(shape)
    outcomes: list[Any] = []
    for kernels in (cpp_kernels, torch_kernels):
        rows = torch.zeros(2, len(sizes), channels, dtype=torch.float64)
        into = Moments(range(len(sizes)), rows[0], rows[1], {}) if of_batch else None
        values, second = kernels.dense(x, weights, into) if sizes else ([], None)
        terms = [y if y.numel() else Pointwise(x, weight) for y, weight in zip(values, weights, strict=True)]
        products = [kernels.reduce(g, [term])[1][0] for g, term in zip(gradients, terms, strict=True)]
        gx = before.clone()
        grads = kernels.dense_backward(
            gradients, values, coefficients, x, weights, gx, second=second, products=products,
            bypass=Bypass(whole, means), of_weights=kernels.weight_gradients(),
        )  # fmt: skip
        outcomes.append([*map(evaluate, terms), *rows, gx, *grads])
    for found, expected in zip(*outcomes, strict=True):
        close(found, expected)


FORMS = [DepthwiseShape(size, dilation, stride) for size in (3, 5) for dilation in (1, 2, 3) for stride in (1, 2, 3)]


@whole_and_sliced
@in_shapes
@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form)))
@pytest.mark.parametrize("normalised", [False, True], ids=["first", "second"])
def test_a_separable_convolution_and_what_comes_back(
    shape: tuple[int, ...], sliced: bool, form: DepthwiseShape, normalised: bool
) -> None:
    """The first of two stages adds to the gradient of its input; the second writes it, with its sums."""
    draw = Draws(sliced)
    channels = shape[-1]
    x, before = draw.image(shape), draw.image(shape)
    normalization = draw(2, channels).unbind() if normalised else (None, None)
    kernels = draw(channels, 1, form.kernel, form.kernel), draw(channels, channels, 1, 1)
    stage = SeparableStage(x, *normalization, *kernels, form)
    g = draw.image((shape[0], *(-(-size // form.stride) for size in shape[1:3]), channels))
    coefficients = BackwardCoefficients(*draw(3, channels).unbind())
    outcomes: list[Any] = []
    for family in (cpp_kernels, torch_kernels):
        moments = torch.zeros(2, 1, channels, dtype=torch.float64)
        (y,) = family.separable([stage], Moments([0], moments[0], moments[1], {}))
        outcome = [y, moments]
        for of_weights in (None, family.weight_gradients()):
            gx = before.clone()
            back = ([g], [y], [coefficients], [stage], [gx])
            bypass = None if normalised else [Bypass()]
            sums, grads = family.separable_backward(*back, bypass=bypass, of_weights=of_weights)
            assert all((grad is not None) == (of_weights is not None) for grad in grads)
            outcome += [gx, *(found for found in (sums, *grads) if found is not None)]
        outcomes.append(outcome)
    for found, expected in zip(*outcomes, strict=True):
        close(found, expected)
