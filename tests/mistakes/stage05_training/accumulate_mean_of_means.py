# module: accumulate.py
# exercise: 5.9
# name: the mean of the batches' means is taken
"""Gradient accumulation as most training scripts have it: the loss of each batch, divided by their number."""

import math
from typing import NamedTuple

from .clip import clip_gradients
from .loss import cross_entropy


class StepResult(NamedTuple):
    """What a step has seen."""

    loss: float
    tokens: int
    grad_norm: float


def accumulated_step(model, optimizer, batches, max_norm=math.inf):
    """Divide by the number of batches, in the loss that comes too."""
    if not any(batch.counted for batch in batches):
        raise ValueError("nothing to learn from")
    mine = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad(set_to_none=True)
    mean = 0.0
    for batch in batches:
        out = model(batch.ids, mask=batch.mask, positions=batch.positions)
        part = cross_entropy(out, batch.targets) / len(batches)
        part.backward()
        mean += part.item()
    norm = clip_gradients(mine, max_norm).item()
    if not math.isfinite(mean + norm):
        optimizer.zero_grad(set_to_none=True)
        raise FloatingPointError(f"loss {mean}, norm {norm}")
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return StepResult(mean, sum(batch.counted for batch in batches), norm)
