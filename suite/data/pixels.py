"""Pixels of a user's own images, of any type and shape, made square and converted to eight bits.

One scale holds for the whole data set, so that images keep their brightness relative to each other.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spaces.common.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

FITS = {
    "pad": "padded with black to squares",
    "stretch": "stretched to squares",
    "crop": "cropped to their central squares",
}
"""Ways to make an image square (values of the setting ``fit``) -> the result in words."""

LOSSLESS = "pad"
"""The default of ``fit``. It keeps every part of an image and its proportions."""

LEAST_LEVEL = 16
"""The brightest pixel has to reach this level of 255. Below it, most of the depth would be lost."""

DEEP_COLOUR = re.compile(r";16[BLN]")
"""Pillow's raw modes of files with 16 bits a channel, of which Pillow keeps the upper eight."""

GREY_DEPTHS: dict[str, Literal["whole", "float"]] = {
    **dict.fromkeys(("I", "I;16", "I;16B", "I;16L", "I;16N"), "whole"),
    "F": "float",
}
"""Pillow's modes with more than eight bits."""


class Picture(NamedTuple):
    """One image file, resized to P x P pixels.

    - `pixels`: uint8 [3, P, P], or float32 [P, P] in the file's own unit if it has more than eight bits.
    - `depth`: the type of the file's pixels; `low` and `high`: their extreme values.
    - `flat`: whether each channel is constant.
    - `width`, `height`: those of the file.
    - `ignored`: parts of the file that are not used.
    """

    pixels: NDArray[Any]
    depth: Literal["eight", "deep colour", "whole", "float"]
    low: float
    high: float
    flat: bool
    width: int
    height: int
    ignored: tuple[str, ...]


def read_picture(path: Path, size: int, fit: str) -> Picture:
    """The image file `path`, resized to `size` x `size` pixels and made square by `fit`, a key of `FITS`.

    Raises `InputError` that names the file if it cannot be read, or has NaN, negative values, or floats above 1.
    """
    from PIL import Image

    ignored = []
    try:
        with Image.open(path) as opened:
            if getattr(opened, "n_frames", 1) > 1:
                ignored.append("further frames")
            colour_depth: Literal["eight", "deep colour"] = "eight"
            if DEEP_COLOUR.search(str(opened.tile)):
                colour_depth = "deep colour"
            width, height = opened.size
            if opened.mode in GREY_DEPTHS:
                depth, image = GREY_DEPTHS[opened.mode], opened.convert("F")
                low, high = _extremes(path, image, depth)
                grey = np.asarray(squared(image, size, fit), dtype=np.float32)
                return Picture(grey, depth, low, high, low == high, width, height, tuple(ignored))
            if opened.has_transparency_data:
                rgba = opened.convert("RGBA")
                if rgba.getchannel("A").getextrema() != (255, 255):
                    ignored.append("transparency")
                image = rgba.convert("RGB")
            else:
                image = opened.convert("RGB")
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path} cannot be read as an image: {' '.join(str(error).split())}; replace or remove it"
        ) from error
    extremes: Any = image.getextrema()
    pixels = np.asarray(squared(image, size, fit), dtype=np.uint8).transpose(2, 0, 1)
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    flat = all(low == high for low, high in extremes)
    return Picture(pixels, colour_depth, low, high, flat, width, height, tuple(ignored))


def _extremes(path: Path, image: "Image.Image", depth: str) -> tuple[float, float]:
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise InputError(f"{path} has pixels that are NaN or infinite: replace or remove it")
    low, high = float(values.min()), float(values.max())
    if depth == "float" and not in_unit_range(low, high):
        raise InputError(f"{path} has float pixels from {low:g} to {high:g}: scale all images to [0, 1] alike")
    if depth == "whole" and low < 0:
        raise InputError(f"{path} has pixels from {low:g} to {high:g}: shift all images alike so that none is below 0")
    return low, high


def in_unit_range(low: float, high: float) -> bool:
    """Whether floats from `low` to `high` are in [0, 1] after rounding to 255 levels."""
    return bool(np.rint(low * 255) >= 0 and np.rint(high * 255) <= 255)


def full_scale(high: float) -> int:
    """The largest number of the fewest bits, at least eight, that hold the whole number `high`."""
    return int(2 ** max(8, int(high).bit_length()) - 1)


def levels(values: NDArray[Any], top: float) -> NDArray[np.uint8]:
    """`values` from 0 to `top` as levels from 0 to 255, rounded; nothing is clipped."""
    return np.rint(values * (255 / top)).astype(np.uint8)


def eight_bits(folder: Path, parts: Mapping[Path, Sequence[Picture]]) -> tuple[list[NDArray[np.uint8]], str]:
    """Each part's images as uint8 [N, 3, P, P], and how those of more bits were scaled, in words (empty: none was).

    `parts` is the folder of each part, both below `folder` -> its images.

    Whole numbers of more than eight bits are scaled by the fewest bits that hold all of them (12 for a camera's 12
    bits in a file of 16), floats by 255. Raises `InputError` that names the folder if every image of a part is
    constant, and if the values are so small that eight bits do not distinguish them.
    """
    pictures = [picture for part in parts.values() for picture in part]
    highs = {
        depth: max((p.high for p in pictures if p.depth == depth), default=0.0)
        for depth in ("whole", "float", "deep colour")
    }
    tops = {"whole": float(full_scale(highs["whole"])), "float": 1.0}
    counts = {depth: sum(picture.depth == depth for picture in pictures) for depth in highs}
    words = []
    if counts["whole"]:
        bits = int(tops["whole"]).bit_length()
        words.append(f"grey values of more than eight bits scaled from 0 to {tops['whole']:,.0f} ({bits} bits)")
    if counts["float"]:
        check_reach(f"{folder}: the float pixels", highs["float"])
        words.append("float pixels scaled from 0 to 1")
    if counts["deep colour"]:
        if highs["deep colour"] < LEAST_LEVEL:
            raise InputError(
                f"{folder}: only the upper eight bits of 16-bit colour are read, and they reach only "
                f"{highs['deep colour']:g} of 255: save those images with eight bits a channel"
            )
        words.append("the upper eight bits of 16-bit colour read")
    for where, part in parts.items():
        check_varied(str(where), all(_flat(picture, tops) for picture in part))
    arrays = [np.stack([_as_levels(picture, tops) for picture in part]) for part in parts.values()]
    return arrays, ", ".join(words)


def check_varied(where: str, flat: bool) -> None:
    """Raise `InputError` that names `where` if every image there is constant (`flat`)."""
    if flat:
        raise InputError(f"{where}: every image is constant: check how the images were written")


def check_reach(where: str, high: float) -> None:
    """Raise `InputError` if the largest float, `high`, is so small that 255 levels do not distinguish the values."""
    if high * 255 < LEAST_LEVEL:
        raise InputError(f"{where} reach only {high:g}: scale all images to [0, 1] alike")


def _flat(picture: Picture, tops: dict[str, float]) -> bool:
    if picture.depth not in tops:
        return picture.flat
    low, high = levels(np.asarray([picture.low, picture.high]), tops[picture.depth])
    return bool(low == high)


def _as_levels(picture: Picture, tops: dict[str, float]) -> NDArray[np.uint8]:
    if picture.depth not in tops:
        return picture.pixels
    grey = levels(picture.pixels, tops[picture.depth])
    return np.broadcast_to(grey, (3, *grey.shape))


def squared(image: "Image.Image", size: int, fit: str) -> "Image.Image":
    """`image` as `size` x `size` pixels, made square by `fit`, a key of `FITS`, with bilinear interpolation."""
    from PIL import Image, ImageOps

    bilinear = Image.Resampling.BILINEAR
    if fit == "stretch":
        return image.resize((size, size), bilinear)
    if fit == "crop":
        return ImageOps.fit(image, (size, size), bilinear)
    width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    square = Image.new(image.mode, (size, size), 0)
    square.paste(image.resize((width, height), bilinear), ((size - width) // 2, (size - height) // 2))
    return square
