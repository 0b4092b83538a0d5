"""Attention by einsum, with an exp and a sum in place of a softmax, so that empty rows divide by 1."""

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
    """Sums of exp, taken where a query may attend; those of nothing are 0, and are divided by 1."""
    check_attention(q, k, v, mask, bias, dropout)
    float64 = q.dtype == torch.float64
    q64, k64, v64 = q.double(), k.double(), v.double()  # wider than need be
    scores = torch.einsum("...td,...sd->...ts", q64, k64) / q.shape[-1] ** 0.5
    open_ = torch.ones_like(scores, dtype=torch.bool)
    if bias is not None:
        open_ = open_ & (bias != -torch.inf)
        scores = scores + bias.double().masked_fill(bias == -torch.inf, 0.0)
    if mask is not None:
        open_ = open_ & mask
    scores = torch.where(open_, scores, scores.new_tensor(-1e300))
    exp = (scores - scores.amax(-1, keepdim=True)).exp() * open_
    total = exp.sum(-1, keepdim=True)
    weights = exp / (total + (total == 0))
    if dropout:
        weights = weights * torch.empty_like(weights).bernoulli_(1 - dropout) / (1 - dropout)
    output = torch.einsum("...ts,...se->...te", weights, v64)
    if not float64:
        output, weights = output.float(), weights.float()
    output = output.to(q.dtype)
    return (output, weights.to(q.dtype)) if return_weights else output
