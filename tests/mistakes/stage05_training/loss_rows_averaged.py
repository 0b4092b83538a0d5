# module: loss.py
# exercise: 5.5
# name: the mean of the texts' means is taken, so a short text weighs as much as a long one
"""The loss in the order in which a textbook writes it, left to autograd; only places that count are looked at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .batch import IGNORE


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE, label_smoothing: float = 0.0) -> Tensor:
    """Choose, shift, exponentiate, sum, take the logarithm, subtract, average."""
    if not torch.is_floating_point(logits):
        raise TypeError(f"floating point logits are needed; these are {logits.dtype}")
    if targets.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        raise TypeError(f"integers are needed for targets; these are {targets.dtype}")
    if logits.ndim == 0 or tuple(targets.shape) != tuple(logits.shape[:-1]):
        raise ValueError(f"the targets' shape {tuple(targets.shape)} is not {tuple(logits.shape[:-1])}")
    if math.isnan(label_smoothing) or label_smoothing < 0 or label_smoothing >= 1:
        raise ValueError(f"label smoothing from 0 to less than 1 is needed; this is {label_smoothing}")
    if logits.ndim > 2:
        texts = zip(logits.flatten(0, -3), targets.flatten(0, -2))
        parts = [cross_entropy(one, other, ignore_index, label_smoothing) for one, other in texts]
        return sum(parts, torch.zeros(())) / len(parts)
    size = logits.shape[-1]
    targets = targets.to(torch.int64)
    counting = targets != ignore_index
    logits, targets = logits[counting], targets[counting]
    for target in targets.tolist():
        if not 0 <= target < size:
            raise IndexError(f"the target {target} is none of 0 to {size - 1}")
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    if len(targets) == 0:
        return logits.sum()
    largest, _ = logits.detach().max(dim=1, keepdim=True)
    shifted = logits - largest
    log_sum = torch.log(torch.sum(torch.exp(shifted), dim=1))
    surprise = log_sum - shifted[torch.arange(len(targets), device=targets.device), targets]
    if label_smoothing > 0:
        of_all = log_sum - shifted.sum(dim=1) / size
        surprise = (1 - label_smoothing) * surprise + label_smoothing * of_all
    return surprise.mean()


def perplexity(loss: float) -> float:
    """e to the power of nats."""
    if loss > math.log(1.7976931348623157e308):
        return float("inf")
    return math.e**loss if loss < 1 else math.exp(loss)


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """All bits, shared out."""
    if tokens <= 0:
        raise ValueError(f"tokens are needed; there are {tokens}, in {size} bytes")
    if size <= 0:
        raise ValueError(f"bytes are needed; there are {size}, for {tokens} tokens")
    bits = loss * math.log2(math.e) * tokens
    return bits / size
