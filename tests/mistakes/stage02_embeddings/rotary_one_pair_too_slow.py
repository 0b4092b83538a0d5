# module: rotary.py
# exercise: 2.5
# name:
"""Rotary positions by matrices: one 2 × 2 matrix for each position and pair; rows moved one by one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class RotaryEmbedding(nn.Module):
    """Multiplies each pair with its turning matrix."""

    def __init__(self, head_dim: int, base: float = 10000.0, layout: str = "interleaved") -> None:
        super().__init__()
        if head_dim < 1 or head_dim % 2 == 1:
            raise ValueError(f"head_dim has to be even, not {head_dim}")
        if layout == "interleaved":
            self.first = list(range(0, head_dim, 2))
            self.second = list(range(1, head_dim, 2))
        elif layout == "half":
            self.first = list(range(head_dim // 2))
            self.second = list(range(head_dim // 2, head_dim))
        else:
            raise ValueError(f"unknown layout {layout!r}")
        self.width = head_dim
        self.speeds = [math.exp(-2 * (i + 1) / head_dim * math.log(base)) for i in range(head_dim // 2)]

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Turn the pairs of x by their positions."""
        shape = tuple(x.shape)
        if len(shape) < 2 or shape[-1] != self.width:
            raise ValueError(f"the last dimension of x {shape} is not {self.width}")
        if positions is None:
            positions = torch.arange(shape[-2], device=x.device)
        given = tuple(positions.shape)
        if given == (shape[-2],):
            pass
        elif len(shape) > 2 and given == (shape[0], shape[-2]):
            while positions.dim() < len(shape) - 1:
                positions = positions.unsqueeze(1)
        else:
            raise ValueError(f"positions {given} do not go with x {shape}")
        angles = positions.double().unsqueeze(-1) * torch.tensor(self.speeds, dtype=torch.float64, device=x.device)
        matrices = torch.stack(
            [
                torch.stack([torch.cos(angles), -torch.sin(angles)], dim=-1),
                torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1),
            ],
            dim=-2,
        )  # (..., T, D/2, 2, 2)
        vectors = torch.stack([x[..., self.first], x[..., self.second]], dim=-1).double()  # (..., T, D/2, 2)
        turned = torch.matmul(matrices, vectors.unsqueeze(-1)).squeeze(-1)
        columns: list[Tensor] = [torch.empty(0)] * self.width
        for i in range(self.width // 2):
            columns[self.first[i]] = turned[..., i, 0]
            columns[self.second[i]] = turned[..., i, 1]
        return torch.stack(columns, dim=-1).to(x.dtype)


def interleaved_to_half(weight: Tensor, heads: int) -> Tensor:
    """Collect the rows of each head: every second one, twice."""
    width = _width(weight, heads)
    rows = []
    for head in range(heads):
        for start in (0, 1):
            for i in range(start, width, 2):
                rows.append(weight[head * width + i])
    return torch.stack(rows)


def half_to_interleaved(weight: Tensor, heads: int) -> Tensor:
    """Collect the rows of each head: one from the first half, one from the second."""
    width = _width(weight, heads)
    rows = []
    for head in range(heads):
        for i in range(width // 2):
            rows.append(weight[head * width + i])
            rows.append(weight[head * width + width // 2 + i])
    return torch.stack(rows)


def _width(weight: Tensor, heads: int) -> int:
    count = weight.shape[0]
    if heads <= 0 or count % heads != 0 or count // heads % 2 != 0:
        raise ValueError(f"{tuple(weight.shape)} is not made of {heads} heads of even width")
    return count // heads
