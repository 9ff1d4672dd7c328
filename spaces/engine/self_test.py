"""Whether kernels on a device compute what float64 gives on the CPU: asked before they are trusted with a search.

Nothing that the device itself computes is taken for the truth: its own torch may be wrong (`operations.pool_input`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

import torch
from torch import Tensor

from spaces.common.streams import generator
from spaces.engine import torch_kernels
from spaces.engine.torch_kernels import Form, Half, Weighed
from spaces.engine.torch_statistics import Norms, Passed, Slope

Kernels = ModuleType
Case = Callable[[Kernels], list[Tensor]]

CHANNELS, SIZE, WITHIN = 24, (3, 9, 7), 1e-4
PIXELS = 3 * 9 * 7


def disagreement(kernels: Kernels, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The name of the first piece that `kernels` do not compute on `device` as `compared` expects; "" if there is none.

    An error is that of float32 beside the largest element of a result.
    """
    for name, results, exact in compared(kernels, device, dtype):
        for found, expected in zip(results, exact, strict=True):
            apart = (found.cpu().double() - expected).abs().max()
            if not apart <= WITHIN * expected.abs().max():  # what is not a number differs
                return name
    return ""


def compared(
    kernels: Kernels, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[str, list[Tensor], list[Tensor]]]:
    """Of every piece its name, what `kernels` compute of it on `device`, and plain torch in float64 on the CPU.

    Both are given the same numbers, those of `dtype`. TF32 is off meanwhile.
    """
    exact = cases(torch.device("cpu"), torch.float64, drawn=dtype)
    for (name, case), (_, same) in zip(cases(device, dtype), exact, strict=True):
        with full_precision():
            found = case(kernels)
        yield name, found, same(torch_kernels)


@contextmanager
def full_precision() -> Iterator[None]:
    """In this block float32 is multiplied as float32: TF32, in which a GPU may do it, has ten bits of it."""
    backends = torch.backends.cudnn.conv, torch.backends.cuda.matmul  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def cases(device: torch.device, dtype: torch.dtype, drawn: torch.dtype | None = None) -> Iterator[tuple[str, Case]]:
    """Every piece by name, on small images whose sides no tile divides, some of them slices of wider ones.

    What is given to the pieces is first rounded to `drawn`, or to `dtype`.
    """
    source = generator(0, "proof of kernels")

    def numbers(*shape: int) -> Tensor:
        exact = torch.randn(shape, generator=source, dtype=torch.float64, device="cpu")
        return exact.to(drawn or dtype).to(device, dtype)

    def image() -> Tensor:
        return numbers(*SIZE, CHANNELS)

    def part() -> Tensor:
        return numbers(*SIZE, 2 * CHANNELS)[..., CHANNELS:]

    def statistics(count: int) -> tuple[list[Tensor], list[Tensor]]:
        made = torch.zeros(2, count, CHANNELS, dtype=torch.float64, device=device)
        return list(made[0].unbind()), list(made[1].unbind())

    def grad_output() -> Slope:
        return Slope(*numbers(3, CHANNELS).unbind())

    def norms(rows: int) -> Norms:
        return Norms(*(each[:rows] for each in (mean, variance, columns[3], torch.ones_like(columns[3]))))

    terms = [image() if number % 2 else part() for number in range(19)]
    g, x, coefficients, bias = part(), part(), numbers(19, CHANNELS), numbers(CHANNELS)
    kernel1, kernel3, apiece = numbers(CHANNELS, CHANNELS, 1, 1), numbers(CHANNELS, CHANNELS, 3, 3), grad_output()
    pointwise = numbers(4, CHANNELS, CHANNELS, 1, 1)
    depthwise = {size: numbers(CHANNELS, 1, size, size) for size in (3, 5)}
    three = [grad_output() for _ in range(3)]
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
        means, variances = statistics(2)
        kernels.moments(x + 3, means, variances)
        return [*means, *variances]

    yield "moments", moments

    def weighed(scale: Tensor, shift: Tensor) -> Case:
        """A node's sum and what comes back, where norms learn a scale and a shift or a column stands for them."""

        def case(kernels: Kernels) -> list[Tensor]:
            sums, given = kernels.reduce(g, terms)[0], (columns[0], scale, shift)
            passed = kernels.slopes(norms(19), sums, *given, PIXELS, dtype, learnt=scale.shape[1] > 1)
            return [*kernels.coefficients(norms(19), *given, dtype), *flat(passed)]

        return case

    yield "slopes", weighed(*learnt)
    yield "slopes", weighed(columns[1], columns[2])
    yield (
        "slopes",
        lambda kernels: flat(
            kernels.slopes(norms(1), kernels.reduce(g, terms[:1])[0], None, None, None, PIXELS, dtype, learnt=False)
        ),
    )
    yield "normalising", lambda kernels: [*kernels.normalising(norms(3), None, None, dtype)]
    yield "normalising", lambda kernels: [*kernels.normalising(norms(3), *coefficients[:6].chunk(2), dtype)]
    yield "joined", lambda kernels: [*kernels.joined(three)]
    yield "rectify", lambda kernels: [kernels.rectify(x)]

    def rectified_back(kernels: Kernels) -> list[Tensor]:
        gx = x.clone()
        kernels.rectify_backward(terms[1], x, gx)
        return [gx]

    yield "rectify_backward", rectified_back

    def pooled(stride: int, *, largest: bool) -> Case:
        def case(kernels: Kernels) -> list[Tensor]:
            value, gx = kernels.pool(x, stride, largest=largest), x.clone()
            kernels.pool_backward(terms[1] if stride == 1 else smaller[0], x, value, stride, gx, largest=largest)
            return [value, gx]

        return case

    for stride in (1, 2):
        for largest in (False, True):
            yield "pool", pooled(stride, largest=largest)

    def dense(kernels: Kernels) -> list[Tensor]:
        means, variances = statistics(3)
        kinds = [kernel3, kernel1, kernel3]
        values, _ = kernels.dense(x, kinds, means, variances)
        gx = x.clone()
        passed = {"whole": Weighed([g], [bias]), "means": Weighed([], []), "accumulate": True}
        known = {"second": None, "products": [None] * 3, "of_weights": True}
        found = kernels.dense_backward([g, terms[1], g], values, [apiece] * 3, x, kinds, gx, **passed, **known)
        return [*values, *means, *variances, gx, *found]

    yield "dense", dense

    def separable(kernels: Kernels) -> list[Tensor]:
        """Second halves, each of an image of its own; with the slopes of the norms before them."""
        forms = [Form(3, 1, 1), Form(5, 1, 1), Form(3, 1, 1)]
        halves = [
            Half(terms[n], coefficients[n], bias, depthwise[form.kernel], pointwise[n], form)
            for n, form in enumerate(forms)
        ]
        means, variances = statistics(3)
        values, gx = kernels.separable(halves, means, variances), [torch.empty_like(x) for _ in forms]
        sums, found = kernels.separable_backward([g, x, g], values, [apiece] * 3, halves, gx, weights=True)
        passed = kernels.slopes(norms(3), sums, None, coefficients[:3], None, PIXELS, dtype, learnt=True)
        return [*values, *means, *variances, *gx, added(sums), *found, *flat(passed)]

    yield "separable", separable

    def first_halves(stride: int) -> Case:
        """Of one image, to which all gradients are added."""

        def case(kernels: Kernels) -> list[Tensor]:
            forms = [Form(size, dilation, stride) for size, dilation in ((3, 1), (5, 2), (3, 2), (5, 2))]
            halves = [Half(x, None, None, depthwise[form.kernel], pointwise[n], form) for n, form in enumerate(forms)]
            values, gx = kernels.separable(halves, None, None), x.clone()
            gradients = [g, x, g, x] if stride == 1 else smaller * 2
            _, found = kernels.separable_backward(gradients, values, [apiece] * 4, halves, gx, weights=True)
            return [*values, gx, *found]

        return case

    yield "separable", first_halves(1)
    yield "separable", first_halves(2)


def added(sums: Tensor) -> Tensor:
    """Sums `[rows, C]`, or those of tiles `[tiles, rows, C]`, in all."""
    return sums.reshape(-1, *sums.shape[-2:]).sum(0)


def flat(passed: Passed) -> list[Tensor]:
    """Its tensors: all A, all B, all K, and the gradients that there are."""
    return [
        *(torch.stack(each) for each in zip(*passed.slopes, strict=True)),
        *(x for x in passed[1:] if x is not None),
    ]
