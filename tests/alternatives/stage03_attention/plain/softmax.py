"""Softmax by slices: one after the other, with a backward pass of its own."""

from __future__ import annotations

import torch
from torch import Tensor


class _Rows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, rows: Tensor) -> Tensor:  # type: ignore[override]
        made = []
        for row in rows:
            exp = torch.exp(row - torch.max(row))
            made.append(exp / torch.sum(exp))
        shares = torch.stack(made)
        ctx.save_for_backward(shares)
        return shares

    @staticmethod
    def backward(ctx, *grads: Tensor) -> Tensor:  # type: ignore[override]
        (shares,) = ctx.saved_tensors
        mean = torch.sum(shares * grads[0], 1, keepdim=True)
        return shares * (grads[0] - mean)


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Bring the dimension to the end, make rows, share out, and bring it back."""
    if not x.dtype.is_floating_point:
        raise TypeError(f"softmax of {x.dtype}: convert it to floating point first")
    if dim not in range(-x.ndim, x.ndim):
        raise IndexError(f"there is no dimension {dim} in {tuple(x.shape)}")
    if x.numel() == 0:
        return torch.empty_like(x)
    moved = x.movedim(dim, -1)
    rows = moved.reshape(-1, moved.shape[-1])
    if x.dtype in (torch.float16, torch.bfloat16):
        rows = rows.float()
    shares = _Rows.apply(rows)
    assert isinstance(shares, Tensor)
    return shares.reshape(moved.shape).movedim(-1, dim).to(x.dtype)
