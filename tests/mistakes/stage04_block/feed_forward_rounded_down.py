# module: feed_forward.py
# exercise: 4.4
# name: the width with a gate is rounded down to a multiple of 8
"""The feed-forward layer with each case written out, and torch's own dropout."""

from __future__ import annotations

import torch
from torch import nn

from .activations import gelu, relu, silu

ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": lambda x: gelu(x, "tanh"), "silu": silu}


def hidden_width(d_model: int, activation: str) -> int:
    """A multiple of 8."""
    if activation == "swiglu":
        return int(8 / 3 * d_model) // 8 * 8
    return d_model * 4


class FeedForward(nn.Module):
    """up, (gate,) down, drop."""

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        known = [*ACTIVATIONS, "swiglu"]
        if activation not in known:
            raise ValueError(f"{activation!r} is none of {known}")
        if d_ff is None:
            d_ff = hidden_width(d_model, activation)
        if min(d_model, d_ff) < 1:
            raise ValueError(f"widths must be positive: d_model={d_model}, d_ff={d_ff}")
        self.kind = activation
        self.down = nn.Linear(d_ff, d_model, bias)
        self.up = nn.Linear(d_model, d_ff, bias)
        self.gate = None
        if activation == "swiglu":
            self.gate = nn.Linear(d_model, d_ff, bias)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.up(x)
        if self.kind == "relu":
            hidden = relu(hidden)
        elif self.kind == "gelu":
            hidden = gelu(hidden)
        elif self.kind == "gelu_tanh":
            hidden = gelu(hidden, approximate="tanh")
        elif self.kind == "silu":
            hidden = silu(hidden)
        else:
            assert self.gate is not None
            hidden = torch.mul(hidden, silu(self.gate(x)))
        return self.drop(self.down(hidden))
