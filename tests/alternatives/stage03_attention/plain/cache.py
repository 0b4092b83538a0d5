"""A cache with a first room of 16 tokens, then twice the room each time, taken with torch.cat."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Keeps keys and values in two tensors with room at their ends."""

    def __init__(self) -> None:
        self.length = 0
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @torch.no_grad()
    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put the new ones into the room at the end."""
        if keys.dim() != 4 or values.dim() != 4:
            raise ValueError(f"four dimensions each, not {tuple(keys.shape)} and {tuple(values.shape)}")
        if keys.shape[:3] != values.shape[:3]:
            raise ValueError(f"keys {tuple(keys.shape)} and values {tuple(values.shape)} are not of the same tokens")
        if self.length > 0:
            assert self.keys is not None and self.values is not None
            for new, old in ((keys, self.keys), (values, self.values)):
                new_is = (new.shape[0], new.shape[1], new.shape[3], new.dtype)
                old_is = (old.shape[0], old.shape[1], old.shape[3], old.dtype)
                if new_is != old_is:
                    raise ValueError(f"(B, G, width, format) is {old_is} in the cache, not {new_is}")
        else:
            self.keys = keys.new_empty(keys.shape[0], keys.shape[1], 16, keys.shape[3])
            self.values = values.new_empty(values.shape[0], values.shape[1], 16, values.shape[3])
        count = keys.shape[2]
        while self.length + count > self.keys.shape[2]:
            self.keys = torch.cat([self.keys, torch.empty_like(self.keys)], dim=2)
            self.values = torch.cat([self.values, torch.empty_like(self.values)], dim=2)
        for i in range(count):
            self.keys[:, :, self.length + i] = keys[:, :, i]
            self.values[:, :, self.length + i] = values[:, :, i]
        self.length += count
        return self.keys.narrow(2, 0, self.length), self.values.narrow(2, 0, self.length)
