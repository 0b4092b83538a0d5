# module: masks.py
# exercise: 3.2
# name: one mask that lets a query attend is enough
"""Masks by triangles, sorting out, and counting."""

import torch
from torch import Tensor


def causal_mask(queries: int, keys: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """The lower triangle, its diagonal moved to the last corner."""
    keys = queries if keys is None else keys
    if queries < 0 or keys < 0:
        raise ValueError(f"{queries} queries, {keys} keys")
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def padding_mask(lengths: Tensor, keys: int, side: str = "right") -> Tensor:
    """Padding on the left is padding on the right, turned round."""
    if lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(str(lengths.dtype))
    if lengths.ndim != 1 or bool(((lengths < 0) | (lengths.long() > keys)).any()):
        raise ValueError(f"lengths {lengths}")
    if side not in ("right", "left"):
        raise ValueError(side)
    row = torch.arange(1, keys + 1, device=lengths.device)
    row = row.flip(0) if side == "left" else row
    return (
        torch.stack([row <= int(length) for length in lengths])[:, None, None]
        if len(lengths)
        else row.new_zeros(0, 1, 1, keys, dtype=torch.bool)
    )


def combine(*masks: Tensor | None) -> Tensor | None:
    """Broadcast, stack, and ask for all."""
    some = [mask for mask in masks if mask is not None]
    if any(mask.dtype is not torch.bool for mask in some):
        raise TypeError(f"bool is needed, not {[mask.dtype for mask in some]}")
    try:
        return torch.stack(torch.broadcast_tensors(*some)).any(0) if some else None
    except RuntimeError:
        raise ValueError(f"{[tuple(mask.shape) for mask in some]} do not broadcast") from None
