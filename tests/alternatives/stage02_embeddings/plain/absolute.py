"""Absolute positions number by number: no table is kept, each vector is computed when it is asked for."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def _vector(position: int, dim: int, base: float) -> list[float]:
    numbers = []
    for pair in range((dim + 1) // 2):
        angle = position * math.exp(-math.log(base) * 2 * pair / dim)
        numbers += [math.sin(angle), math.cos(angle)]
    return numbers[:dim]


def _integers(positions: Tensor) -> list[int]:
    if positions.dtype == torch.bool or positions.dtype.is_floating_point:
        raise TypeError(f"positions have to be integers, not {positions.dtype}")
    return [int(each) for each in positions.reshape(-1).tolist()]


def sinusoidal_table(length: int, dim: int, base: float = 10000.0) -> Tensor:
    if length < 0:
        raise ValueError(f"there is no table of {length} rows")
    if dim <= 0 or base <= 0:
        raise ValueError(f"dim and base have to be positive, not {dim} and {base}")
    return torch.tensor([_vector(p, dim, base) for p in range(length)], dtype=torch.float32).reshape(length, dim)


class SinusoidalPosition(nn.Module):
    format: Tensor

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        if dim <= 0 or base <= 0:
            raise ValueError(f"dim and base have to be positive, not {dim} and {base}")
        self.width, self.base = dim, base
        self.register_buffer("format", torch.zeros(1), persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        numbers = []
        for position in _integers(positions):
            if position < 0:
                raise IndexError(f"there is no position {position}")
            numbers.append(_vector(position, self.width, self.base))
        return torch.tensor(numbers, dtype=torch.float64).reshape(*positions.shape, self.width).to(self.format)


class LearnedPosition(nn.Module):
    def __init__(self, max_length: int, dim: int) -> None:
        super().__init__()
        if max_length <= 0 or dim <= 0:
            raise ValueError(f"max_length and dim have to be positive, not {max_length} and {dim}")
        self.weight = nn.Parameter(torch.zeros(max_length, dim))
        nn.init.normal_(self.weight, 0.0, 0.02)

    def forward(self, positions: Tensor) -> Tensor:
        max_length, dim = self.weight.shape
        where = _integers(positions)
        for position in where:
            if position not in range(max_length):
                raise IndexError(f"position {position}: only 0 to max_length - 1 were learned, max_length={max_length}")
        if not where:
            return self.weight[:0].reshape(*positions.shape, dim)
        return torch.stack([self.weight[position] for position in where]).reshape(*positions.shape, dim)
