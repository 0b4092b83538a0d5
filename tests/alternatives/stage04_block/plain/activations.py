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
    """x times a share that is made of e^-|x|, which is at most 1."""
    wide = _up(x)
    small = torch.exp(-torch.abs(wide))
    share = torch.where(wide >= 0, torch.ones_like(small), small) / (1.0 + small)
    # Where x is 0 torch takes |x| to be flat, and the share with it; its slope would be multiplied by x = 0 anyway.
    return (wide * share).to(x.dtype)
