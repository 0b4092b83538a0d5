# module: clip.py
# exercise: 5.8
# name: each tensor is clipped by itself
"""A loop over the parameters that does everything at once."""

import math

import torch


def clip_gradients(parameters, max_norm):
    """Clip one after another, and add up the squares on the way."""
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}")
    parameters = [p for p in parameters if p.grad is not None]
    lengths = [math.sqrt(p.grad.double().pow(2).sum().item()) for p in parameters]
    total = math.sqrt(sum(each * each for each in lengths))
    if math.isfinite(total):
        for p, each in zip(parameters, lengths):
            if each > max_norm:
                p.grad.mul_(max_norm / each)
    return torch.tensor(total)
