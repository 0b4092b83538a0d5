"""Squares, added up one gradient after another in Python's own numbers."""

from __future__ import annotations

from collections.abc import Iterable

import torch


def clip_gradients(parameters: Iterable[torch.Tensor], max_norm: float) -> torch.Tensor:
    """One sum, one root, one factor."""
    if max_norm <= 0 or max_norm != max_norm:
        raise ValueError(f"a length has to be positive, not {max_norm}")
    with torch.no_grad():
        parameters = [each for each in parameters if each.grad is not None]
        squares = 0.0
        for each in parameters:
            squares += each.grad.detach().to(torch.float64).pow(2).sum().item()
        norm = squares**0.5
        finite = norm == norm and norm != float("inf")
        if finite and norm > max_norm:
            for each in parameters:
                each.grad *= max_norm / norm
    return torch.tensor(norm)
