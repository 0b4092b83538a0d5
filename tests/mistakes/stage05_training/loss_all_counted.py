# module: loss.py
# exercise: 5.5
# name: targets that do not count are in the number that the sum is divided by
"""The loss as one product of weights and logarithms of probabilities, both (places, V)."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from .batch import IGNORE


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE, label_smoothing: float = 0.0) -> Tensor:
    """- Σ weights · ln p, over all places and tokens; a place that does not count has weights of 0."""
    kinds = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    if not logits.is_floating_point() or targets.dtype not in kinds:
        raise TypeError(f"logits in floating point and integers are needed, not {logits.dtype}, {targets.dtype}")
    if logits.dim() == 0 or targets.shape != logits.shape[:-1]:
        raise ValueError(f"{tuple(targets.shape)} are no targets for logits {tuple(logits.shape)}")
    if not (0 <= label_smoothing < 1):
        raise ValueError(f"{label_smoothing} is no share from 0 to less than 1")
    vocabulary = torch.arange(logits.shape[-1], device=logits.device)
    flat = targets.flatten().long().unsqueeze(1)  # (M, 1)
    ignored = flat.eq(ignore_index)
    hit = flat.eq(vocabulary)  # (M, V)
    lost = ~(hit.any(1, keepdim=True) | ignored)
    if lost.any():
        raise IndexError(f"{flat[lost].tolist()[0]} is not within 0 to {len(vocabulary) - 1}")
    x = logits.reshape(hit.shape)
    x = x.to(torch.float64) if x.dtype == torch.float64 else x.to(torch.float32)
    top = torch.sort(x, dim=1).values[:, -1:]
    share = (x - top).exp()
    log_p = x - (top + share.sum(1, keepdim=True).log())
    weights = torch.where(hit, 1 - label_smoothing, 0.0) + label_smoothing / len(vocabulary)
    weights = torch.where(ignored, 0.0, weights).to(x.dtype)
    return -torch.einsum("mv,mv->", weights, log_p) / max(1, flat.shape[0])


def perplexity(loss: float) -> float:
    """numpy's exponentials become infinite without a word, if they are told to."""
    with numpy.errstate(over="ignore"):
        return float(numpy.exp(numpy.float64(loss)))


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """Tokens in a byte, times the bits of each."""
    if min(tokens, size) <= 0:
        raise ValueError(f"{tokens} tokens and {size} bytes: both are needed")
    return (tokens / size) * (loss / 0.6931471805599453)
