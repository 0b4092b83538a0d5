"""Softmax in powers of two, with the maximum left in the graph."""

import math

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """exp(x) is 2 to the power of x / ln 2; divided by the sum through its inverse."""
    if not torch.is_floating_point(x):
        raise TypeError(f"floating point is needed, not {x.dtype}")
    if not -x.ndim <= dim <= x.ndim - 1:
        raise IndexError(f"dim {dim} of {x.ndim}")
    if 0 in x.shape:
        return x.clone()
    y = x.double() if x.dtype == torch.float64 else x.float()
    power = ((y - y.max(dim, keepdim=True).values) * (1 / math.log(2))).exp2()
    return power.mul(power.sum(dim, keepdim=True).reciprocal()).type_as(x)
