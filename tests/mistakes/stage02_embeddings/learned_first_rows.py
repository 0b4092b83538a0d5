# module: absolute.py
# exercise: 2.4
# name: the first rows come, whatever the positions are
"""Absolute positions: sine and cosine as the parts of a complex number, the table a buffer that is made anew."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def sinusoidal_table(length: int, dim: int, base: float = 10000.0) -> Tensor:
    if length < 0 or dim < 1 or not base > 0:
        raise ValueError(f"no table for {length=}, {dim=}, {base=}")
    angles = torch.outer(torch.arange(length).double(), base ** -(torch.arange((dim + 1) // 2).double() * 2 / dim))
    turned = torch.view_as_real(torch.polar(torch.ones_like(angles), angles))  # (length, pairs, cos and sin)
    return turned.flip(-1).flatten(1)[:, :dim].float()


class SinusoidalPosition(nn.Module):
    table: Tensor

    def __init__(self, dim: int, base: float = 10000.0) -> None:
        super().__init__()
        self.options = (dim, base)
        self.register_buffer("table", sinusoidal_table(16, *self.options), persistent=False)

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self.table = sinusoidal_table(len(self.table), *self.options).to(self.table)
        return self

    def forward(self, positions: Tensor) -> Tensor:
        if positions.dtype.is_floating_point or positions.dtype is torch.bool:
            raise TypeError(f"expected integers, got {positions.dtype}")
        positions = positions.long()
        if (positions < 0).any():
            raise IndexError(f"a negative position: {positions.min().item()}")
        top = max(positions.flatten().tolist(), default=0)
        if top >= len(self.table):
            self.table = sinusoidal_table(top + top // 2 + 1, *self.options).to(self.table)
        return nn.functional.embedding(positions, self.table)


class LearnedPosition(nn.Embedding):
    def __init__(self, max_length: int, dim: int) -> None:
        if min(max_length, dim) < 1:
            raise ValueError(f"no table for {max_length=}, {dim=}")
        super().__init__(max_length, dim, _weight=torch.normal(0.0, 0.02, (max_length, dim)))

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype.is_floating_point or input.dtype is torch.bool:
            raise TypeError(f"expected integers, got {input.dtype}")
        for position in input.flatten().tolist():
            if not 0 <= position < self.num_embeddings:
                raise IndexError(f"{position=} with max_length={self.num_embeddings}")
        return (
            self.weight[: input.shape[-1] if input.dim() else 1].expand(*input.shape, -1)
            if input.dim()
            else self.weight[0]
        )
