# module: softmax.py
# exercise: 3.1
# name: large numbers go into exp as they are
"""Softmax with the torch functions spelled out, and the dimension brought to the end."""

import torch
from torch import Tensor


def softmax(x: Tensor, dim: int = -1) -> Tensor:
    """Shares along dim."""
    if not x.dtype.is_floating_point:
        raise TypeError(f"got {x.dtype}")
    if dim >= x.ndim or dim < -x.ndim:
        raise IndexError(f"no dimension {dim}")
    if x.numel() == 0:
        return x
    kind = torch.float64 if x.dtype == torch.float64 else torch.float32
    e = torch.exp(x.type(kind)).transpose(dim, -1)
    total = e.sum(-1).unsqueeze(-1)
    return torch.div(e, total).transpose(dim, -1).type(x.dtype)
