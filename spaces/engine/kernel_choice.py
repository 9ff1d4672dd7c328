"""The one place that chooses how supernets are computed: the fastest way whose results on the device are right."""

import torch
from torch import Tensor

from spaces.common.errors import InputError
from spaces.engine import trust
from spaces.engine.kernels import Kernels
from spaces.engine.self_test.precision import in_use
from spaces.engine.trust import why_not
from spaces.engine.ways import ACCELERATED, PLAIN, REFERENCE, Way, forced, take, ways

_chosen: dict[tuple[object, ...], Way] = {}


def way_for(device: torch.device, dtype: torch.dtype, channels: int) -> Way:
    """The fastest way that is right on `device`, of those that can compute such images in the precision in use.

    The first call on a device runs its self-test, or reads its outcome from the user's cache (`trust`).
    """
    if (way := forced()) is not None:
        return way
    precision = in_use(device.type)
    key = device, precision, dtype, channels
    if key not in _chosen:
        _chosen[key] = next(
            way
            for way in ways(device.type, precision)
            if way is REFERENCE or not (obstacle(way, device, dtype, channels) or why_not(way, device, precision))
        )
    take(_chosen[key])
    return _chosen[key]


def kernels_for(x: Tensor) -> Kernels:
    """The family of kernels that computes images like `x` [N, H, W, C] in the fast engine."""
    return way_for(x.device, x.dtype, x.shape[-1]).kernels or PLAIN


def require_reference(device: torch.device) -> None:
    """Raise `InputError` if the reference itself fails its self-test on `device`, so that nothing is right there."""
    precision = in_use(device.type)
    if forced() is None and (why := why_not(REFERENCE, device, precision)):
        raise InputError(
            f"{device.type} is not right in {precision}: {why}: use --device cpu, or another version of torch or the "
            f"driver (`dartboard doctor --device {device.type}` shows all)"
        )


def forget() -> None:
    """Choose anew, and ask the user's cache anew."""
    _chosen.clear()
    trust.forget()


def obstacle(way: Way, device: torch.device, dtype: torch.dtype, channels: int) -> str:
    """Why the kernels of `way` cannot compute such images; "" if they can."""
    return way.kernels.obstacle(device.type, dtype, channels) if way.kernels else ""


def kernels_in_words(device: str, dtype: torch.dtype = torch.float32, channels: int = 16) -> str:
    """What computes such images in the fast engine, in words, and why nothing faster does.

    For example "with C++ kernels", or "in plain torch: no C++ compiler".
    """
    where = torch.device(device)
    precision = in_use(device)
    reasons = [f"no kernels for {device}"] if device not in ACCELERATED else []
    for way in ways(device, precision):
        if why := obstacle(way, where, dtype, channels):
            if why not in reasons:  # a family stands there once for each way of multiplying
                reasons.append(why)
        elif way is not REFERENCE and (why := why_not(way, where, precision)):
            reasons.append(f"{way}: {why}")
        else:
            return _words(way) + (f": {'; '.join(reasons)}" if reasons else "")
    raise AssertionError("the reference is the last of the ways")


def _words(way: Way) -> str:
    if way.kernels is None:
        return "by the reference's operations"
    if way.kernels is PLAIN:
        return "in plain torch"
    return f"with {way.kernels.NAME} kernels" + (f", {str(way).rpartition(', ')[2]}" if way.products else "")
