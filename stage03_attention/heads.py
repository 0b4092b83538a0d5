"""3.4 · Heads: slices of the width, each with an attention of its own."""

from __future__ import annotations

from torch import Tensor


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Cut the width into heads, and put the heads before the time: (..., T, C) -> (..., H, T, D), with C = H·D.

    Head h gets the numbers h·D to (h + 1)·D - 1 of each place.

    Raises:
        ValueError: x has not both T and C, or C is not a multiple of `heads`.

    >>> import torch
    >>> split_heads(torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7]]), heads=2).tolist()
    [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    """
    if x.dim() < 2 or heads < 1 or x.shape[-1] % heads:
        raise ValueError(f"x must be (..., T, C), with C a multiple of {heads} heads; got the shape {tuple(x.shape)}")
    # TODO 3.4: C becomes (H, D); then T and H change places
    raise NotImplementedError(
        "3.4 split_heads: C becomes (H, D); then T and H change places; hint: python -m bootcamp hint 3.4"
    )


def merge_heads(x: Tensor) -> Tensor:
    """Put the heads side by side again: (..., H, T, D) -> (..., T, C). Undoes `split_heads`.

    Raises:
        ValueError: x has not all of H, T and D.

    >>> import torch
    >>> merge_heads(torch.tensor([[[0, 1], [4, 5]], [[2, 3], [6, 7]]])).tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    """
    if x.dim() < 3:
        raise ValueError(f"x must be (..., H, T, D); got the shape {tuple(x.shape)}")
    # TODO 3.4: T and H change places back; then (H, D) becomes C
    raise NotImplementedError(
        "3.4 merge_heads: T and H change places back; then (H, D) becomes C; hint: python -m bootcamp hint 3.4"
    )
