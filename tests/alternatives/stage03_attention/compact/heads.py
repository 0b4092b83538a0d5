"""Heads by reshape and movedim."""

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Reshape, then move the heads forward."""
    if x.ndim < 2 or heads <= 0 or x.size(-1) % heads:
        raise ValueError(f"x {tuple(x.shape)}, {heads} heads")
    return x.reshape(*x.shape[:-1], heads, x.size(-1) // heads).movedim(-2, -3).contiguous()


def merge_heads(x: Tensor) -> Tensor:
    """Move the heads back, then reshape."""
    if x.ndim <= 2:
        raise ValueError(f"x {tuple(x.shape)}")
    return x.movedim(-3, -2).reshape(*x.shape[:-3], x.size(-2), x.size(-3) * x.size(-1))
