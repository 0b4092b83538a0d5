# module: rotary.py
# exercise: 2.5
# name:
"""Rotary positions with complex numbers, from a table that grows; the half layout by way of the interleaved one."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class RotaryEmbedding(nn.Module):
    """A pair (a, b) is the number a + bi, and is multiplied with exp(i · angle)."""

    def __init__(self, head_dim: int, base: float = 10000.0, layout: str = "interleaved") -> None:
        super().__init__()
        if head_dim % 2 or head_dim < 2 or layout not in {"interleaved", "half"}:
            raise ValueError(f"cannot turn heads of width {head_dim} in the layout {layout!r}")
        self.size, self.base, self.half = head_dim, base, layout == "half"
        self.tables: dict[torch.dtype, Tensor] = {}

    def turns(self, positions: Tensor, dtype: torch.dtype) -> Tensor:
        """Look the turns of each position up: (..., T, D/2), complex."""
        need = int(positions.max()) + 1 if positions.numel() else 0
        if dtype not in self.tables or len(self.tables[dtype]) < need:
            speeds = self.base ** -torch.linspace(0, 1, self.size // 2 + 1, dtype=torch.float64)[:-1]
            angles = torch.outer(torch.arange(2 * need, dtype=torch.float64), speeds)
            self.tables[dtype] = torch.polar(torch.ones_like(angles), angles).to(dtype.to_complex())
        return self.tables[dtype][positions.long().cpu()].to(positions.device)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Multiply."""
        if x.ndim < 2 or x.shape[-1] != self.size:
            raise ValueError(f"x {tuple(x.shape)} is not (..., T, {self.size})")
        *before, length, size = x.shape
        positions = torch.arange(length, device=x.device) if positions is None else positions
        if tuple(positions.shape) not in {(length,), (*before[:1], length)}:
            raise ValueError(f"positions {tuple(positions.shape)}, x {tuple(x.shape)}")
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        turns = self.turns(positions, wide).to(x.device)
        if positions.ndim == 2:
            turns = turns.reshape(len(x), *(1 for _ in before[1:]), length, size // 2)
        numbers = x.to(wide)
        if self.half:
            numbers = torch.complex(*numbers.tensor_split(2, -1)) * turns.conj()
            return torch.cat([numbers.real, numbers.imag], -1).to(x.dtype)
        numbers = torch.view_as_complex(numbers.reshape(*x.shape[:-1], size // 2, 2).contiguous())
        return torch.view_as_real(numbers * turns).reshape(x.shape).to(x.dtype)


def _order(count: int, heads: int) -> Tensor:
    if heads < 1 or count % (2 * heads):
        raise ValueError(f"({count}, …) rows, {heads} heads")
    return torch.arange(count).reshape(heads, count // heads // 2, 2).permute(0, 2, 1).reshape(-1)


def interleaved_to_half(weight: Tensor, heads: int) -> Tensor:
    """Take the rows in that order."""
    return weight[_checked(weight, heads)]


def half_to_interleaved(weight: Tensor, heads: int) -> Tensor:
    """Take them in the order that sorts the other."""
    return weight[_checked(weight, heads).argsort()]


def _checked(weight: Tensor, heads: int) -> Tensor:
    try:
        return _order(len(weight), heads)
    except ValueError as error:
        raise ValueError(f"weight {tuple(weight.shape)}: {error}") from None
