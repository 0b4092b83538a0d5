# module: attention.py
# exercise: 3.3
# name: masked scores are filled with -10,000, which is not low enough
"""Attention in the order in which a textbook writes it."""

import math

import torch
from torch import Tensor

from .checks import check_attention


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Scores, softmax, values."""
    check_attention(q, k, v, mask, bias, dropout)
    kind = torch.float64 if q.dtype == torch.float64 else torch.float32
    d = q.size(-1)
    scores = torch.matmul(q.to(kind), k.to(kind).transpose(-2, -1)) / math.sqrt(d)
    if bias is not None:
        scores = scores + bias.to(kind)
    if mask is not None:
        scores = scores.masked_fill(~mask, -10000.0)
    attn = torch.softmax(scores, dim=-1)
    attn = torch.nn.functional.dropout(attn, p=dropout, training=True)
    out = torch.matmul(attn, v.to(kind)).to(q.dtype)
    if return_weights:
        return out, attn.to(q.dtype)
    return out
