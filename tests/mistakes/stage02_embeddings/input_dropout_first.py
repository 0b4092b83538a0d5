# module: input.py
# exercise: 2.8
# name: dropout comes before the positions are added
"""The input of a model, in steps, with a dropout of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .absolute import LearnedPosition, SinusoidalPosition
from .tokens import TokenEmbedding


class InputEmbedding(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        dim: int,
        position: str = "none",
        max_length: int | None = None,
        dropout: float = 0.0,
        scale: bool = False,
        padding_idx: int | None = None,
    ) -> None:
        super().__init__()
        if dropout < 0 or dropout >= 1:
            raise ValueError(f"dropout has to be at least 0 and less than 1, not {dropout}")
        self.token = TokenEmbedding(vocab_size, dim, padding_idx)
        if position == "none":
            self.position = None
        elif position == "sinusoidal":
            self.position = SinusoidalPosition(dim)
        elif position == "learned":
            if max_length is None:
                raise ValueError("how many positions are to be learned? max_length is missing")
            self.position = LearnedPosition(max_length, dim)
        else:
            raise ValueError(f"there is no scheme of positions called {position}")
        self.share = dropout
        self.factor = dim**0.5 if scale else 1.0

    def forward(self, ids: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        if ids.ndim != 2:
            raise ValueError(f"ids have two axes, batch and time; these are {tuple(ids.shape)}")
        batch, length = ids.shape
        if offset < 0:
            raise ValueError(f"a negative offset: {offset}")
        if positions is None:
            positions = torch.arange(length, device=ids.device) + offset
        if tuple(positions.shape) == (length,):
            positions = positions.unsqueeze(0).expand(batch, length)
        if tuple(positions.shape) != (batch, length):
            raise ValueError(f"positions of the shape {tuple(positions.shape)} for ids of {tuple(ids.shape)}")
        total = torch.mul(self.token(ids), self.factor)
        if self.training and self.share > 0:
            kept = torch.rand(total.shape, device=total.device) >= self.share
            total = torch.where(kept, total / (1 - self.share), torch.zeros_like(total))
        if self.position is not None:
            total = torch.add(total, self.position(positions))
        return total
