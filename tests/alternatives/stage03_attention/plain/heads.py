"""Heads cut out one by one, and put side by side one by one."""

from __future__ import annotations

import torch
from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Slice the width."""
    if x.ndim < 2 or heads < 1 or x.shape[-1] % heads != 0:
        raise ValueError(f"{heads} heads do not go with x of shape {tuple(x.shape)}")
    width = x.shape[-1] // heads
    return torch.stack([x[..., start : start + width] for start in range(0, x.shape[-1], width)], dim=-3)


def merge_heads(x: Tensor) -> Tensor:
    """Join the slices."""
    if x.ndim < 3:
        raise ValueError(f"heads, time and width are needed, not {tuple(x.shape)}")
    return torch.cat(list(x.unbind(-3)), dim=-1)
