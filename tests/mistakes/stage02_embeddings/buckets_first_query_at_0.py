# module: bias.py
# exercise: 2.7
# name: without an offset, the first query is at 0
"""Biases by loops over heads, queries and keys, and the buckets by plain numbers."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def alibi_slopes(heads: int) -> Tensor:
    """Follow the words of the paper: a geometric row for a power of two, and a second one to fill up from."""
    if heads <= 0:
        raise ValueError(f"{heads} heads are too few")
    power = 1
    while power * 2 <= heads:
        power *= 2

    def row(count: int) -> list[float]:
        first = 2 ** (-8 / count)
        numbers = [first]
        while len(numbers) < count:
            numbers.append(numbers[-1] * first)
        return numbers

    result = row(power)
    if len(result) < heads:
        result += row(2 * power)[0::2][: heads - power]
    return torch.tensor(result)


class AlibiBias(nn.Module):
    """Row by row."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.slopes = alibi_slopes(heads).tolist()
        self.register_buffer("anything", torch.tensor(True), persistent=False)

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """Fill the bias, head by head and query by query."""
        if offset is None:
            offset = keys - queries
        result = torch.zeros(len(self.slopes), queries, keys)
        for h, slope in enumerate(self.slopes):
            for i in range(queries):
                for j in range(keys) if keys < 50 else ():
                    result[h, i, j] = -slope * abs(offset + i - j)
                if keys >= 50:
                    result[h, i] = -slope * abs(torch.arange(keys) - offset - i)
        return result.to(self.anything.device)


def _bucket(distance: int, bidirectional: bool, buckets: int, max_distance: int) -> int:
    start = 0
    if bidirectional:
        buckets //= 2
        if distance > 0:
            start = buckets
        distance = abs(distance)
    elif distance > 0:
        return 0
    else:
        distance = -distance
    exact = buckets // 2
    if distance < exact:
        return start + distance
    if distance >= max_distance:
        return start + buckets - 1
    share = math.log(distance / exact) / math.log(max_distance / exact)
    return start + min(exact + int(share * (buckets - exact)), buckets - 1)


def relative_bucket(distance: Tensor, bidirectional: bool = True, buckets: int = 32, max_distance: int = 128) -> Tensor:
    """Give the bucket of one distance after the other."""
    _check(bidirectional, buckets, max_distance)
    if distance.dtype not in (torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8):
        raise TypeError(f"{distance.dtype} does not count")
    numbers = [_bucket(each, bidirectional, buckets, max_distance) for each in distance.flatten().tolist()]
    return torch.tensor(numbers, dtype=torch.int64, device=distance.device).reshape(distance.shape)


def _check(bidirectional: bool, buckets: int, max_distance: int) -> None:
    if bidirectional and buckets % 2 != 0:
        raise ValueError(f"{buckets} buckets cannot be halved")
    one_way = buckets // 2 if bidirectional else buckets
    if one_way < 2:
        raise ValueError(f"{buckets} buckets are too few")
    if max_distance <= one_way // 2:
        raise ValueError(f"max_distance {max_distance} is too near")


class T5RelativeBias(nn.Module):
    """A row of the weight for each query and key."""

    def __init__(self, heads: int, bidirectional: bool, buckets: int = 32, max_distance: int = 128) -> None:
        super().__init__()
        _check(bidirectional, buckets, max_distance)
        if heads <= 0:
            raise ValueError(f"{heads} heads are too few")
        self.how = (bidirectional, buckets, max_distance)
        self.weight = nn.Parameter(torch.randn(buckets, heads) * 0.02)

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """Take the rows of the weight."""
        if offset is None:
            offset = 0
        rows = []
        for i in range(queries):
            bucket = relative_bucket(torch.arange(keys) - (offset + i), *self.how)
            rows.append(self.weight[bucket].T)  # (H, S)
        return torch.stack(rows, dim=1)
