"""5.9 · A training step, from as many batches as it takes to make a large one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from .batch import Batch
from .clip import clip_gradients
from .loss import cross_entropy


class StepResult(NamedTuple):
    """What a step has seen."""

    loss: float  # the mean over all targets that count, before the step
    tokens: int  # how many targets counted
    grad_norm: float  # before clipping


def accumulated_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Sequence[Batch], max_norm: float = math.inf
) -> StepResult:
    """Take one step of the optimizer as if all batches were one; memory holds what one of them takes.

    The gradient is that of the mean loss over all targets that count in all batches. A batch with more of them has more
    weight, so it does not matter how the texts are divided among the batches. Gradients that the optimizer's parameters
    had before do not count, and afterwards they have none (`grad` is None).

    Args:
        model: called as `model(ids, mask=…, positions=…)`, with what the batch has; in the mode that it is in.
        optimizer: takes one step.
        batches: one or more. They may differ in all their sizes.
        max_norm: for `clip_gradients`; all parameters of the optimizer are clipped together.

    Raises:
        ValueError: there is no batch, or none of the targets counts.
        FloatingPointError: the loss or the norm is nan or infinite (it is named). Then no step is taken, and the
            parameters have no gradients either.
    """
    # BEGIN SOLUTION 5.9: count first; then backward batch by batch, each weighed by its part; clip; step; clean up
    counts = [batch.counted for batch in batches]
    tokens = sum(counts)
    if not tokens:
        raise ValueError(f"a step needs targets that count; got none in {len(batches)} batches")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    optimizer.zero_grad()
    total = 0.0
    for batch, count in zip(batches, counts):
        logits = model(batch.ids, mask=batch.mask, positions=batch.positions)
        loss = cross_entropy(logits, batch.targets) * (count / tokens)
        loss.backward()
        total += loss.item()
    norm = float(clip_gradients(parameters, max_norm))
    if not (math.isfinite(total) and math.isfinite(norm)):
        optimizer.zero_grad()
        raise FloatingPointError(
            f"the loss is {total} and the norm of the gradients {norm}, so no step was taken: try a lower learning "
            "rate, a longer warmup, or clipping"
        )
    optimizer.step()
    optimizer.zero_grad()
    return StepResult(total, tokens, norm)
    # END SOLUTION
