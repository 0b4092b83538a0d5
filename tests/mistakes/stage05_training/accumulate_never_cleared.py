# module: accumulate.py
# exercise: 5.9
# name: zero_grad is never called
"""Sums that go backward, divided at the end."""

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
    """The gradient of all nats, divided by the number of targets; whoever calls is trusted to clear it."""
    tokens, nats = sum(batch.counted for batch in batches), 0.0
    if tokens == 0:
        raise ValueError("nothing to learn from")
    mine = [p for group in optimizer.param_groups for p in group["params"]]
    for batch in batches:
        out = model(batch.ids, mask=batch.mask, positions=batch.positions)
        loss = cross_entropy(out, batch.targets) * batch.counted
        (loss / tokens).backward()
        nats += loss.item()
    norm = clip_gradients(mine, max_norm).item()
    if not math.isfinite(nats) or not math.isfinite(norm):
        for p in mine:
            p.grad = None
        raise FloatingPointError(f"loss {nats / tokens}, norm {norm}")
    optimizer.step()
    return StepResult(nats / tokens, tokens, norm)
