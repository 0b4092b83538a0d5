"""3.2 · Masks: who may attend to whom. True means *may attend*."""

from __future__ import annotations

from typing import Literal

import numpy
import torch
from torch import Tensor


def causal_mask(queries: int, keys: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """Let each query attend to the keys up to its own place: a bool Tensor (T, S).

    The last query stands at the last key, so query i is at place S - T + i and may attend to the keys j ≤ S - T + i.
    With T < S, the S - T keys before the first query were read earlier (3.7). With T > S, the first T - S queries
    stand before all keys, and may attend to nothing.

    Args:
        queries: T.
        keys: S; None means T.
        device: where the mask is made.

    Raises:
        ValueError: T or S is negative.

    >>> causal_mask(2, 4).int()
    tensor([[1, 1, 1, 0],
            [1, 1, 1, 1]], dtype=torch.int32)
    """
    keys = queries if keys is None else keys
    if queries < 0 or keys < 0:
        raise ValueError(f"the numbers of queries and keys must not be negative; got {queries} and {keys}")
    # BEGIN SOLUTION 3.2: the place of each query beside that of each key
    query = torch.arange(queries, device=device) + (keys - queries)  # (T,)
    key = torch.arange(keys, device=device)  # (S,)
    return key <= query[:, None]  # (T, S)
    # END SOLUTION


def padding_mask(lengths: Tensor, keys: int, side: Literal["right", "left"] = "right") -> Tensor:
    """Keep attention away from what only fills up short texts: a bool Tensor (B, 1, 1, S).

    It broadcasts to (B, H, T, S): all heads and all queries of a text are kept from the same keys.

    Args:
        lengths: (B,), integers of any format, int8 and uint8 too: how many keys of each text are real.
        keys: S, how many there are with the padding.
        side: where the padding is. "right": the first keys are real; "left": the last ones.

    Raises:
        TypeError: `lengths` are not integers.
        ValueError: `lengths` is not (B,), one of them is not from 0 to S, or `side` is neither.

    >>> padding_mask(torch.tensor([3, 1]), 3).int().tolist()
    [[[[1, 1, 1]]], [[[1, 0, 0]]]]
    >>> padding_mask(torch.tensor([3, 1]), 3, side="left").int().tolist()
    [[[[1, 1, 1]]], [[[0, 0, 1]]]]
    """
    if lengths.is_floating_point() or lengths.is_complex() or lengths.dtype == torch.bool:
        raise TypeError(f"lengths must be integers; got {lengths.dtype}")
    if lengths.dim() != 1:
        raise ValueError(f"lengths must be (B,), one for each text; got the shape {tuple(lengths.shape)}")
    if lengths.device.type == "cpu" and lengths.numel() and not 0 <= int(lengths.min()) <= int(lengths.max()) <= keys:
        raise ValueError(f"lengths must be from 0 to {keys}, the number of keys; got {lengths.tolist()}")
    if side not in ("right", "left"):
        raise ValueError(f"side must be 'right' or 'left'; got {side!r}")
    # BEGIN SOLUTION 3.2: compare the place of each key with the length of each text
    key = torch.arange(keys, device=lengths.device)  # (S,)
    length = lengths.long()[:, None, None, None]  # (B, 1, 1, 1)
    return key < length if side == "right" else key >= keys - length  # (B, 1, 1, S)
    # END SOLUTION


def combine(*masks: Tensor | None) -> Tensor | None:
    """Let a query attend where all masks let it: their logical "and", broadcast to one shape.

    None stands for a mask that allows everything; of nothing but those, None comes.

    Raises:
        TypeError: a mask is not bool.
        ValueError: the masks do not broadcast with one another; all shapes are named.

    >>> combine(causal_mask(2), None, torch.tensor([False, True])).int().tolist()
    [[0, 0], [0, 1]]
    """
    given = [mask for mask in masks if mask is not None]
    for mask in given:
        if mask.dtype != torch.bool:
            raise TypeError(f"a mask must be bool, True where a query may attend; got {mask.dtype}")
    try:
        numpy.broadcast_shapes(*(mask.shape for mask in given))  # torch's own loads sympy first
    except ValueError:
        shapes = " and ".join(str(tuple(mask.shape)) for mask in given)
        raise ValueError(f"masks must broadcast with one another; got {shapes}") from None
    # BEGIN SOLUTION 3.2: and them, one after the other
    combined = None
    for mask in given:
        combined = mask if combined is None else combined & mask
    return combined
    # END SOLUTION
