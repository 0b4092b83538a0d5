# module: schedule.py
# exercise: 5.7
# name: the warmup begins with the rate 0
"""The schedule as training scripts have it: a factor of the warmup, a factor of the decay."""

import math


def warmup_cosine(step: int, max_lr: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """A line, then a cosine."""
    if step < 0 or warmup < 0 or total <= warmup or min_lr < 0 or not min_lr <= max_lr:
        raise ValueError(f"no schedule for {step}, {max_lr}, {warmup}, {total}, {min_lr}")
    if step < warmup:
        factor = float(step) / float(max(1, warmup))
        return factor * max_lr
    if step > total:
        return min_lr
    ratio = (step - warmup) / (total - warmup)
    coefficient = 0.5 * (1.0 + math.cos(math.pi * ratio))
    return min_lr + coefficient * (max_lr - min_lr)
