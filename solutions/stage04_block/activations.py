"""4.2 · Activations: what bends a line, number by number.

Hendrycks and Gimpel: Gaussian Error Linear Units (2016), sections 2 and 3, where SiLU has its name from too.

Each takes numbers of any shape, which it does not change, and gives as many in the same format. They are written with
comparisons, erf, tanh, exp or sigmoid; torch's own relu, gelu and silu are not called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def relu(x: Tensor) -> Tensor:
    """Keep what is positive: max(x, 0). At 0 the gradient is 0; nan stays nan.

    >>> relu(torch.tensor([-2.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """
    # BEGIN SOLUTION 4.2: the larger of x and 0, with a gradient of 0 at 0
    return x.masked_fill(x <= 0, 0.0)
    # END SOLUTION


def gelu(x: Tensor, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Multiply x by the share of a normal distribution that lies below it, Φ(x).

        "none":  x · Φ(x) = x · (1 + erf(x / √2)) / 2
        "tanh":  x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2

    The second is an approximation, off by up to 5e-4, from when erf was slow; GPT-2 was trained with it. Half formats
    are computed in float32 and rounded once.

    Raises:
        ValueError: `approximate` is neither.

    >>> [round(y, 4) for y in gelu(torch.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.1587, 0.0, 0.8413]
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be 'none' or 'tanh'; got {approximate!r}")
    # BEGIN SOLUTION 4.2: the two formulas, in a wide format
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    share = _normal_share if approximate == "none" else _tanh_share
    y: Any = _TimesShare.apply(wide, share)
    return y.to(x.dtype)
    # END SOLUTION


# BEGIN SOLUTION 4.2
def _normal_share(x: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
    """Φ(x); and its derivative, the normal density, for whoever wants it."""
    share = (1.0 + torch.erf(x * math.sqrt(0.5))) / 2
    return share, lambda: torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _tanh_share(x: Tensor) -> tuple[Tensor, Callable[[], Tensor]]:
    """(1 + tanh u) / 2 = sigmoid(2u) for u = √(2/π) · (x + 0.044715 x³); and its derivative."""
    scale, square = 2 * math.sqrt(2 / math.pi), x * x
    share = torch.sigmoid((square * (0.044715 * scale)).add_(scale).mul_(x))
    return share, lambda: (square * (3 * 0.044715 * scale)).add_(scale).mul_(share).mul_(1.0 - share)


class _TimesShare(torch.autograd.Function):
    """x · share(x). Its derivative, share + x · share′, is made on the way there: on the way back it is one product.

    torch would note each step of the formula, and go back through all of them.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, share_of: Callable[[Tensor], tuple[Tensor, Callable[[], Tensor]]]) -> Tensor:
        share, slope = share_of(x)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(slope().mul_(x).add_(share))
        return x * share

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override] - the decorator's
        return grads[0] * ctx.saved_tensors[0], None


# END SOLUTION


def silu(x: Tensor) -> Tensor:
    """Multiply x by its sigmoid: x / (1 + e^(−x)), also called swish; without overflow on either side.

    Half formats are computed in float32 and rounded once.

    >>> [round(y, 4) for y in silu(torch.tensor([-1.0, 0.0, 1.0])).tolist()]
    [-0.2689, 0.0, 0.7311]
    """
    # BEGIN SOLUTION 4.2: e^(−x) overflows where x is very negative; torch.sigmoid does not
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide * torch.sigmoid(wide)).to(x.dtype)
    # END SOLUTION
