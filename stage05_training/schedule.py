"""5.7 · The learning rate: up in a line, down in half a cosine.

Loshchilov and Hutter: SGDR: Stochastic Gradient Descent with Warm Restarts (2017), equation 5, without the restarts.
"""

from __future__ import annotations

import math


def warmup_cosine(step: int, max_lr: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """Give the learning rate of a step; the first is step 0.

        step < warmup:             max_lr · (step + 1) / warmup
        warmup ≤ step ≤ total:     min_lr + (max_lr - min_lr) · (1 + cos(π · (step - warmup) / (total - warmup))) / 2
        beyond:                    min_lr

    So the first step is not for nothing, step `warmup` (and the one before) has max_lr, and step `total` min_lr.

    Args:
        step: from 0.
        max_lr: the highest learning rate.
        warmup: how many steps it takes to get there; 0 begins there.
        total: where the lowest is reached; more than `warmup`.
        min_lr: the lowest.

    Raises:
        ValueError: a number is negative, `total` is not more than `warmup`, or `min_lr` is more than `max_lr` (the
            numbers are named).

    >>> [round(warmup_cosine(step, 1.0, warmup=2, total=6, min_lr=0.1), 3) for step in range(8)]
    [0.5, 1.0, 1.0, 0.868, 0.55, 0.232, 0.1, 0.1]
    """
    if step < 0 or not 0 <= warmup < total:
        raise ValueError(f"step must not be negative, and 0 ≤ warmup < total; got {step}, {warmup} and {total}")
    if not 0.0 <= min_lr <= max_lr:
        raise ValueError(f"min_lr must be from 0 to max_lr; got {min_lr} and {max_lr}")
    # TODO 5.7: the three lines
    raise NotImplementedError("5.7 warmup_cosine: the three lines; hint: python -m bootcamp hint 5.7")
