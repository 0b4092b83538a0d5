# module: norm_study.py
# exercise: 4.10
# name: old gradients are never forgotten
"""The study with copies of the model, a list of rates, and lines one by one."""

from __future__ import annotations

import copy
import math

import torch
from matplotlib.figure import Figure
from torch import nn


def next_token_loss(model, ids):
    logits = model(ids[:, :-1])
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def gradient_norms(model, batches):
    twin = copy.deepcopy(model)
    twin.eval()
    totals = [0.0] * len(twin.blocks)
    count = 0
    for ids in batches:
        count += 1
        for parameter in twin.parameters():
            parameter.grad = None
        loss = next_token_loss(twin, ids)
        loss.backward()
        for i, block in enumerate(twin.blocks):
            gradient = block.feed_forward.down.weight.grad
            totals[i] += math.sqrt(float((gradient * gradient).sum()))
    if count == 0:
        raise ValueError("no batch, no gradient")
    return [total / count for total in totals]


def rate_of(step, learning_rate, warmup_steps):
    if step + 1 >= warmup_steps:
        return learning_rate
    return learning_rate / warmup_steps * (step + 1)


def train_with_warmup(model, batches, optimizer, learning_rate, warmup_steps=0, loss_of=next_token_loss):
    if warmup_steps < 0:
        raise ValueError(f"a warmup of {warmup_steps} steps")
    losses = []
    model.train(True)
    step = 0
    for ids in batches:
        loss = loss_of(model, ids)
        losses.append(float(loss.detach()))
        if math.isnan(losses[-1]) or math.isinf(losses[-1]):
            return losses
        loss.backward()
        rate = rate_of(step, learning_rate, warmup_steps)
        for i in range(len(optimizer.param_groups)):
            optimizer.param_groups[i]["lr"] = rate
        optimizer.step()
        step += 1
    return losses


def plot_norm_study(norms, losses):
    if len(norms) == 0 or len(losses) == 0:
        raise ValueError("nothing to draw")
    for values in [*norms.values(), *losses.values()]:
        if len(values) == 0:
            raise ValueError("a line without a number")
    figure = Figure(figsize=(9, 3.5))
    left = figure.add_subplot(1, 2, 1)
    right = figure.add_subplot(1, 2, 2)
    for name in norms:
        values = list(norms[name])
        depth = torch.linspace(0, 1, len(values)).tolist() if len(values) > 1 else [0.5]
        left.semilogy(depth, values, label=name)
    left.set_title("Gradient norms")
    left.set_xlabel("Depth")
    left.set_ylabel("Gradient norm")
    left.legend()
    for name in losses:
        finite = [value for value in losses[name] if math.isfinite(value)]
        steps = [i + 1 for i in range(len(finite))]
        right.plot(steps, finite, "--", label=name)
    right.set_title("Losses")
    right.set_xlabel("Step")
    right.set_ylabel("Loss")
    right.legend()
    figure.tight_layout()
    return figure
