"""Latency tables: files with the milliseconds that a supernet's operations take on a device."""

from math import isfinite
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from spaces.cells.cost import Cost, cost_tables, milliseconds, operation_costs
from spaces.cells.supernet import SpaceTables, Supernet
from spaces.common.errors import InputError
from spaces.common.files import write_whole
from spaces.common.streams import generator


class LatencyTable(BaseModel):
    """A table, and what it depends on: the supernet's sizes, the batch, the device and the versions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    unit: Literal["ms"] = "ms"
    space: str
    channels: int
    cells: int  # as `Space.supernet` counts them
    size: int  # height and width of the images, in pixels
    batch: int  # images a pass
    device: str
    threads: int
    torch: str
    date: str  # ISO 8601
    costs: tuple[Cost, ...]

    @property
    def where(self) -> str:
        """The device and its threads, in words."""
        return f"{self.device}, {self.threads} thread{'' if self.threads == 1 else 's'}"

    def fits(self, path: Path, space: SpaceTables, channels: int, cells: int, size: int | None = None) -> None:
        """Raise `InputError` unless this table, read from `path`, is of that supernet and, if given, image size.

        It may have operations that were removed from `space`, but must not lack any.
        """
        asked = {"space": space.name, "channels": channels, "cells": cells, "size": self.size if size is None else size}
        for key, value in asked.items():
            if (own := getattr(self, key)) != value:
                remedy = f"dartboard latency {' '.join(f'--{k} {v}' for k, v in asked.items())} --out {path}"
                raise InputError(f"{path}: {key} = {own!r}, but the search has {value!r}: measure it by `{remedy}`")
        entries = {
            kind: torch.zeros(space.cells_of(kind, self.cells), *mask.shape, dtype=torch.int64, device="cpu")
            for kind, mask in space.mask.items()
        }
        for number, each in enumerate(self.costs, 1):
            for kind, cell, edge in each.at:
                known = kind in entries and cell in range(len(entries[kind])) and edge in range(entries[kind].shape[1])
                if not known or each.operation not in space.operations:
                    place = f"{each.operation} on edge {edge} of {kind} cell {cell}"
                    raise InputError(f"{path}: costs.{number}: {space.name} has no {place}: measure the table again")
                entries[kind][cell, edge, space.operations.index(each.operation)] += 1
        computed = torch.tensor([name != "none" for name in space.operations], device="cpu")
        for kind, found in entries.items():
            for cell, edge, operation in ((found != 1) & space.mask[kind] & computed).nonzero().tolist():
                place = f"{space.operations[operation]} on edge {edge} of {kind} cell {cell}"
                count = int(found[cell, edge, operation])
                raise InputError(f"{path}: costs: {count} entries for {place}, not 1: measure the table again")

    def tables(self, space: SpaceTables) -> dict[str, Tensor]:
        """Milliseconds of one pass: kind -> float64 `[cells, edges, operations]`; 0 for `none`."""
        return cost_tables(self.costs, space, self.cells)

    def write(self, path: Path) -> None:
        """Write the table, whole or not at all. Raises `InputError` if that fails."""
        try:
            write_whole(path, lambda file: file.write(self.model_dump_json().encode() + b"\n"))
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}: name another file") from error


def measure(net: Supernet, size: int, batch: int, device: str, repeats: int = 20) -> list[Cost]:
    """The milliseconds (median of `repeats`) of each operation of `net`, for each shape of its input, in `eval()`.

    The images are random, since time does not depend on them: `batch` of `size` x `size` pixels.
    """
    images = torch.randn(
        batch, net.config.in_channels, size, size, generator=generator(0, "latency images"), device="cpu"
    )
    return operation_costs(net, images.to(device), lambda operation, x: milliseconds(operation, x, repeats))


def read_table(path: Path) -> LatencyTable:
    """The table at `path`. Raises `InputError` naming the file, the key and what is wrong with it."""
    try:
        table = LatencyTable.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}: make a table there with `dartboard latency`") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {key}: {first['msg'].lower()}: make a table with `dartboard latency`") from error
    for number, entry in enumerate(table.costs, 1):
        if not (isfinite(entry.cost) and entry.cost >= 0):
            raise InputError(f"{path}: costs.{number}.cost = {entry.cost} must be finite and 0 or more")
    return table
