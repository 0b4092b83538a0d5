"""Shapes and formats from outside, looked at before they are used. (Given; nothing to write here.)"""

from __future__ import annotations

import numpy
import torch
from torch import Tensor


def check_attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, bias: Tensor | None = None, dropout: float = 0.0
) -> None:
    """Hold the arguments of an attention to (..., T, D), (..., S, D), (..., S, E), and to what fits their scores.

    Raises:
        TypeError: q, k and v are not floating point numbers of one format, the mask is not bool, or the bias not
            floating point.
        ValueError: the shapes do not fit, with both of them in the message; or `dropout` is not in [0, 1).

    >>> check_attention(torch.zeros(2, 5, 4), torch.zeros(2, 7, 4), torch.zeros(2, 7, 3), torch.ones(7, 5).bool())
    Traceback (most recent call last):
    ...
    ValueError: mask must broadcast to the scores (2, 5, 7); got the shape (7, 5)
    """
    if not q.is_floating_point() or not q.dtype == k.dtype == v.dtype:
        raise TypeError(f"q, k and v must be floating point numbers of one format; got {q.dtype}, {k.dtype}, {v.dtype}")
    shapes = f"got {tuple(q.shape)}, {tuple(k.shape)} and {tuple(v.shape)}"
    if min(q.dim(), k.dim(), v.dim()) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        raise ValueError(f"q, k and v must be (..., T, D), (..., S, D) and (..., S, E); {shapes}")
    try:
        lead = numpy.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])  # torch's own loads sympy first
    except ValueError:
        raise ValueError(f"the leading dimensions of q, k and v do not go together; {shapes}") from None
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be from 0 to less than 1; got {dropout}")
    if mask is not None and mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool, True where a query may attend to a key; got {mask.dtype}")
    if bias is not None and not bias.is_floating_point():
        raise TypeError(f"bias must be floating point numbers, added to the scores; got {bias.dtype}")
    scores = (*lead, q.shape[-2], k.shape[-2])  # (..., T, S)
    for name, tensor in (("mask", mask), ("bias", bias)):
        if tensor is not None and not _broadcasts_to(tuple(tensor.shape), scores):
            raise ValueError(f"{name} must broadcast to the scores {scores}; got the shape {tuple(tensor.shape)}")


def _broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    tail = target[len(target) - len(shape) :]
    return len(shape) <= len(target) and all(one in (1, other) for one, other in zip(shape, tail))
