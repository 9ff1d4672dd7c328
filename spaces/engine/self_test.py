"""The self-test of a family of kernels on a device, against plain torch in float64 on the CPU, before a search uses it.

Nothing that the device itself computes serves as the reference: its own torch may be wrong (`operations.pool_input`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from spaces.common.streams import generator
from spaces.engine import torch_kernels
from spaces.engine.kernels import (
    NOTHING,
    BackwardCoefficients,
    Bypass,
    DepthwiseShape,
    Kernels,
    Moments,
    NormGradients,
    Norms,
    PoolGradient,
    SeparableStage,
    WeightedImages,
)

Case = Callable[[Kernels], list[Tensor]]

CHANNELS, SIZE, WITHIN = 24, (3, 9, 7), 1e-4
PIXELS = 3 * 9 * 7


def disagreement(kernels: Kernels, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The name of the first function whose results on `device` are wrong; "" if all are right.

    The tolerance is that of float32, relative to the largest element of a result.
    """
    for name, results, exact in compared(kernels, device, dtype):
        for found, expected in zip(results, exact, strict=True):
            apart = (found.cpu().double() - expected).abs().max()
            if not apart <= WITHIN * expected.abs().max():  # NaN is wrong, too
                return name
    return ""


def compared(
    kernels: Kernels, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, list[Tensor], list[Tensor]]]:
    """For every case: the function's name, the results of `kernels` on `device`, and those of float64 on the CPU.

    Both get the same numbers, rounded to `dtype`. TF32 is off meanwhile.
    """
    exact = cases(torch.device("cpu"), torch.float64, rounded=dtype)
    for (name, case), (_, same) in zip(cases(device, dtype), exact, strict=True):
        with full_precision():
            found = case(kernels)
        yield name, found, same(torch_kernels)


@contextmanager
def full_precision() -> Iterator[None]:
    """In this block float32 products are exact to float32: a GPU may otherwise use TF32, which has ten bits."""
    backends = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def cases(device: torch.device, dtype: torch.dtype, rounded: torch.dtype | None = None) -> Iterator[tuple[str, Case]]:
    """Cases of every function by name, on small images whose sides no tile divides, some of them slices of wider ones.

    The inputs are first rounded to `rounded`, or to `dtype`.
    """
    source = generator(0, "proof of kernels")

    def numbers(*shape: int) -> Tensor:
        exact = torch.randn(shape, generator=source, dtype=torch.float64, device="cpu")
        return exact.to(rounded or dtype).to(device, dtype)

    def image() -> Tensor:
        return numbers(*SIZE, CHANNELS)

    def part() -> Tensor:
        return numbers(*SIZE, 2 * CHANNELS)[..., CHANNELS:]

    def statistics(count: int) -> Moments:
        made = torch.zeros(2, count, CHANNELS, dtype=torch.float64, device=device)
        return Moments(range(count), made[0], made[1], {})

    def measured(kernels: Kernels, into: Moments) -> list[Tensor]:
        """The mean and the variance of each row, after the family has added them up if it has not yet."""
        columns = torch.ones(2, len(into.rows), 1, dtype=torch.float64, device=device)
        partial = [into.partial.get(row) for row in into.rows]
        kernels.normalization(Norms(into.mean, into.variance, columns[0], columns[1], partial), None, None, dtype)
        return [into.mean, into.variance]

    def coefficients_of_norm() -> BackwardCoefficients:
        return BackwardCoefficients(*numbers(3, CHANNELS).unbind())

    def norms(rows: int) -> Norms:
        return Norms(mean[:rows], variance[:rows], columns[3, :rows], torch.ones_like(columns[3, :rows]))

    terms = [image() if number % 2 else part() for number in range(19)]
    g, x, coefficients, bias = part(), part(), numbers(19, CHANNELS), numbers(CHANNELS)
    kernel1, kernel3, by = numbers(CHANNELS, CHANNELS, 1, 1), numbers(CHANNELS, CHANNELS, 3, 3), coefficients_of_norm()
    pointwise = numbers(4, CHANNELS, CHANNELS, 1, 1)
    depthwise = {size: numbers(CHANNELS, 1, size, size) for size in (3, 5)}
    three = [coefficients_of_norm() for _ in range(3)]
    mean, variance, *learnt = numbers(4, 19, CHANNELS).double().unbind()
    variance, columns = variance.square() + 0.1, numbers(4, 19, 1).double().abs()
    down = [-(-side // 2) for side in SIZE[1:]]
    smaller = [numbers(SIZE[0], *down, CHANNELS) for _ in range(2)]

    def combined(count: int, offset: Tensor | None, accumulate: bool) -> Case:
        def case(kernels: Kernels) -> list[Tensor]:
            out = bias.expand_as(x).clone()
            kernels.combine(terms[:count], coefficients[:count], offset, out, accumulate=accumulate)
            return [out]

        return case

    yield "combine", combined(19, bias, accumulate=False)
    yield "combine", combined(3, None, accumulate=True)
    yield "reduce", lambda kernels: [added(kernels.reduce(g, terms)[0])]

    def moments(kernels: Kernels) -> list[Tensor]:
        into = statistics(2)
        kernels.moments(x + 3, into)
        return measured(kernels, into)

    yield "moments", moments

    def of_node(scale: Tensor, shift: Tensor) -> Case:
        """A node's sum and its backward pass, where norms learn a scale and a shift or a column stands for them."""

        def case(kernels: Kernels) -> list[Tensor]:
            sums, given = kernels.reduce(g, terms)[0], (columns[0], scale, shift)
            found = kernels.backward_coefficients(norms(19), sums, *given, PIXELS, dtype, learnt=scale.shape[1] > 1)
            forward, bias = kernels.forward_coefficients(norms(19), *given, dtype)
            return [forward, bias.reshape(-1, CHANNELS).double().sum(0), *flat(found)]

        return case

    yield "backward_coefficients", of_node(*learnt)
    yield "backward_coefficients", of_node(columns[1], columns[2])
    yield (
        "backward_coefficients",
        lambda kernels: flat(
            kernels.backward_coefficients(
                norms(1), kernels.reduce(g, terms[:1])[0], None, None, None, PIXELS, dtype, learnt=False
            )
        ),
    )
    yield "normalization", lambda kernels: [*kernels.normalization(norms(3), None, None, dtype)]
    yield (
        "normalization",
        lambda kernels: [*kernels.normalization(norms(3), coefficients[:3], coefficients[3:6], dtype)],
    )
    rows = torch.tensor([2, 0, 1], device=device)
    yield (
        "running_rows",
        lambda kernels: [torch.stack([*each]) for each in kernels.running_rows(norms(3), rows, PIXELS, dtype)],
    )

    def pooled(stride: int) -> Case:
        """The maximum and the mean of one image and the maximum of another, each with a norm behind it."""

        def case(kernels: Kernels) -> list[Tensor]:
            given, into = [terms[1], g, *smaller] if stride == 1 else [*smaller, *smaller], statistics(3)
            xs, kinds, gxs = [x, x, terms[2]], [True, False, True], [x.clone(), g.clone()]
            of_each = [Moments([row], into.mean, into.variance, into.partial) for row in range(3)]
            values, saved = kernels.pools(xs, kinds, stride, of_each)
            kernels.pools_backward(
                [
                    PoolGradient(given[:2], three[:2], x, values[0], saved[0], True, gxs[0]),
                    PoolGradient(given[1:2], three[1:2], x, values[1], saved[1], False, gxs[0]),
                    PoolGradient(given[:1], three[2:], xs[2], values[2], saved[2], True, gxs[1]),
                ],
                stride,
            )
            return [*values, *gxs, *measured(kernels, into)]

        return case

    yield "pools", pooled(1)
    yield "pools", pooled(2)

    def dense(kinds: Sequence[Tensor], bypass: Bypass) -> Case:
        """Convolutions of one image, with the gradients that bypass them."""

        def case(kernels: Kernels) -> list[Tensor]:
            into, gx, of_weights = statistics(len(kinds)), x.clone(), kernels.weight_gradients()
            values = kernels.dense(x, kinds, into)[0] if kinds else []
            found = kernels.dense_backward(
                [g, terms[1], g][: len(kinds)], values, three[: len(kinds)], x, kinds, gx, second=None,
                products=[None] * len(kinds), bypass=bypass, of_weights=of_weights,
            )  # fmt: skip
            of_weights.finish()
            return [*values, *(measured(kernels, into) if kinds else []), gx, *given(found)]

        return case

    two = WeightedImages([g, terms[1]], [bias, coefficients[0]])
    innermost = kernel3.to(memory_format=torch.channels_last)
    yield "dense", dense([kernel3, kernel1, kernel3], Bypass(WeightedImages([g], [bias])))
    yield "dense", dense([kernel1, innermost], Bypass(two, two, accumulate=False))
    yield "dense", dense([], Bypass(means=two))

    def factorized(kernels: Kernels) -> list[Tensor]:
        """Reductions of even and odd pixels."""
        pairs = [(each[: CHANNELS // 2], each[CHANNELS // 2 :]) for each in pointwise[:2]]
        into, gx, of_weights = statistics(2), x.clone(), kernels.weight_gradients()
        values = kernels.factorized(x, pairs, into)
        found = kernels.factorized_backward(smaller, values, three[:2], x, pairs, gx, of_weights=of_weights)
        of_weights.finish()
        return [*values, *measured(kernels, into), gx, *given(found)]

    yield "factorized", factorized

    def separable(kernels: Kernels) -> list[Tensor]:
        """Second stages, each of an image of its own; with the backward pass of the norms before them."""
        forms = [DepthwiseShape(3, 1, 1), DepthwiseShape(5, 1, 1), DepthwiseShape(3, 1, 1)]
        stages = [
            SeparableStage(terms[n], coefficients[n], bias, depthwise[form.kernel], pointwise[n], form)
            for n, form in enumerate(forms)
        ]
        into, of_weights = statistics(3), kernels.weight_gradients()
        values, gx = kernels.separable(stages, into), [torch.empty_like(x) for _ in forms]
        sums, found = kernels.separable_backward(
            [g, x, g], values, [by] * 3, stages, gx, bypass=None, of_weights=of_weights
        )
        of_weights.finish()
        assert sums is not None
        of_norms = kernels.backward_coefficients(
            norms(3), sums, None, coefficients[:3], None, PIXELS, dtype, learnt=True
        )
        return [*values, *measured(kernels, into), *gx, added(sums), *given(found), *flat(of_norms)]

    yield "separable", separable

    def first_stages(stride: int, whole: WeightedImages, *, accumulate: bool) -> Case:
        """First stages, of two images, to which all gradients are added."""

        def case(kernels: Kernels) -> list[Tensor]:
            forms = [DepthwiseShape(size, dilation, stride) for size, dilation in ((3, 1), (5, 2), (3, 2), (5, 2))]
            stages = [
                SeparableStage((x, terms[2])[n % 2], None, None, depthwise[form.kernel], pointwise[n], form)
                for n, form in enumerate(forms)
            ]
            values, of_weights, gxs = (
                kernels.separable(stages, None),
                kernels.weight_gradients(),
                [x.clone(), g.clone()],
            )
            around = [Bypass(whole, accumulate=accumulate), Bypass()] * 2
            gradients = [g, x, g, x] if stride == 1 else smaller * 2
            _, found = kernels.separable_backward(
                gradients, values, [by] * 4, stages, gxs * 2, bypass=around, of_weights=of_weights
            )
            of_weights.finish()
            return [*values, *gxs, *given(found)]

        return case

    yield "separable", first_stages(1, two, accumulate=False)
    yield "separable", first_stages(2, NOTHING, accumulate=True)


def added(sums: Tensor) -> Tensor:
    """Sums `[rows, C]`; those of tiles `[tiles, rows, C]` are added up."""
    return sums.reshape(-1, *sums.shape[-2:]).sum(0)


def given(tensors: Sequence[Tensor | None]) -> list[Tensor]:
    """Those that are not None."""
    return [tensor for tensor in tensors if tensor is not None]


def flat(norms: NormGradients) -> list[Tensor]:
    """The tensors: all A, all B, all K, and the gradients."""
    return [
        *(torch.stack(each) for each in zip(*norms.coefficients, strict=True)),
        *given(norms[1:]),
    ]
