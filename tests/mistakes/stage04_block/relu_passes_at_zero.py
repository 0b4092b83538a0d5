# module: activations.py
# exercise: 4.2
# name: the gradient of relu at 0 is 1
"""Activations that go back by formulas of their own, and gelu by a sigmoid."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad * (x >= 0)


class _Share(torch.autograd.Function):
    """x · f(x), where f and its slope are given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, share: Tensor, slope: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(share + x * slope)
        return x * share

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return grad * ctx.saved_tensors[0], None, None


def _apply(x: Tensor, wide: Tensor, share: Tensor, slope: Tensor) -> Tensor:
    made: Any = _Share.apply(wide, share.detach(), slope.detach())
    return made.to(x.dtype)


def relu(x: Tensor) -> Tensor:
    made: Any = _Relu.apply(x)
    return made


def gelu(x: Tensor, approximate: str = "none") -> Tensor:
    if approximate not in {"none", "tanh"}:
        raise ValueError(f"approximate is {approximate!r}; it may be 'none' or 'tanh'")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if approximate == "none":
        density = (-wide * wide / 2).exp() / math.sqrt(2 * math.pi)
        return _apply(x, wide, torch.erfc(-wide * 2**-0.5) / 2, density)
    root = 2 * math.sqrt(2 / math.pi)
    share = torch.sigmoid(root * wide * (1 + 0.044715 * wide * wide))
    return _apply(x, wide, share, share * (1 - share) * root * (1 + 3 * 0.044715 * wide * wide))


def silu(x: Tensor) -> Tensor:
    wide = x.double() if x.dtype == torch.float64 else x.float()
    share = (1 + (wide / 2).tanh()) / 2
    return _apply(x, wide, share, share * (1 - share))
