"""Dropout as a product with zeros and ones from a coin."""

from __future__ import annotations

import torch


class Dropout(torch.nn.Module):
    """A coin for each number: it stays with the probability 1 - p."""

    def __init__(self, p: float = 0.1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if not (p >= 0 and p <= 1):
            raise ValueError(f"a probability is needed, not {p}")
        self.keep = 1 - p
        self.source = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training is False or self.keep == 1:
            return x.clone()
        if self.keep == 0:
            return x * 0
        coins = torch.empty_like(x, memory_format=torch.contiguous_format)
        with torch.no_grad():
            coins.bernoulli_(self.keep, generator=self.source).div_(self.keep)
        return x * coins
