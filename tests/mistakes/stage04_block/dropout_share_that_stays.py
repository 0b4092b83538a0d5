# module: dropout.py
# exercise: 4.3
# name: p is taken for the share that stays
"""Dropout that puts back at random places, by an index, and has a backward pass of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Kept(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kept: Tensor, factor: float) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(kept)
        ctx.factor = factor
        made = torch.zeros(x.numel(), dtype=x.dtype, device=x.device)
        made[kept] = x.reshape(-1)[kept] * factor
        return made.view(x.shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        back = torch.zeros_like(grad).reshape(-1)
        back[ctx.saved_tensors[0]] = grad.reshape(-1)[ctx.saved_tensors[0]] * ctx.factor
        return back.view(grad.shape), None, None


class Dropout(nn.Module):
    """torch's own where it will do."""

    def __init__(self, p: float = 0.1, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if p < 0 or p > 1 or p != p:
            raise ValueError(f"p={p} is no share")
        self.p = float(p)
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        draws = torch.empty(x.numel(), device=x.device).uniform_(generator=self.generator)
        made: Any = _Kept.apply(x, (draws < self.p).nonzero()[:, 0], 1 / max(self.p, 1e-9))
        return made
