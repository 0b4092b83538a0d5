"""All gradients laid end to end, and multiplied in one call."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """The norm of one long copy; a factor that is 1 for what is short or not finite."""
    if not max_norm > 0:
        raise ValueError(f"max_norm={max_norm} is not positive")
    grads = [p.grad.detach() for p in parameters if p.grad is not None]
    if grads:
        long = torch.cat([g.reshape(-1).double() for g in grads])
        norm = torch.einsum("i,i->", long, long).sqrt()
        factor = (max_norm / norm).nan_to_num(1.0).clamp(max=1.0).item() if norm.isfinite() else 1.0
        torch._foreach_mul_(grads, factor)
        return norm
    return torch.zeros((), dtype=torch.float64)
