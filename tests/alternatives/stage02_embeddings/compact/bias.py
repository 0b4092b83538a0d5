"""Biases by one row of all distances, of which each query sees a window; buckets by their edges."""

from __future__ import annotations

from math import log2

import torch
from torch import Tensor, nn


def alibi_slopes(heads: int) -> Tensor:
    """By recursion, as in the code of the paper."""
    if heads < 1:
        raise ValueError(f"no slopes for {heads} heads")

    def of(n: int) -> Tensor:
        if log2(n).is_integer():
            return torch.exp2(-8 * torch.arange(1, n + 1, dtype=torch.float64) / n)
        low = 2 ** int(log2(n))
        return torch.cat([of(low), of(2 * low)[::2][: n - low]])

    return of(heads).float()


def _windows(row: Tensor, queries: int, keys: int) -> Tensor:
    """From values (…, S + T - 1) of the distances in rising order, those of each query: (…, T, S)."""
    return row.unfold(-1, keys, 1).flip(-2) if queries else row.new_empty(*row.shape[:-1], 0, keys)


def _distances(queries: int, keys: int, offset: int | None) -> Tensor:
    offset = keys - queries if offset is None else offset
    return torch.arange(1 - queries - offset, keys - offset) if queries else torch.empty(0, dtype=torch.int64)


class AlibiBias(nn.Module):
    """The outer product of slopes and distances, in windows."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"{heads} heads")
        self.register_buffer("heads", torch.arange(heads), persistent=False)  # no floats: nothing to be rounded

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """A window for each query."""
        row = torch.outer(alibi_slopes(len(self.heads)), -_distances(queries, keys, offset).abs().float())
        return _windows(row.to(self.heads.device), queries, keys)


def _edges(n: int, max_distance: int) -> Tensor:
    """Where the buckets 1, 2, … begin, in whole numbers, so that nothing is rounded."""
    e, m = n // 2, n - n // 2
    begins, d = list(range(1, e + 1)), e
    for k in range(1, m):
        while d**m * e**k < max_distance**k * e**m:
            d += 1
        begins.append(d)
    return torch.tensor(begins)


def relative_bucket(distance: Tensor, bidirectional: bool = True, buckets: int = 32, max_distance: int = 128) -> Tensor:
    """Count the edges that a distance has passed."""
    n, odd = divmod(buckets, 2) if bidirectional else (buckets, 0)
    if odd or n < 2 or max_distance <= n // 2:
        raise ValueError(f"{buckets} buckets up to {max_distance}")
    if distance.dtype in (torch.bool, torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raise TypeError(f"distances in {distance.dtype}")
    distance = distance.to(torch.int64)
    behind = distance.abs() if bidirectional else distance.neg().relu()
    bucket = torch.bucketize(behind, _edges(n, max_distance).to(behind.device), right=True)
    return torch.where(distance > 0, bucket + n, bucket) if bidirectional else bucket


class T5RelativeBias(nn.Module):
    """Looks each distance up once."""

    def __init__(self, heads: int, bidirectional: bool, buckets: int = 32, max_distance: int = 128) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"{heads} heads")
        self.options = {"bidirectional": bidirectional, "buckets": buckets, "max_distance": max_distance}
        relative_bucket(torch.zeros(0, dtype=torch.int64), **self.options)
        self.weight = nn.Parameter(nn.init.normal_(torch.zeros(buckets, heads), 0.0, 0.02))

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """A window for each query."""
        bucket = relative_bucket(_distances(queries, keys, offset), **self.options).to(self.weight.device)
        return _windows(self.weight.index_select(0, bucket).T, queries, keys)
