"""Attention query by query: for each one, the scores of all keys, the weights, the sum."""

from __future__ import annotations

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
    """The smallest number there is stands for minus infinity; weights of what is kept away are set to 0 in the end."""
    check_attention(q, k, v, mask, bias, dropout)
    kind = torch.float64 if q.dtype == torch.float64 else torch.float32
    floor = torch.finfo(kind).min
    keys, values = k.to(kind), v.to(kind)
    outputs, all_weights = [], []
    for i in range(q.shape[-2]):
        query = q[..., i, :].to(kind).unsqueeze(-2)  # (..., 1, D)
        scores = torch.sum(query * keys, dim=-1) * q.shape[-1] ** -0.5  # (..., S)
        if bias is not None:
            row = bias if bias.dim() < 2 else bias[..., i if bias.shape[-2] > 1 else 0, :]
            scores = scores + torch.clamp(row.to(kind), min=floor)
            forbidden = row == -torch.inf
        else:
            forbidden = torch.zeros((), dtype=torch.bool, device=q.device)
        if mask is not None:
            row = mask if mask.dim() < 2 else mask[..., i if mask.shape[-2] > 1 else 0, :]
            forbidden = forbidden | ~row
        forbidden, scores = torch.broadcast_tensors(forbidden, scores)
        scores = torch.where(forbidden, floor, scores)
        exp = torch.exp(scores - scores.max(dim=-1, keepdim=True).values.detach())
        weights = exp / exp.sum(dim=-1, keepdim=True)
        weights = torch.where(forbidden, torch.zeros_like(weights), weights)  # (..., S)
        if dropout > 0:
            keep = torch.rand(weights.shape, device=weights.device) >= dropout
            weights = torch.where(keep, weights / (1 - dropout), 0.0)
        outputs.append(torch.sum(weights.unsqueeze(-1) * values, dim=-2))  # (..., E)
        all_weights.append(weights)
    if not outputs:
        lead = torch.broadcast_tensors(q[..., :1, :1].sum(-2), k[..., :1, 0], v[..., :1, 0])[0].shape[:-1]
        empty = q.new_zeros(*lead, 0, v.shape[-1])
        return (empty, q.new_zeros(*lead, 0, k.shape[-2])) if return_weights else empty
    output = torch.stack(outputs, dim=-2).to(q.dtype)
    return (output, torch.stack(all_weights, dim=-2).to(q.dtype)) if return_weights else output
