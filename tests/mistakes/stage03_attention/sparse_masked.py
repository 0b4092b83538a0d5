# module: sparse.py
# exercise: 3.9
# name: all scores are computed, and masked afterwards
"""Sparse attention by way of a mask that is written row by row."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_attention


def sliding_window_attention(q: Tensor, k: Tensor, v: Tensor, window: int, global_tokens: int = 0) -> Tensor:
    """Mask what is out of the window, and is not global."""
    check_attention(q, k, v)
    if q.shape != k.shape or k.shape[:-1] != v.shape[:-1]:
        raise ValueError(f"shapes {tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)} do not fit")
    if window < 1 or global_tokens < 0:
        raise ValueError(f"window {window}, global_tokens {global_tokens}")
    if not q.shape[-2]:
        return v.clone()
    wide = torch.promote_types(q.dtype, torch.float32)
    mask = torch.zeros(q.shape[-2], q.shape[-2], dtype=torch.bool, device=q.device)
    for i in range(q.shape[-2]):
        mask[i, max(0, i + 1 - window) : i + 1] = True
        mask[i, : min(global_tokens, i + 1)] = True
    scores = torch.einsum("...id,...jd->...ij", q.to(wide), k.to(wide)) * q.shape[-1] ** -0.5
    weights = torch.softmax(scores.masked_fill(~mask, torch.finfo(wide).min), -1)
    return torch.einsum("...ij,...je->...ie", weights, v.to(wide)).to(q.dtype)
