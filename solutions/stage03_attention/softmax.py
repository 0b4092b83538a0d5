"""3.1 · Softmax: scores become shares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Turn the numbers along `dim` into shares that are positive and add up to 1, the larger the more.

        softmax(x)_i = exp(x_i) / Σ_j exp(x_j)

    Written with exp, sum and maximum; torch's own softmax is not called. Numbers of any size do not overflow, since
    softmax(x) = softmax(x - c) for any c. A number of -inf gets the share 0, and the gradient 0. (If all along `dim`
    are -inf there is nothing to share out; what comes then is left open.)

    Args:
        x: floating point numbers of any shape and format. Half formats are computed in float32, and rounded once.
        dim: the dimension whose numbers add up to 1; counted from the end if negative.

    Returns:
        The shape and the format of x.

    Raises:
        TypeError: x is not floating point.
        IndexError: x has no dimension `dim`.

    >>> softmax(torch.tensor([0.0, 1000.0, 1000.0]))
    tensor([0.0000, 0.5000, 0.5000])
    """
    if not x.is_floating_point():
        raise TypeError(f"x must be floating point; got {x.dtype}")
    if not -x.dim() <= dim < x.dim():
        raise IndexError(f"x of shape {tuple(x.shape)} has no dimension {dim}")
    if not x.numel():
        return x.clone()
    # BEGIN SOLUTION 3.1: in float32 at least: take away the maximum along dim, exponentiate, divide by the sum
    shares: Any = _Softmax.apply(x, dim)
    return shares
    # END SOLUTION


# BEGIN SOLUTION 3.1
class _Softmax(torch.autograd.Function):
    """Softmax y and its derivative: a gradient g of y becomes y · (g − Σ g · y), whichever maximum was taken away.

    torch would find it too, by going back through each step; but attention does this to its largest matrix.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        top = wide.amax(dim, keepdim=True)
        exp = (wide - top).exp_()  # from 0 to 1
        shares = exp / exp.sum(dim, keepdim=True)
        ctx.save_for_backward(shares)
        ctx.dim = dim
        return shares.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (shares,), (grad,) = ctx.saved_tensors, grads
        weighed = grad * shares
        return weighed.sub_(shares * weighed.sum(ctx.dim, keepdim=True)).to(grad.dtype), None


# END SOLUTION
