"""The kernels for NVIDIA GPUs: Triton for what is bound by memory, torch for dense convolutions.

They implement `Kernels`; the kernels are in `image_kernels.py`, `depthwise_kernels.py` and `statistics_kernels.py`,
and Triton compiles them when they are first called.
"""

import os
from collections.abc import Iterator, Sequence
from functools import cache
from types import SimpleNamespace

import torch
from torch import Tensor

from spaces.engine import torch_kernels
from spaces.engine.kernels import (
    BackwardCoefficients,
    SeparableStage,
    Value,
    WeightedImages,
    channels_first,
    channels_last,
    pixel_stride,
    pixel_strides,
)
from spaces.engine.torch_kernels import convolution_backward, stacks
from spaces.engine.triton_kernels.triton_launch import TERMS, chunks, compiled, on_tiles, partial_sums
from spaces.engine.triton_kernels.triton_statistics import backward_coefficients as backward_coefficients  # the rest
from spaces.engine.triton_kernels.triton_statistics import forward_coefficients as forward_coefficients
from spaces.engine.triton_kernels.triton_statistics import moments as moments
from spaces.engine.triton_kernels.triton_statistics import moments_of, tap_sums
from spaces.engine.triton_kernels.triton_statistics import normalization as normalization
from spaces.engine.triton_kernels.triton_statistics import summed_coefficients as summed_coefficients

NAME = "Triton"
OLDEST = (8, 0)  # the lowest compute capability for which the kernels are known to compile
AT_ONCE = TERMS  # see `torch_kernels.AT_ONCE`


@cache
def library() -> SimpleNamespace | str:
    """The kernels for this process's GPU, or the reason why there are none. Triton compiles one when it is called."""
    if os.environ.get("DARTBOARD_KERNELS") == "portable":
        return "DARTBOARD_KERNELS=portable"
    if torch.version.cuda is None or not torch.cuda.is_available():
        return "no NVIDIA GPU"
    if (capability := torch.cuda.get_device_capability()) < OLDEST:
        return f"no Triton kernels for compute capability {'.'.join(map(str, capability))}"
    return compiled()


def obstacle(device: str, dtype: torch.dtype, channels: int) -> str:
    """See `Kernels.obstacle`."""
    if device != "cuda":
        return f"no Triton kernels for {device}"
    if isinstance(found := library(), str):
        return found
    return "" if dtype in (torch.float32, torch.float64) else f"no Triton kernels for {dtype}"


def reduce(g: Tensor, terms: Sequence[Value]) -> tuple[Tensor, list[Tensor | None]]:
    """See `Kernels.reduce`. All values are stored here."""
    if not terms:
        return torch_kernels.reduce(g, terms)[0][None], []
    sums = partial_sums(g, 1 + len(terms))
    for each in chunks(len(terms)):
        images = tuple(terms[each])
        where = (images, pixel_strides(images), sums, 1 + each.start, 1 + len(terms))
        on_tiles("reduce", g, g, pixel_stride(g), *where, WITH_G=each.start == 0)
    return sums, [None] * len(terms)


def combine(
    terms: Sequence[Value],
    coefficients: Sequence[Tensor] | Tensor,
    bias: Tensor | None,
    out: Tensor,
    *,
    accumulate: bool = False,
) -> None:
    """See `Kernels.combine`."""
    if not terms:
        torch_kernels.combine(terms, coefficients, bias, out, accumulate=accumulate)
    for each in chunks(len(terms)):
        images, first = tuple(terms[each]), each.start == 0
        where = (tuple(coefficients[each]), bias if first else None, out, pixel_stride(out))
        biased, added = first and bias is not None, accumulate or not first
        on_tiles("combine", out, images, pixel_strides(images), *where, BIASED=biased, ADDED=added)


def rectify(x: Tensor) -> Tensor:
    """See `Kernels.rectify`."""
    out = x.new_empty(x.shape)
    on_tiles("rectify", x, x, pixel_stride(x), out)
    return out


def rectify_backward(grad_output: Tensor, x: Tensor, gx: Tensor) -> None:
    """See `Kernels.rectify_backward`."""
    _rectify_backward([grad_output], x, gx)


def _rectify_backward(grad_outputs: Sequence[Tensor], x: Tensor, gx: Tensor) -> None:
    given = tuple(grad_output.contiguous() for grad_output in grad_outputs)
    on_tiles("rectify_backward", x, given, x, pixel_stride(x), gx, pixel_stride(gx))


def pool(x: Tensor, stride: int, *, largest: bool) -> Tensor:
    """See `Kernels.pool`."""
    images, height, width, channels = x.shape
    out = x.new_empty(images, -(-height // stride), -(-width // stride), channels)
    _pool(x, out, out, None, stride, largest)
    return out


def _pool(x: Tensor, over: Tensor, out: Tensor | None, which: Tensor | None, stride: int, largest: bool) -> None:
    """The windows of `over` [N, H', W', C]: their maximum or mean to `out`, or the maximum's place to `which`."""
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": over.shape[1], "across": over.shape[2]}
    what = {"STRIDE": stride, "LARGEST": largest, "PLACES": which is not None}
    on_tiles("pool", over, x, pixel_stride(x), out, which, **sizes, **what)


def pool_backward(grad_output: Tensor, x: Tensor, pooled: Tensor, stride: int, gx: Tensor, *, largest: bool) -> None:
    """See `Kernels.pool_backward`."""
    which = None
    if largest:
        which = torch.empty(pooled.shape, dtype=torch.int8, device=x.device)
        _pool(x, pooled, None, which, stride, largest)
    sizes = {"height": x.shape[1], "width": x.shape[2], "down": pooled.shape[1], "across": pooled.shape[2]}
    where = (grad_output.contiguous(), which, gx, pixel_stride(gx))
    on_tiles("pool_backward", gx, *where, **sizes, STRIDE=stride, LARGEST=largest)


def mean(x: Tensor) -> Tensor:
    """See `Kernels.mean`."""
    return pool(x, 1, largest=False)


def dense(
    x: Tensor, weights: Sequence[Tensor], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> tuple[list[Tensor], Tensor | None]:
    """See `Kernels.dense`."""
    out, second = torch_kernels.dense(x, weights, None, None)
    if means is not None and variances is not None:
        moments_of(out, means, variances)
    return out, second


def dense_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    x: Tensor,
    weights: Sequence[Tensor],
    gx: Tensor,
    *,
    second: Tensor | None,
    products: Sequence[Tensor | None],
    whole: WeightedImages,
    means: WeightedImages,
    accumulate: bool,
    of_weights: bool,
) -> list[Tensor | None]:
    """See `Kernels.dense_backward`."""
    combine(*whole, None, gx, accumulate=accumulate)
    if not weights:  # and no `means`, as all values are stored here
        return []
    rectified = rectify(x)
    found: list[Tensor | None] = [None] * len(weights)
    of_rectified = []
    for places, stacked in stacks(weights):
        back = x.new_empty(*x.shape[:-1], len(stacked))
        gs, ys = ([each[place] for place in places] for each in (gradients, values))
        _through_norm(gs, ys, [coefficients[place] for place in places], back.chunk(len(places), -1))
        form = (1, [stacked.shape[-1] // 2] * 2, 1, 1)  # stride, padding, dilation, groups
        of_x, of_stacked, _ = convolution_backward(
            channels_first(back), channels_first(rectified), stacked, *form, of_weights
        )
        of_rectified.append(channels_last(of_x))
        if of_stacked is not None:
            for place, of_weight in zip(places, of_stacked.chunk(len(places)), strict=True):
                found[place] = of_weight
    _rectify_backward(of_rectified, x, gx)
    return found


def _through_norm(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    outs: Sequence[Tensor],
) -> None:
    """A g + B y + K of each member to its out; all outs have one pixel stride."""
    for each in chunks(len(values)):
        gs, ys, into = (tuple(of[each]) for of in (gradients, values, outs))
        where = (*zip(*coefficients[each], strict=True), into, pixel_stride(into[0]))
        on_tiles("through_norm", ys[0], gs, pixel_strides(gs), ys, pixel_strides(ys), *where, members=len(gs))


def separable(
    stages: Sequence[SeparableStage], means: Sequence[Tensor] | None, variances: Sequence[Tensor] | None
) -> list[Tensor]:
    """See `Kernels.separable`."""
    middle = _depthwise(stages)
    matrices = _matrices(stages)
    found = torch.bmm(middle.flatten(1, 3), matrices.mT).view(middle.shape)
    out = list(found.unbind())
    if means is not None and variances is not None:
        moments_of(out, means, variances)
    return out


def separable_backward(
    gradients: Sequence[Tensor],
    values: Sequence[Tensor],
    coefficients: Sequence[BackwardCoefficients],
    stages: Sequence[SeparableStage],
    gx: Tensor | Sequence[Tensor],
    *,
    weights: bool,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """See `Kernels.separable_backward`."""
    back = values[0].new_empty(len(values), *values[0].shape)
    _through_norm(gradients, values, coefficients, back.unbind())
    of_middle = torch.bmm(back.flatten(1, 3), _matrices(stages)).view(back.shape)
    sums = None if isinstance(gx, Tensor) else partial_sums(stages[0].x, 2 * len(stages))
    found: list[Tensor | None] = [None] * (2 * len(stages))
    if weights:
        products = torch.bmm(back.flatten(1, 3).mT, _depthwise(stages).flatten(1, 3))
        found[1::2] = [of.view_as(stage.pointwise) for of, stage in zip(products, stages, strict=True)]
    for places, what in _by_form(stages):
        members = [stages[place] for place in places]
        passed, kernels = tuple(of_middle[place] for place in places), _kernels(members)
        if isinstance(gx, Tensor):  # all of them read the ReLU of the same x
            x, form = members[0].x, {key: what[key] for key in what if key != "NORMED"}
            on_tiles("depthwise_back", x, passed, kernels, x, pixel_stride(x), gx, pixel_stride(gx), **form)
        else:
            assert sums is not None
            rows = tuple(sums[:, 2 * place :] for place in places)
            where = (*_inputs(members), tuple(gx[place] for place in places), rows, 2 * len(stages))
            on_tiles("depthwise_back_each", members[0].x, passed, kernels, *where, members=len(places), **what)
        if weights:
            taps = members[0].form.kernel ** 2
            each = partial_sums(passed[0], taps * len(places))
            where = (passed, *_inputs(members), each)
            on_tiles("depthwise_weights", passed[0], *where, members=len(places), **what)
            for place, of_kernel in zip(places, tap_sums(each, taps, kernels[0]), strict=True):
                found[2 * place] = of_kernel
    return sums, found


def _depthwise(stages: Sequence[SeparableStage]) -> Tensor:
    """The output of the depthwise convolutions: `[stages, N, H', W', C]`."""
    x, stride = stages[0].x, stages[0].form.stride
    images, height, width, channels = x.shape
    out = x.new_empty(len(stages), images, -(-height // stride), -(-width // stride), channels)
    for places, what in _by_form(stages):
        members, outs = [stages[place] for place in places], tuple(out[place] for place in places)
        where = (*_inputs(members), _kernels(members), outs)
        on_tiles("depthwise", out[0], *where, members=len(places), **what)
    return out


def _by_form(stages: Sequence[SeparableStage]) -> Iterator[tuple[list[int], dict[str, int]]]:
    """The places of stages of one form, as many as a launch takes, and the arguments that describe the form."""
    height, width = stages[0].x.shape[1:3]
    for form in dict.fromkeys(stage.form for stage in stages):
        places = [place for place, stage in enumerate(stages) if stage.form == form]
        sizes = {
            "height": height,
            "width": width,
            "down": -(-height // form.stride),
            "across": -(-width // form.stride),
        }
        what = {"SIZE": form.kernel, "DILATION": form.dilation, "STRIDE": form.stride}
        for each in chunks(len(places)):
            yield places[each], {**sizes, **what, "NORMED": stages[0].scale is not None}


def _inputs(stages: Sequence[SeparableStage]) -> tuple[object, ...]:
    """The inputs of the stages: images, their pixel strides, scales and shifts."""
    xs, scales, shifts = zip(*(stage[:3] for stage in stages), strict=True)
    return xs, pixel_strides(xs), *((scales, shifts) if scales[0] is not None else (None, None))


def _kernels(stages: Sequence[SeparableStage]) -> tuple[Tensor, ...]:
    return tuple(stage.depthwise.contiguous() for stage in stages)


def _matrices(stages: Sequence[SeparableStage]) -> Tensor:
    """The pointwise kernels, `[stages, C, C]`."""
    return torch.stack([stage.pointwise.flatten(1) for stage in stages])
