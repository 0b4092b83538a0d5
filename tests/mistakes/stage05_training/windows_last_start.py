# module: windows.py
# exercise: 5.2
# name: the last start is never drawn
from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset

from .batch import Batch


class WindowDataset(Dataset):
    def __init__(self, tokens: Any, length: int, stride: int | None = None) -> None:
        if stride is None:
            stride = length
        if length <= 0 or stride <= 0:
            raise ValueError(f"length {length} and stride {stride} have to be positive")
        if len(tokens) <= length:
            raise ValueError(f"{length + 1} tokens are needed, there are {len(tokens)}")
        self.source = tokens
        self.size = length
        self.starts = []
        start = 0
        while start + length + 1 <= len(tokens):
            self.starts.append(start)
            start += stride

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Batch:
        if index < 0 or index >= len(self.starts):
            raise IndexError(f"no window {index}")
        start = self.starts[index]
        ids = self.source[start : start + self.size]
        targets = self.source[start + 1 : start + 1 + self.size]
        return Batch(ids=ids.to(torch.int64), targets=targets.to(torch.int64))


def random_batch(tokens: Any, batch_size: int, length: int, generator: torch.Generator | None = None) -> Batch:
    if batch_size <= 0 or length <= 0:
        raise ValueError(f"batch_size {batch_size} and length {length} have to be positive")
    if len(tokens) <= length:
        raise ValueError(f"{length + 1} tokens are needed, there are {len(tokens)}")
    ids = torch.empty(batch_size, length, dtype=torch.long)
    targets = torch.empty(batch_size, length, dtype=torch.long)
    for row in range(batch_size):
        start = int(torch.randint(0, max(1, len(tokens) - length - 1), (), generator=generator))
        ids[row] = tokens[start : start + length]
        targets[row] = tokens[start + 1 : start + length + 1]
    return Batch(ids, targets)
