"""Half a turn in the plane, and the lower of two curves."""

from __future__ import annotations

import cmath
import math


def warmup_cosine(step: int, max_lr: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """The mean of the two rates, and half of their distance times the x of a point that goes half around a circle."""
    if min(step, warmup) < 0 or total <= warmup or not (0 <= min_lr <= max_lr):
        raise ValueError(f"not a schedule: {step=}, {max_lr=}, {warmup=}, {total=}, {min_lr=}")
    share = max(0, min(step, total) - warmup) / (total - warmup)
    point = cmath.rect((max_lr - min_lr) / 2, math.pi * share)
    return min((max_lr + min_lr) / 2 + point.real, max_lr * (step + 1) / max(warmup, 1) if step < warmup else math.inf)
