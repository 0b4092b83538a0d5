# module: sparse.py
# exercise: 3.9
# name: a key that is global and in the window counts twice
"""Sparse attention with strided views."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from .checks import check_attention


def sliding_window_attention(q: Tensor, k: Tensor, v: Tensor, window: int, global_tokens: int = 0) -> Tensor:
    """Unfold keys and values, and put the scores of the global keys beside those of the window."""
    check_attention(q, k, v)
    if not q.shape[:-1] == k.shape[:-1] == v.shape[:-1] or window < 1 or global_tokens < 0:
        raise ValueError(f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}, {window}, {global_tokens}")
    length, wide = q.shape[-2], torch.promote_types(q.dtype, torch.float32)
    if not length:
        return torch.zeros_like(v)
    window, shared = min(window, length), min(global_tokens, length)
    q, keys, values = q.to(wide) * q.shape[-1] ** -0.5, k.to(wide), v.to(wide)
    near_k, near_v = (pad(x, (0, 0, window - 1, 0)).unfold(-2, window, 1) for x in (keys, values))  # (..., T, ·, W)
    place = torch.arange(length, device=q.device)[:, None]
    key = place + torch.arange(1 - window, 1, device=q.device)  # (T, W): which keys are in the window
    near = torch.einsum("...td,...tdw->...tw", q, near_k).masked_fill(key < 0, -torch.inf)
    far = torch.einsum("...td,...gd->...tg", q, keys[..., :shared, :])
    beyond = torch.arange(shared, device=q.device) > place
    weights = torch.cat([far.masked_fill(beyond, -torch.inf), near], -1).softmax(-1)
    far, near = weights.split([shared, window], -1)
    mixed = torch.einsum("...tw,...tew->...te", near, near_v) + far @ values[..., :shared, :]
    return mixed.to(v.dtype)
