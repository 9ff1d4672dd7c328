"""Whether kernels compute on a device what plain torch computes there: asked before they are trusted with a search."""

from collections.abc import Callable, Iterator
from types import ModuleType

import torch
from torch import Tensor

from spaces.core.fast import portable
from spaces.core.fast.portable import Form, Slope, Weighed
from spaces.core.streams import generator

Kernels = ModuleType
Case = Callable[[Kernels], list[Tensor]]

CHANNELS, SIZE, WITHIN = 24, (3, 9, 7), 1e-4


def disagreement(kernels: Kernels, device: torch.device, dtype: torch.dtype = torch.float32) -> str:
    """The name of the first piece in which `kernels` and `portable` differ by more than rounding; "" if none does.

    Errors are those of float32 beside the largest element of a result.
    """
    for name, case in cases(device, dtype):
        for found, expected in zip(case(kernels), case(portable), strict=True):
            apart = (found.double() - expected.double()).abs().max()
            if not apart <= WITHIN * expected.double().abs().max():  # what is not a number differs
                return name
    return ""


def cases(device: torch.device, dtype: torch.dtype) -> Iterator[tuple[str, Case]]:
    """Every piece by name, on small images whose sides no tile divides, some of them slices of wider ones."""
    source = generator(0, "proof of kernels")

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=source, dtype=torch.float64, device="cpu").to(device, dtype)

    def image() -> Tensor:
        return numbers(*SIZE, CHANNELS)

    def part() -> Tensor:
        return numbers(*SIZE, 2 * CHANNELS)[..., CHANNELS:]

    def statistics(count: int) -> tuple[list[Tensor], list[Tensor]]:
        made = torch.zeros(2, count, CHANNELS, dtype=torch.float64, device=device)
        return list(made[0].unbind()), list(made[1].unbind())

    def slope() -> Slope:
        return Slope(*numbers(3, CHANNELS).unbind())

    terms = [image() if number % 2 else part() for number in range(19)]
    g, x, coefficients, bias = part(), part(), numbers(19, CHANNELS), numbers(CHANNELS)
    kernel1, kernel3, apiece = numbers(CHANNELS, CHANNELS, 1, 1), numbers(CHANNELS, CHANNELS, 3, 3), slope()
    depthwise = numbers(CHANNELS, 1, 3, 3)
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
    yield "reduce", lambda kernels: [kernels.reduce(g, terms)[0]]

    def moments(kernels: Kernels) -> list[Tensor]:
        (mean,), (variance,) = statistics(1)
        kernels.moments(x + 3, mean, variance)
        return [mean, variance]

    yield "moments", moments
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

    def separable(stride: int, scale: Tensor | None, shift: Tensor | None) -> Case:
        def case(kernels: Kernels) -> list[Tensor]:
            form, ((mean,), (variance,)) = Form(3, 1, stride), statistics(1)
            value = kernels.separable(x, scale, shift, depthwise, kernel1, form, mean, variance)
            found = [value, mean, variance]
            for accumulate in (False, True):
                gx = x.clone()
                back = (g if stride == 1 else smaller[1], value, apiece, x, scale, shift, depthwise, kernel1, form, gx)
                of_kernels = kernels.separable_backward(*back, accumulate=accumulate, weights=True)
                found += [gx, *(each for each in of_kernels if each is not None)]
            return found

        return case

    yield "separable", separable(1, coefficients[0], bias)
    yield "separable", separable(2, None, None)
