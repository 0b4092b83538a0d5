# module: input.py
# exercise: 2.8
# name: the positions always start at 0
"""The input of a model, each part looked up by its name."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .absolute import LearnedPosition, SinusoidalPosition
from .tokens import TokenEmbedding

SCHEMES = {
    "none": lambda dim, max_length: None,
    "sinusoidal": lambda dim, max_length: SinusoidalPosition(dim),
    "learned": lambda dim, max_length: LearnedPosition(max_length, dim),
}


class InputEmbedding(nn.Module):
    def __init__(
        self, vocab_size, dim, position="none", max_length=None, dropout=0.0, scale=False, padding_idx=None
    ) -> None:
        super().__init__()
        if position not in SCHEMES or (position == "learned" and not max_length) or not 0 <= dropout < 1:
            raise ValueError(f"cannot make this: {position=}, {max_length=}, {dropout=}")
        self.add_module("token", TokenEmbedding(vocab_size, dim, padding_idx))
        self.position = SCHEMES[position](dim, max_length)
        self.options = (dim if scale else 1, dropout)

    def forward(self, ids: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        if ids.dim() != 2 or offset < 0 or (positions is not None and positions.shape[-1:] != ids.shape[1:]):
            given = None if positions is None else tuple(positions.shape)
            raise ValueError(f"ids are (B, T), positions (T,) or (B, T); got {tuple(ids.shape)}, {given}, {offset=}")
        if positions is not None and positions.dim() > 1 and positions.shape != ids.shape:
            raise ValueError(f"positions of {tuple(positions.shape)}, ids of {tuple(ids.shape)}")
        width, p = self.options
        x = width**0.5 * self.token(ids)
        if self.position:
            x += self.position(torch.arange(ids.size(1)) if positions is None else positions)
        return F.dropout(x, p, self.training)
