"""The tiles in which the Triton kernels compute products, by the channels of a tile.

A result's last bits depend on them, as sums are taken tile by tile: so they are a table and not tuned as a search runs.
They are chosen by registers and spills of the machine code for compute capability 9.0, and timed on no GPU.
"""

from typing import NamedTuple


class Tile(NamedTuple):
    """Pixels of a tile, and warps of a program."""

    pixels: int
    warps: int

    @property
    def options(self) -> dict[str, int]:
        """What a launch is told besides; without stages, loads are not begun ahead, and twice the programs fit."""
        return {"num_warps": self.warps, "num_stages": 1}


IMAGE_TILES = {16: Tile(128, 4), 32: Tile(64, 4), 64: Tile(64, 4)}
"""Of kernels that compute an image."""

DEPTHS = {16: 16, 32: 32, 64: 32}
"""Channels that these sum at a time."""

SQUARE_TILES = {16: Tile(64, 2), 32: Tile(64, 4), 64: Tile(32, 4)}
"""Of kernels that compute the gradient of a kernel: a square of channels, summed over pixels."""

NARROW = 16
"""Channels of a tile where no product is computed."""

PIXELS = 128
"""Pixels of such a tile."""

NARROW_TILE = {"P": PIXELS, "C": NARROW}
"""Such a tile as arguments."""
