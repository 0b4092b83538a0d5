# module: heads.py
# exercise: 3.4
# name: the time is cut into heads, not the width
"""Heads by shapes that are counted out."""

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., T, C) to (..., H, T, D)."""
    if x.ndim < 2 or heads < 1 or x.shape[-1] % heads:
        raise ValueError(f"x {tuple(x.shape)}, {heads} heads")
    *lead, length, width = x.shape
    return x.reshape(*lead, heads, length, width // heads)


def merge_heads(x: Tensor) -> Tensor:
    """(..., H, T, D) to (..., T, C)."""
    if x.ndim < 3:
        raise ValueError(f"x {tuple(x.shape)}")
    *lead, heads, length, depth = x.shape
    return x.reshape(*lead, length, heads * depth)
