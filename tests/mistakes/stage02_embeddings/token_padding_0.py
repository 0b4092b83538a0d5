# module: tokens.py
# exercise: 2.1
# name: a padding_idx of 0 is taken for none
"""Token embeddings on top of torch's own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TokenEmbedding(nn.Embedding):
    def __init__(self, num_embeddings: int, dim: int, padding_idx: int | None = None) -> None:
        if min(num_embeddings, dim) < 1 or not (padding_idx is None or 0 <= padding_idx < num_embeddings):
            raise ValueError(f"sizes that make no table: {num_embeddings}, {dim}, padding_idx={padding_idx}")
        super().__init__(num_embeddings, dim, padding_idx or None)

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)
        self._fill_padding_idx_with_zero()

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype.is_floating_point or input.dtype is torch.bool:
            raise TypeError(f"expected integers, got {input.dtype}")
        ids = input.to(torch.long)
        outside = (ids < 0) | (ids >= self.num_embeddings)
        if outside.any():
            raise IndexError(f"ids {ids[outside].tolist()} in a table of {self.num_embeddings}")
        vectors = super().forward(ids)
        return vectors if self.padding_idx is None else torch.where((ids != self.padding_idx)[..., None], vectors, 0)
