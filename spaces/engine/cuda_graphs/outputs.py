"""Copies of the tensors that a graph writes, with their layout in memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNMENT = 512
"""Bytes: CUDA's allocator returns addresses that are multiples of it. A sum over a tensor that begins elsewhere may
take another order."""


class Outputs:
    """Tensors that every replay overwrites, and copies of them: the memory behind them is copied in one call."""

    def __init__(self, tensors: Sequence[Tensor | None]) -> None:
        self.tensors = tensors
        whole: dict[int, Tensor] = {}  # address of a storage → all of its bytes
        for tensor in tensors:
            if tensor is not None and (storage := tensor.untyped_storage()).data_ptr() not in whole:
                whole[storage.data_ptr()] = tensor.new_empty(0, dtype=torch.uint8).set_(storage)
        self.sources = list(whole.values())
        self.sizes: list[int] = []  # bytes of each storage, and of the gap behind it
        offsets = {}
        for address, source in whole.items():
            offsets[address] = sum(self.sizes)
            self.sizes += [len(source), -len(source) % ALIGNMENT]
        # Of each tensor's storage within the copy, in elements.
        self.offsets = [0 if t is None else offsets[t.untyped_storage().data_ptr()] // t.itemsize for t in tensors]

    def copies(self) -> list[Tensor | None]:
        """Copies of the present values, with the same strides and the same distance from an aligned address."""
        if not self.sources:
            return list(self.tensors)
        memory = self.sources[0].new_empty(sum(self.sizes))
        torch._foreach_copy_(list(torch.split(memory, self.sizes)[::2]), self.sources)
        typed = {t.dtype: memory.view(t.dtype) for t in self.tensors if t is not None}
        return [
            None if t is None else typed[t.dtype].as_strided(t.shape, t.stride(), offset + t.storage_offset())
            for t, offset in zip(self.tensors, self.offsets, strict=True)
        ]
