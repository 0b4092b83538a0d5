# module: linear.py
# exercise: 3.10
# name: a constant is added to the divisor
"""Linear attention chunk by chunk, the sums carried along."""

from __future__ import annotations

import torch
from torch import Tensor


def feature_map(x: Tensor) -> Tensor:
    """elu(x) + 1."""
    return torch.where(x > 0, x + 1, torch.exp(torch.minimum(x, torch.zeros_like(x))))


def _format(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    return above / (below + 1e-6)


def linear_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, chunk: int = 64) -> Tensor:
    """Sum up the keys, or read them chunk after chunk."""
    if not (q.is_floating_point() and q.dtype == k.dtype == v.dtype):
        raise TypeError(f"q, k, v are {q.dtype}, {k.dtype}, {v.dtype}")
    fits = q.shape[:-2] == k.shape[:-2] == v.shape[:-2] and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2]
    if not fits or (causal and q.shape[-2] != k.shape[-2]):
        raise ValueError(f"shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)} do not fit")
    if chunk <= 0:
        raise ValueError(f"chunk is {chunk}")
    kind = _format(q)
    queries, keys, values = feature_map(q.to(kind)), feature_map(k.to(kind)), v.to(kind)
    if not causal:
        sums = torch.matmul(keys.transpose(-1, -2), values)
        total = keys.sum(dim=-2).unsqueeze(-1)
        return _ratio(torch.matmul(queries, sums), torch.matmul(queries, total)).to(q.dtype)
    sums = torch.zeros(*q.shape[:-2], q.shape[-1], v.shape[-1], dtype=kind, device=q.device)
    total = torch.zeros(*q.shape[:-2], q.shape[-1], 1, dtype=kind, device=q.device)
    rows = [torch.zeros(*q.shape[:-2], 0, v.shape[-1], dtype=kind, device=q.device)]
    for start in range(0, q.shape[-2], chunk):
        here = slice(start, start + chunk)
        one, other, value = queries[..., here, :], keys[..., here, :], values[..., here, :]
        pairs = torch.tril(torch.matmul(one, other.transpose(-1, -2)))
        above = torch.matmul(pairs, value) + torch.matmul(one, sums)
        below = pairs.sum(dim=-1, keepdim=True) + torch.matmul(one, total)
        rows.append(_ratio(above, below))
        sums = sums + torch.matmul(other.transpose(-1, -2), value)
        total = total + other.sum(dim=-2).unsqueeze(-1)
    return torch.cat(rows, dim=-2).to(q.dtype)


class LinearAttentionState:
    """One matrix (..., D, E + 1): the last column adds up the keys alone."""

    def __init__(self) -> None:
        self.matrix: Tensor | None = None

    def step(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Add the outer product of the key and (value, 1), and ask."""
        if q.shape != k.shape or v.shape[:-1] != k.shape[:-1] or not q.shape:
            raise ValueError(f"shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)} do not fit")
        kind = _format(q)
        value = torch.cat([v.to(kind), torch.ones_like(v[..., :1], dtype=kind)], dim=-1)
        product = feature_map(k.to(kind)).unsqueeze(-1) * value.unsqueeze(-2)
        self.matrix = product if self.matrix is None else self.matrix + product
        both = torch.matmul(feature_map(q.to(kind)).unsqueeze(-2), self.matrix).squeeze(-2)
        return _ratio(both[..., :-1], both[..., -1:]).to(q.dtype)
