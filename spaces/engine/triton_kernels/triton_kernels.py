"""The pieces of a fast cell on NVIDIA GPUs: in Triton what is bound by memory; dense convolutions are torch's.

The interface is that of `portable.py`; the kernels stand in `image_kernels.py` and `statistics_kernels.py`, and Triton
compiles them as they are called.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

from spaces.engine import self_test, torch_kernels
from spaces.engine.torch_kernels import (
    Half,
    Value,
    Weighed,
    convolution_backward,
    pixels,
    planes,
    spacing,
    spacings,
    stacks,
)
from spaces.engine.torch_statistics import Slope
from spaces.engine.triton_kernels.triton_launch import TERMS, compiled, on_tiles, parts, some
from spaces.engine.triton_kernels.triton_statistics import coefficients as coefficients  # the rest of the family
from spaces.engine.triton_kernels.triton_statistics import joined as joined
from spaces.engine.triton_kernels.triton_statistics import moments as moments
from spaces.engine.triton_kernels.triton_statistics import moments_of, tap_sums
from spaces.engine.triton_kernels.triton_statistics import normalising as normalising
from spaces.engine.triton_kernels.triton_statistics import slopes as slopes

OLDEST = (8, 0)  # the compute capability from which on the kernels are known to compile
AT_ONCE = TERMS  # see `torch_kernels.AT_ONCE`


@cache
def library() -> SimpleNamespace | str:
    """The kernels for this process's GPU, or in words why there are none.

    At the first call the GPU has to prove them: what they compute there must be what float64 gives on the CPU. It
    compiles them where that was not yet done.
    """
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "no NVIDIA GPU"
    if (capability := torch.cuda.get_device_capability()) < OLDEST:
        return f"no Triton kernels for compute capability {'.'.join(map(str, capability))}"
    if isinstance(kernels := compiled(), str):
        return kernels
    try:
        wrong = self_test.disagreement(sys.modules[__name__], torch.device("cuda"))
    except Exception as error:  # of Triton's compiler, of the C compiler that it wants, of the driver
        return f"Triton failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return f"Triton's {wrong} on this GPU is not what float64 gives on the CPU" if wrong else kernels


def covers(x: Tensor) -> bool:
    """Whether these kernels can be used on images like `x` [N, H, W, C]."""
    return x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64) and not isinstance(library(), str)


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `torch_kernels.reduce`. All values are stored here."""
    if not terms:
        return torch_kernels.reduce(g, terms)[0][None], []
    sums = parts(g, 1 + len(terms))
    for each in some(len(terms)):
        images = tuple(terms[each])
        where = (images, spacings(images), sums, 1 + each.start, 1 + len(terms))
        on_tiles("reduce", g, g, spacing(g), *where, WITH_G=each.start == 0)
    return sums, [None] * len(terms)


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """See `torch_kernels.combine`."""
    if not terms:
        torch_kernels.combine(terms, coefficients, bias, out, accumulate=accumulate)
    for each in some(len(terms)):
        images, first = tuple(terms[each]), each.start == 0
        where = (tuple(coefficients[each]), bias if first else None, out, spacing(out))
        biased, added = first and bias is not None, accumulate or not first
        on_tiles("combine", out, images, spacings(images), *where, BIASED=biased, ADDED=added)


def rectify(x: Tensor) -> Tensor:
    """See `torch_kernels.rectify`."""
    out = x.new_empty(x.shape)
    on_tiles("rectify", x, x, spacing(x), out)
    return out


def rectify_backward(grad_output: Tensor, x: Tensor, gx: Tensor) -> None:
    """See `torch_kernels.rectify_backward`."""
    _rectify_backward([grad_output], x, gx)


def _rectify_backward(slopes: Sequence[Tensor], x: Tensor, gx: Tensor) -> None:
    given = tuple(grad_output.contiguous() for grad_output in slopes)
    on_tiles("rectify_backward", x, given, x, spacing(x), gx, spacing(gx))


def pool(x: Tensor, stride: int, *, largest: bool) -> Tensor:
    """See `torch_kernels.pool`."""
    images, height, width, channels = x.shape
    out = x.new_empty(images, -(-height // stride), -(-width // stride), channels)
    _pool(x, out, out, None, stride, largest)
    return out


def _pool(x: Tensor, over: Tensor, out: Tensor | None, which: Tensor | None, stride: int, largest: bool) -> None:
    """The windows of `over` [N, H', W', C]: their maximum or mean to `out`, or the maximum's place to `which`."""
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": over.shape[1], "across": over.shape[2]}
    what = {"STRIDE": stride, "LARGEST": largest, "PLACES": which is not None}
    on_tiles("pool", over, x, spacing(x), out, which, **sizes, **what)


def pool_backward(grad_output: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool) -> None:
    """See `torch_kernels.pool_backward`."""
    which = None
    if largest:
        which = torch.empty(pooled.shape, dtype=torch.int8, device=x.device)
        _pool(x, pooled, None, which, stride, largest)
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": pooled.shape[1], "across": pooled.shape[2]}
    where = (grad_output.contiguous(), which, gx, spacing(gx))
    on_tiles("pool_backward", gx, *where, **sizes, STRIDE=stride, LARGEST=largest)


def mean(x: Tensor) -> Tensor:
    """See `torch_kernels.mean`."""
    return pool(x, 1, largest=False)


def dense(
    x: Tensor, weights: Sequence[Tensor], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> tuple[list[Tensor], Tensor | None]:
    """See `torch_kernels.dense`."""
    out, second = torch_kernels.dense(x, weights, None, None)
    if means is not None and variances is not None:
        moments_of(out, means, variances)
    return out, second


def dense_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    slopes: Sequence[Slope],
    x: Tensor,
    weights: Sequence[Tensor],
    gx: Tensor,
    *,
    second: Tensor | None,
    products: Sequence[Tensor | None],
    whole: Weighed,
    means: Weighed,
    accumulate: bool,
    of_weights: bool,
) -> list[Tensor | None]:
    """See `torch_kernels.dense_backward`."""
    combine(*whole, None, gx, accumulate=accumulate)
    if not weights:  # and no `means`, as all values are stored here
        return []
    rectified = rectify(x)
    found: list[Tensor | None] = [None] * len(weights)
    of_rectified = []
    for places, stacked in stacks(weights):
        back = x.new_empty(*x.shape[:-1], len(stacked))
        gs, ys = ([each[place] for place in places] for each in (gradients, values))
        _through_norm(gs, ys, [slopes[place] for place in places], back.chunk(len(places), -1))
        form = (1, [stacked.shape[-1] // 2] * 2, 1, 1)  # stride, padding, dilation, groups
        of_x, of_stacked, _ = convolution_backward(planes(back), planes(rectified), stacked, *form, of_weights)
        of_rectified.append(pixels(of_x))
        if of_stacked is not None:
            for place, of_weight in zip(places, of_stacked.chunk(len(places)), strict=True):
                found[place] = of_weight
    _rectify_backward(of_rectified, x, gx)
    return found


def _through_norm(
    gradients: Sequence[Tensor], values: Sequence[Tensor], slopes: Sequence[Slope], outs: Sequence[Tensor]
) -> None:
    """A g + B y + K of each member to its out, all of which have one spacing."""
    for each in some(len(values)):
        gs, ys, into = (tuple(of[each]) for of in (gradients, values, outs))
        where = (*zip(*slopes[each], strict=True), into, spacing(into[0]))
        on_tiles("through_norm", ys[0], gs, spacings(gs), ys, spacings(ys), *where, members=len(gs))


def separable(
    halves: Sequence[Half], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> list[Tensor]:
    """See `torch_kernels.separable`."""
    middle = _depthwise(halves)
    matrices = _matrices(halves)
    found = torch.bmm(middle.flatten(1, 3), matrices.mT).view(middle.shape)
    out = list(found.unbind())
    if means is not None and variances is not None:
        moments_of(out, means, variances)
    return out


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    slopes: Sequence[Slope],
    halves: Sequence[Half],
    gx: Tensor | Sequence[Tensor],
    *,
    weights: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """See `torch_kernels.separable_backward`."""
    back = values[0].new_empty(len(values), *values[0].shape)
    _through_norm(gradients, values, slopes, back.unbind())
    of_middle = torch.bmm(back.flatten(1, 3), _matrices(halves)).view(back.shape)
    sums = None if isinstance(gx, Tensor) else parts(halves[0].x, 2 * len(halves))
    found: list[Tensor | None] = [None] * (2 * len(halves))
    if weights:
        products = torch.bmm(back.flatten(1, 3).mT, _depthwise(halves).flatten(1, 3))
        found[1::2] = [of.view_as(half.pointwise) for of, half in zip(products, halves, strict=True)]
    for places, what in _alike(halves):
        members = [halves[place] for place in places]
        passed, kernels = tuple(of_middle[place] for place in places), _kernels(members)
        if isinstance(gx, Tensor):  # which all of them read the ReLU of the same x for
            x, form = members[0].x, {key: what[key] for key in what if key != "NORMED"}
            on_tiles("depthwise_back", x, passed, kernels, x, spacing(x), gx, spacing(gx), **form)
        else:
            assert sums is not None
            rows = tuple(sums[:, 2 * place :] for place in places)
            where = (*_inputs(members), tuple(gx[place] for place in places), rows, 2 * len(halves))
            on_tiles("depthwise_back_each", members[0].x, passed, kernels, *where, members=len(places), **what)
        if weights:
            taps = members[0].form.kernel ** 2
            each = parts(passed[0], taps * len(places))
            where = (passed, *_inputs(members), each)
            on_tiles("depthwise_weights", passed[0], *where, members=len(places), **what)
            for place, of_kernel in zip(places, tap_sums(each, taps, kernels[0]), strict=True):
                found[2 * place] = of_kernel
    return sums, found


def _depthwise(halves: Sequence[Half]) -> Tensor:
    """What stands between the depthwise and the pointwise kernels: `[halves, N, H', W', C]`."""
    x, stride = halves[0].x, halves[0].form.stride
    images, height, width, channels = x.shape
    out = x.new_empty(len(halves), images, -(-height // stride), -(-width // stride), channels)
    for places, what in _alike(halves):
        members, outs = [halves[place] for place in places], tuple(out[place] for place in places)
        where = (*_inputs(members), _kernels(members), outs)
        on_tiles("depthwise", out[0], *where, members=len(places), **what)
    return out


def _alike(halves: Sequence[Half]) -> Iterator[tuple[list[int], dict[str, int]]]:
    """The places of halves of one form, as many as a launch takes, and what their kernels have to know of it."""
    height, width = halves[0].x.shape[1:3]
    for form in dict.fromkeys(half.form for half in halves):
        places = [place for place, half in enumerate(halves) if half.form == form]
        sizes = {
            "height": height,
            "width": width,
            "down": -(-height // form.stride),
            "across": -(-width // form.stride),
        }
        what = {"SIZE": form.kernel, "DILATION": form.dilation, "STRIDE": form.stride}
        for each in some(len(places)):
            yield places[each], {**sizes, **what, "NORMED": halves[0].scale is not None}


def _inputs(halves: Sequence[Half]) -> tuple[object, ...]:
    """What the halves read: images, their spacings, scales and shifts."""
    xs, scales, shifts = zip(*(half[:3] for half in halves), strict=True)
    return xs, spacings(xs), *((scales, shifts) if scales[0] is not None else (None, None))


def _kernels(halves: Sequence[Half]) -> tuple[Tensor, ...]:
    return tuple(half.depthwise.contiguous() for half in halves)


def _matrices(halves: Sequence[Half]) -> Tensor:
    """The pointwise kernels, `[halves, C, C]`."""
    return torch.stack([half.pointwise.flatten(1) for half in halves])
