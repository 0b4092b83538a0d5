# module: schedule.py
# exercise: 5.7
# name: beyond the end, the cosine goes on and the rate rises again
"""Nothing but two formulas."""

from math import cos, pi


def warmup_cosine(step: int, max_lr: float, warmup: int, total: int, min_lr: float = 0.0) -> float:
    """The square of a cosine, without an end."""
    if step < 0 or warmup < 0 or total <= warmup or min_lr < 0 or not min_lr <= max_lr:
        raise ValueError(f"no schedule for {step}, {max_lr}, {warmup}, {total}, {min_lr}")
    if step + 1 <= warmup:
        return (step + 1) * (max_lr / warmup)
    height = cos(pi / 2 * (step - warmup) / (total - warmup)) ** 2
    return height * max_lr + (1 - height) * min_lr
