"""Gradients by torch.autograd.grad, added up in a list of our own; an odd loss ends it at once."""

from __future__ import annotations

import math
from collections import namedtuple
from contextlib import ExitStack

import torch

from .clip import clip_gradients
from .loss import cross_entropy

StepResult = namedtuple("StepResult", "loss tokens grad_norm")


def _clear(params):
    for p in params:
        p.grad = None


def accumulated_step(model, optimizer, batches, max_norm=float("inf")):
    """The mean over targets: each batch has the weight of its part in them."""
    weights = torch.tensor([b.counted for b in batches], dtype=torch.float64)
    tokens = int(weights.sum())
    if tokens < 1:
        raise ValueError(f"{len(batches)} batches, and nothing to learn in them")
    params = [p for group in optimizer.param_groups for p in group["params"]]
    with ExitStack() as stack:
        stack.callback(_clear, params)
        sums, mean = [None] * len(params), 0.0
        for b, weight in zip(batches, (weights / tokens).tolist()):
            given = {key: value for key in ("mask", "positions") if (value := getattr(b, key)) is not None}
            loss = weight * cross_entropy(model(b.ids, **given), b.targets)
            mean += loss.item()
            if not math.isfinite(mean):
                raise FloatingPointError(f"loss {mean}")
            asked = [p for p in params if p.requires_grad]
            new = dict(zip(map(id, asked), torch.autograd.grad(loss, asked, allow_unused=True)))
            for i, p in enumerate(params):
                if (g := new.get(id(p))) is not None:
                    sums[i] = g if sums[i] is None else sums[i] + g
            del loss
        for p, g in zip(params, sums):
            p.grad = g
        norm = float(clip_gradients(params, max_norm))
        if not math.isfinite(norm):
            raise FloatingPointError(f"norm {norm}")
        optimizer.step()
    return StepResult(mean, tokens, norm)
