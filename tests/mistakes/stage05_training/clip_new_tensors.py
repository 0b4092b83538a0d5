# module: clip.py
# exercise: 5.8
# name: the gradients are replaced by new tensors
"""As one would write it down from the formula."""

import torch


def clip_gradients(parameters, max_norm):
    """The norm of one long vector, and new gradients."""
    if not max_norm > 0:
        raise ValueError(f"max_norm is {max_norm}")
    mine = [p for p in parameters if p.grad is not None]
    if not mine:
        return torch.tensor(0.0)
    norm = torch.cat([p.grad.flatten().double() for p in mine]).norm()
    if torch.isfinite(norm) and norm > max_norm:
        for p in mine:
            p.grad = (p.grad.double() / norm * max_norm).to(p.grad.dtype)
    return norm
