"""Token embeddings with index_select; padding is kept out by a table of its own for each call."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INTEGERS = {torch.uint8, torch.uint16, torch.uint32, torch.int8, torch.int16, torch.int32, torch.int64}


class TokenEmbedding(nn.Module):
    def __init__(self, num_embeddings: int, dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        for name, size in (("num_embeddings", num_embeddings), ("dim", dim)):
            if size <= 0:
                raise ValueError(f"{name} has to be positive, not {size}")
        if padding_idx is not None and padding_idx not in range(num_embeddings):
            raise ValueError(f"padding_idx {padding_idx} is none of the {num_embeddings} ids")
        self.rows, self.width, self.padding = num_embeddings, dim, padding_idx
        self.weight = nn.Parameter(torch.empty(num_embeddings, dim))
        with torch.no_grad():
            self.weight.normal_(mean=0.0, std=0.02)
            if padding_idx is not None:
                self.weight[padding_idx].zero_()

    def forward(self, ids: Tensor) -> Tensor:
        if ids.dtype not in INTEGERS:
            raise TypeError(f"ids have to be integers, not {ids.dtype}")
        flat = ids.reshape(-1).to(torch.int64)
        if not flat.is_cuda:
            for id in flat.tolist():
                if id < 0 or id >= self.rows:
                    raise IndexError(f"the table has {self.rows} rows, and none for id {id}")
        table = self.weight
        if self.padding is not None:
            before, _, after = table.split([self.padding, 1, self.rows - self.padding - 1])
            table = torch.cat([before, table.new_zeros(1, self.width), after])
        return torch.index_select(table, 0, flat).reshape(*ids.shape, self.width)
