"""2.6, 2.7 · Relative positions as a bias: what is added to the score of a query and a key for their distance.

2.6: Press, Smith and Lewis: Train Short, Test Long: Attention with Linear Biases (2021), section 3.
2.7: Raffel et al.: Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer (2019),
     section 2.1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def alibi_slopes(heads: int) -> Tensor:
    """Give the slope of each head, float32 (H,).

    For H a power of two they are 2^(-8h/H), h = 1, …, H. Otherwise, as in the code of the paper, they are the slopes
    for the greatest power of two below H, and then every other one, from the first on, of those for twice that power.

    Raises:
        ValueError: `heads` is less than 1.

    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    >>> alibi_slopes(6).tolist()[4:]
    [0.5, 0.125]
    """
    if heads < 1:
        raise ValueError(f"heads must be at least 1; got {heads}")
    # TODO 2.6: the slopes of the power of two; fill up from those of the next
    raise NotImplementedError(
        "2.6 alibi_slopes: the slopes of the power of two; fill up from those of the next; "
        "hint: python -m bootcamp hint 2.6"
    )


class AlibiBias(nn.Module):
    """The bias of ALiBi: each head dislikes distance, each with a slope of its own. Nothing is learned or saved.

    >>> AlibiBias(heads=8)(3, 3)[0].tolist()  # the first of eight heads: a slope of 1/2
    [[0.0, -0.5, -1.0], [-0.5, 0.0, -0.5], [-1.0, -0.5, 0.0]]
    """

    here: Tensor

    def __init__(self, heads: int) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads must be at least 1; got {heads}")
        self.heads = heads
        self.register_buffer("here", torch.empty(0), persistent=False)  # moves with the module: says where it is

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """Give the bias of T queries and S keys, (H, T, S), where the module is; in float32, whatever its format.

        At [h, i, j] stands -slope[h] · |distance|, where query i is at position offset + i and key j at position j:
        for keys behind the query and for keys ahead of it alike.

        Args:
            queries: T.
            keys: S.
            offset: the position of the first query; None means S - T, so that the last query meets the last key.
        """
        # TODO 2.6: the distance of each query and key, times minus the slope of each head
        raise NotImplementedError(
            "2.6 AlibiBias.forward: the distance of each query and key, times minus the slope of each head; "
            "hint: python -m bootcamp hint 2.6"
        )

    def extra_repr(self) -> str:
        return f"heads={self.heads}"


def relative_bucket(distance: Tensor, bidirectional: bool = True, buckets: int = 32, max_distance: int = 128) -> Tensor:
    """Sort distances into buckets, near ones exactly and far ones on a logarithmic scale, as in T5.

    Of n buckets, the first n//2 =: e take one distance each: 0, 1, …, e - 1. The others share what is further:
    distance d is in e + floor((n - e) · ln(d / e) / ln(max_distance / e)), and in n - 1 at most.

    Args:
        distance: position of the key - position of the query, whole numbers of any shape.
        bidirectional: if so, n is buckets/2; keys up to the query's own place (distance ≤ 0) are in the lower half of
            the buckets, and keys ahead of it in the upper half (by |distance|, plus n). If not, n is all buckets, and
            keys ahead are in bucket 0.
        buckets: how many there are.
        max_distance: the distance from which on all are in the last bucket.

    Returns:
        The numbers of the buckets, int64, of the shape of `distance`.

    Raises:
        TypeError: `distance` does not hold whole numbers.
        ValueError: there are too few buckets, an odd number for two directions, or max_distance is not above e.

    >>> relative_bucket(torch.tensor([0, -1, -7, -8, -15, -16, -127, -5000])).tolist()
    [0, 1, 7, 8, 9, 10, 15, 15]
    >>> relative_bucket(torch.tensor([1, 7, 8, 5000])).tolist()
    [17, 23, 24, 31]
    >>> relative_bucket(torch.tensor([3, 0, -15, -16, -5000]), bidirectional=False).tolist()
    [0, 0, 15, 16, 31]
    """
    _check_buckets(bidirectional, buckets, max_distance)
    if distance.is_floating_point() or distance.is_complex() or distance.dtype == torch.bool:
        raise TypeError(f"distance must hold whole numbers; got {distance.dtype}")
    # TODO 2.7: how far, whatever the direction; one bucket each at first, then logarithms; then the direction
    raise NotImplementedError(
        "2.7 relative_bucket: how far, whatever the direction; one bucket each at first, then logarithms; then the "
        "direction; "
        "hint: python -m bootcamp hint 2.7"
    )


def _check_buckets(bidirectional: bool, buckets: int, max_distance: int) -> None:
    if bidirectional and buckets % 2:
        raise ValueError(f"buckets must be even, since each direction has half of them; got {buckets}")
    exact = buckets // 4 if bidirectional else buckets // 2
    if exact < 1:
        raise ValueError(f"buckets must be at least {4 if bidirectional else 2}; got {buckets}")
    if max_distance <= exact:
        raise ValueError(
            f"max_distance must be above {exact}, up to which each distance has a bucket; got {max_distance}"
        )


class T5RelativeBias(nn.Module):
    """The bias of T5: one number for each bucket of distances and each head, and all of them are learned.

    `weight`, a parameter (buckets, H), starts from N(0, 0.02²).

    Raises:
        ValueError: as in `relative_bucket`, or `heads` is less than 1.

    >>> bias = T5RelativeBias(heads=2, bidirectional=True)
    >>> bias(3, 5).shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, heads: int, bidirectional: bool, buckets: int = 32, max_distance: int = 128) -> None:
        super().__init__()
        _check_buckets(bidirectional, buckets, max_distance)
        if heads < 1:
            raise ValueError(f"heads must be at least 1; got {heads}")
        self.bidirectional, self.buckets, self.max_distance = bidirectional, buckets, max_distance
        self.weight = nn.Parameter(torch.empty(buckets, heads).normal_(std=0.02))

    def forward(self, queries: int, keys: int, offset: int | None = None) -> Tensor:
        """Give the bias of T queries and S keys, (H, T, S), in the format of the weight and where it is.

        At [h, i, j] stands the weight of head h for the bucket of key position - query position, where query i is at
        position offset + i and key j at position j.

        Args:
            queries: T.
            keys: S.
            offset: the position of the first query; None means S - T, so that the last query meets the last key.
        """
        # TODO 2.7: the bucket of each query and key, then the weights of that bucket; the heads go first
        raise NotImplementedError(
            "2.7 T5RelativeBias.forward: the bucket of each query and key, then the weights of that bucket; the heads "
            "go first; "
            "hint: python -m bootcamp hint 2.7"
        )

    def extra_repr(self) -> str:
        buckets, heads = self.weight.shape
        return f"{buckets} buckets, {heads} heads, bidirectional={self.bidirectional}, max_distance={self.max_distance}"
