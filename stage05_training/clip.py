"""5.8 · Clipping: a step of gradient descent is never longer than so much.

Pascanu, Mikolov and Bengio: On the Difficulty of Training Recurrent Neural Networks (2013), algorithm 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shorten the gradients of all parameters together, taken as one long vector, to `max_norm` if they are longer.

        norm = √(Σ of the squares of all gradients);     g = g · max_norm / norm, if norm > max_norm

    All gradients are multiplied by the same number, in place, so that the direction stays. If the norm is no finite
    number nothing is changed: whoever calls sees it, and takes no step.

    Args:
        parameters: those without a gradient do not count.
        max_norm: positive; `math.inf` only measures.

    Returns:
        The norm as it was before, a tensor without dimensions, in float32 at least. 0 if there is no gradient.

    Raises:
        ValueError: `max_norm` is not positive.

    >>> p = torch.zeros(2, requires_grad=True)
    >>> p.grad = torch.tensor([3.0, 4.0])
    >>> clip_gradients([p], max_norm=1.0), p.grad
    (tensor(5.), tensor([0.6000, 0.8000]))
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive; got {max_norm}")
    grads = [p.grad for p in parameters if p.grad is not None]
    # TODO 5.8: one norm of all; then the same factor for each
    raise NotImplementedError(
        "5.8 clip_gradients: one norm of all; then the same factor for each; hint: python -m bootcamp hint 5.8"
    )
