"""4.4 · Feed-forward: each token's vector by itself is made wide, bent, and made narrow again.

Vaswani et al.: Attention Is All You Need (2017), section 3.3; Shazeer: GLU Variants Improve Transformer (2020).
Letters: C width of the model, F width inside.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from .activations import gelu, relu, silu
from .dropout import Dropout

ACTIVATIONS = {"relu": relu, "gelu": gelu, "gelu_tanh": partial(gelu, approximate="tanh"), "silu": silu}


def hidden_width(d_model: int, activation: str) -> int:
    """Say how wide the inside is if nobody says: 4 C; and for "swiglu" 8/3 C, rounded up to a multiple of 8.

    The gated form has three matrices instead of two. With 8/3 C they hold as many numbers as two with 4 C.

    >>> hidden_width(768, "gelu"), hidden_width(768, "swiglu"), hidden_width(100, "swiglu")
    (3072, 2048, 272)
    """
    # BEGIN SOLUTION 4.4: whole numbers only: ⌈8 C / 3⌉, then up to a multiple of 8
    if activation != "swiglu":
        return 4 * d_model
    width = -(-8 * d_model // 3)  # rounded up
    return -(-width // 8) * 8
    # END SOLUTION


class FeedForward(nn.Module):
    """Two linear layers with an activation between; or three, one of which is a gate for another.

        down(activation(up(x)))                 "relu", "gelu", "gelu_tanh", "silu"
        down(silu(gate(x)) · up(x))             "swiglu"

    Dropout comes last.

    Args:
        d_model: C.
        d_ff: F; None means `hidden_width(d_model, activation)`.
        activation: one of the five above.
        bias: whether the linear layers have biases.
        dropout: the share of numbers of the result that are zeroed in training.

    Attributes:
        up: C to F, a `torch.nn.Linear` as the two others.
        gate: C to F; None unless the activation is "swiglu".
        down: F to C.

    Raises:
        ValueError: `d_model` or `d_ff` is not positive, or the activation is unknown (all are named).

    >>> import torch
    >>> FeedForward(d_model=6, activation="swiglu")(torch.zeros(2, 5, 6)).shape
    torch.Size([2, 5, 6])
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in (*ACTIVATIONS, "swiglu"):
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, swiglu; got {activation!r}")
        if d_model < 1 or (d_ff is not None and d_ff < 1):
            raise ValueError(f"d_model and d_ff must be positive; got {d_model} and {d_ff}")
        self.activation = activation
        self.dropout = Dropout(dropout)
        # BEGIN SOLUTION 4.4: the three linear layers self.up, self.gate (None without a gate) and self.down
        width = hidden_width(d_model, activation) if d_ff is None else d_ff
        self.up = nn.Linear(d_model, width, bias=bias)
        self.gate = nn.Linear(d_model, width, bias=bias) if activation == "swiglu" else None
        self.down = nn.Linear(width, d_model, bias=bias)
        # END SOLUTION

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to the last dimension: (..., C) -> (..., C)."""
        # BEGIN SOLUTION 4.4: up, bend (or gate), down, drop
        if self.gate is not None:
            inside = silu(self.gate(x)) * self.up(x)  # (..., F)
        else:
            inside = ACTIVATIONS[self.activation](self.up(x))
        return self.dropout(self.down(inside))
        # END SOLUTION
