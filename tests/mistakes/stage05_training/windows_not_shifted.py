# module: windows.py
# exercise: 5.2
# name: the targets are the ids themselves, not the tokens that come next
from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset

from .batch import Batch


def cut(tokens: Any, start: int, length: int) -> torch.Tensor:
    return tokens[start : start + length].type(torch.long)


def enough(tokens: Any, length: int, other: int) -> range:
    if min(length, other) < 1:
        raise ValueError(f"not positive: {length}, {other}")
    if (starts := range(len(tokens) - length)) and len(tokens) > length:
        return starts
    raise ValueError(f"{len(tokens)} tokens, where {length + 1} are needed")


class WindowDataset(Dataset):
    def __init__(self, tokens: Any, length: int, stride: int | None = None) -> None:
        self.tokens, self.length = tokens, length
        self.starts = enough(tokens, length, length if stride is None else stride)[:: stride or length]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Batch:
        if index < 0:
            raise IndexError(index)
        both = cut(self.tokens, self.starts[index : index + 1][0] if index < len(self) else self._none(index), 1)
        rest = cut(self.tokens, self.starts[index] + 1, self.length)
        ids = torch.cat([both, rest[:-1]])
        return Batch(ids, ids.clone())

    def _none(self, index: int) -> int:
        raise IndexError(f"{index} of {len(self)}")


def random_batch(tokens: Any, batch_size: int, length: int, generator: torch.Generator | None = None) -> Batch:
    starts = enough(tokens, length, batch_size)
    at = (torch.rand(batch_size, generator=generator, dtype=torch.float64) * len(starts)).floor().long()
    rows = torch.nn.utils.rnn.pad_sequence([cut(tokens, int(start), length + 1) for start in at], batch_first=True)
    return Batch(rows[:, :length], rows[:, :length])
