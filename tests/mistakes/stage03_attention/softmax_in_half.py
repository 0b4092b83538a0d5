# module: softmax.py
# exercise: 3.1
# name: half formats are not computed in float32
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
    rest = x.movedim(dim, -1)
    e = torch.exp(rest - rest.max(-1, keepdim=True)[0])
    return (e / e.sum(-1).unsqueeze(-1)).movedim(-1, dim)
