"""The three cases one after the other, and the fall as the square of a cosine."""

from __future__ import annotations

from math import cos, pi


def warmup_cosine(step: int, max_lr: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """Up, down, level."""
    for name, value in (("step", step), ("warmup", warmup), ("min_lr", min_lr), ("max_lr", max_lr)):
        if not value >= 0:
            raise ValueError(f"{name} is {value}, but must not be negative")
    if total <= warmup:
        raise ValueError(f"total is {total}, which is not more than the warmup, {warmup}")
    if min_lr > max_lr:
        raise ValueError(f"min_lr is {min_lr}, which is more than max_lr, {max_lr}")
    if step >= total:
        return min_lr
    if step >= warmup:
        quarter = pi / 2 * (step - warmup) / (total - warmup)
        return min_lr + (max_lr - min_lr) * cos(quarter) ** 2
    rate = 0.0
    for _ in range(step + 1):
        rate += max_lr / warmup
    return rate
