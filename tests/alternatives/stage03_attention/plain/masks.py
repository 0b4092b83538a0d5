"""Masks by plain loops over queries, keys and texts."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_mask(queries: int, keys: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """Fill the rows from the last one up."""
    if keys is None:
        keys = queries
    if min(queries, keys) < 0:
        raise ValueError(f"negative: {queries} queries, {keys} keys")
    rows = []
    for back in range(queries):  # the last query is 0 back, and sees all keys
        seen = max(keys - back, 0)
        rows.insert(0, [True] * seen + [False] * (keys - seen))
    if not rows or not keys:
        return torch.zeros(queries, keys, dtype=torch.bool, device=device)
    return torch.tensor(rows, dtype=torch.bool).to(device or "cpu")


def padding_mask(lengths: Tensor, keys: int, side: str = "right") -> Tensor:
    """Write the rows out."""
    if lengths.dtype not in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8):
        raise TypeError(f"lengths in {lengths.dtype}")
    if lengths.ndim != 1:
        raise ValueError(f"lengths of shape {tuple(lengths.shape)}")
    if side not in {"left", "right"}:
        raise ValueError(f"padding on the side {side!r}")
    mask = torch.zeros(len(lengths), 1, 1, keys, dtype=torch.bool, device=lengths.device)
    for text, length in enumerate(lengths.tolist()):
        if length < 0 or length > keys:
            raise ValueError(f"a length of {length} among {keys} keys")
        if side == "right":
            mask[text, ..., :length] = True
        else:
            mask[text, ..., keys - length :] = True
    return mask


def combine(*masks: Tensor | None) -> Tensor | None:
    """Forbid what any of them forbids."""
    shapes = [tuple(mask.shape) for mask in masks if mask is not None]
    if not shapes:
        return None
    for mask in masks:
        if mask is not None and mask.dtype != torch.bool:
            raise TypeError(f"{mask.dtype} is not torch.bool")
    result = torch.ones((), dtype=torch.bool)
    for mask in masks:
        if mask is None:
            continue
        try:
            result = torch.logical_and(result.to(mask.device), mask)
        except RuntimeError:
            raise ValueError(f"these masks do not fit together: {shapes}") from None
    return result
