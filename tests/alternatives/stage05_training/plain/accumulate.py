"""Sums go backward; the gradients are divided once, at the end."""

from __future__ import annotations

import math
from typing import NamedTuple

from . import batch as batches_of
from . import clip, loss


class StepResult(NamedTuple):
    """What a step has seen."""

    loss: float
    tokens: int
    grad_norm: float


def accumulated_step(model, optimizer, batches, max_norm=math.inf):
    """Add up the losses of all targets, then divide."""
    if len(batches) == 0:
        raise ValueError("a step without batches")
    params = []
    for group in optimizer.param_groups:
        params.extend(group["params"])

    def clear():
        for p in params:
            p.grad = None

    clear()
    nats, tokens = 0.0, 0
    for each in batches:
        counted = int((each.targets != batches_of.IGNORE).sum())
        if counted == 0:
            continue
        out = model(each.ids, positions=each.positions, mask=each.mask)
        summed = loss.cross_entropy(out, each.targets) * counted
        summed.backward()
        nats += float(summed)
        tokens += counted
    if tokens == 0:
        raise ValueError("no target counts")
    for p in params:
        if p.grad is not None:
            p.grad /= tokens
    norm = clip.clip_gradients(params, max_norm).item()
    mean = nats / tokens
    for name, number in (("loss", mean), ("norm", norm)):
        if math.isnan(number) or math.isinf(number):
            clear()
            raise FloatingPointError(f"the {name} is {number}")
    optimizer.step()
    clear()
    return StepResult(mean, tokens, norm)
