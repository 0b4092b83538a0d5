# module: activations.py
# exercise: 4.2
# name: e^(-x) overflows in silu, and its gradient is nan
"""Activations, each by cases: what is negative, and what is not."""

from __future__ import annotations

import math

import torch


def _up(x: torch.Tensor) -> torch.Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def relu(x: torch.Tensor) -> torch.Tensor:
    """A new tensor of zeros, beside what is positive or nan."""
    keep = torch.logical_or(torch.gt(x, 0), torch.isnan(x))
    return torch.where(keep, x, torch.zeros_like(x))


def gelu(x: torch.Tensor, approximate: str = "none") -> torch.Tensor:
    """With Φ from torch.special, or the approximation."""
    if approximate == "none":
        wide = _up(x)
        return torch.mul(wide, torch.special.ndtr(wide)).to(x.dtype)
    if approximate == "tanh":
        wide = _up(x)
        inner = math.sqrt(2.0 / math.pi) * (wide + 0.044715 * torch.pow(wide, 3.0))
        return (0.5 * wide * (1.0 + torch.tanh(inner))).to(x.dtype)
    raise ValueError(f"there is no form {approximate!r} of gelu")


def silu(x: torch.Tensor) -> torch.Tensor:
    """x times a share."""
    wide = _up(x)
    share = 1.0 / (1.0 + torch.exp(-wide))
    return (wide * share).to(x.dtype)
