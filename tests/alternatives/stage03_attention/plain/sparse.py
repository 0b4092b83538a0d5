"""Sparse attention query by query: each looks at a short slice of the keys, and at the global ones before it."""

from __future__ import annotations

import torch
from torch import Tensor


def sliding_window_attention(q: Tensor, k: Tensor, v: Tensor, window: int, global_tokens: int = 0) -> Tensor:
    """For each query, take the keys that it sees, and attend to those."""
    if not (q.is_floating_point() and q.dtype == k.dtype == v.dtype):
        raise TypeError(f"q, k, v are {q.dtype}, {k.dtype}, {v.dtype}")
    if q.shape != k.shape or k.shape[:-1] != v.shape[:-1]:
        raise ValueError(f"shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)} do not fit")
    if window <= 0:
        raise ValueError(f"window is {window}")
    if global_tokens < 0:
        raise ValueError(f"global_tokens is {global_tokens}")
    kind = torch.float64 if q.dtype == torch.float64 else torch.float32
    length, width = q.shape[-2], q.shape[-1]
    rows = []
    for i in range(length):
        first = max(0, i - window + 1)
        shared = min(global_tokens, first)  # the global keys that the window does not reach
        keys, values = k[..., first : i + 1, :], v[..., first : i + 1, :]
        if shared:
            keys = torch.cat([k[..., :shared, :], keys], dim=-2)
            values = torch.cat([v[..., :shared, :], values], dim=-2)
        query = q[..., i, :].to(kind).unsqueeze(-1)
        scores = torch.matmul(keys.to(kind), query).squeeze(-1) / width**0.5
        weights = torch.softmax(scores, dim=-1).unsqueeze(-2)
        rows.append(torch.matmul(weights, values.to(kind)).squeeze(-2))
    if not rows:
        return v.clone()
    return torch.stack(rows, dim=-2).to(q.dtype)
