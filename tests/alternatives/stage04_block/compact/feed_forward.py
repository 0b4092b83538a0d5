"""The feed-forward layer as matrix products: one for `up` and the gate together, with their weights side by side."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from .activations import gelu, relu, silu
from .dropout import Dropout

ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": partial(gelu, approximate="tanh"), "silu": silu}


class _Wide(nn.Linear):
    """A linear layer under another name."""


def hidden_width(d_model: int, activation: str) -> int:
    return 8 * math.ceil(d_model / 3) if activation == "swiglu" else d_model << 2


class FeedForward(nn.Module):
    """(..., C) -> (..., F or 2F) -> (..., C)."""

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation != "swiglu" and activation not in ACTIVATIONS:
            raise ValueError(f"unknown: {activation}; known: {' '.join(ACTIVATIONS)} swiglu")
        if d_model <= 0 or (d_ff is not None and d_ff <= 0):
            raise ValueError(f"d_model and d_ff have to be positive, not {d_model} and {d_ff}")
        width = d_ff or hidden_width(d_model, activation)
        self.gate = _Wide(d_model, width, bias=bias) if activation == "swiglu" else None
        self.up = _Wide(d_model, width, bias=bias)
        self.down = _Wide(width, d_model, bias=bias)
        self.bend = ACTIVATIONS.get(activation, silu)
        self.last = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        wide = [self.up] if self.gate is None else [self.gate, self.up]
        inside = torch.einsum("...c,fc->...f", x, torch.cat([each.weight for each in wide]))
        if self.up.bias is not None:
            inside = inside + torch.cat([each.bias for each in wide])
        if self.gate is None:
            inside = self.bend(inside)
        else:
            gate, value = inside.chunk(2, -1)
            inside = self.bend(gate) * value
        y = torch.einsum("...f,cf->...c", inside, self.down.weight)
        return self.last(y if self.down.bias is None else y + self.down.bias)
