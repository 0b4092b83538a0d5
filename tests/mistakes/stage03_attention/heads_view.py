# module: heads.py
# exercise: 3.4
# name: merge_heads asks for a view of what lies in another order
"""Heads by shapes that are counted out."""

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., T, C) to (..., H, T, D)."""
    if x.ndim < 2 or heads < 1 or x.shape[-1] % heads:
        raise ValueError(f"x {tuple(x.shape)}, {heads} heads")
    *lead, length, width = x.shape
    return x.reshape(*lead, length, heads, width // heads).swapaxes(-2, -3)


def merge_heads(x: Tensor) -> Tensor:
    """(..., H, T, D) to (..., T, C)."""
    if x.ndim < 3:
        raise ValueError(f"x {tuple(x.shape)}")
    *lead, heads, length, depth = x.shape
    return x.swapaxes(-2, -3).view(*lead, length, heads * depth)
