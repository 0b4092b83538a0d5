# module: norm_study.py
# exercise: 4.10
# name: it is measured in training mode
"""The study in as few words: the model's own gradients are put aside meanwhile."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn


def next_token_loss(model, ids):
    return nn.functional.cross_entropy(model(ids[:, :-1]).transpose(1, 2), ids[:, 1:])


def gradient_norms(model, batches):
    aside, mode = [(each, each.grad) for each in model.parameters()], model.training
    weights, rows = [block.feed_forward.down.weight for block in model.blocks], []
    try:
        for ids in batches:
            model.zero_grad()
            next_token_loss(model, ids).backward()
            rows.append([torch.linalg.vector_norm(weight.grad) for weight in weights])
    finally:
        model.train(mode)
        for each, gradient in aside:
            each.grad = gradient
    if not rows:
        raise ValueError("there is no batch")
    return torch.tensor(rows, dtype=torch.float64).mean(0).tolist()


def train_with_warmup(model, batches, optimizer, learning_rate, warmup_steps=0, loss_of=next_token_loss):
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps = {warmup_steps}")
    losses = []
    rising = np.arange(1, warmup_steps + 1) / max(warmup_steps, 1)
    for ids, share in zip(batches, itertools.chain(rising.tolist(), itertools.repeat(1.0))):
        optimizer.zero_grad(set_to_none=False)
        loss = loss_of(model.train(), ids)
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            break
        loss.backward()
        [group.update(lr=share * learning_rate) for group in optimizer.param_groups]
        optimizer.step()
    return losses


def plot_norm_study(norms, losses):
    if not (norms and losses and all(map(len, [*norms.values(), *losses.values()]))):
        raise ValueError("each panel wants lines, and each line numbers")
    figure = Figure((8, 4), layout="tight")
    panels = figure.subplots(ncols=2)
    words = (("Norms at the start", "share of the depth", "gradient norm"), ("Losses", "step", "training loss in nats"))
    for panel, table, (title, below, beside) in zip(panels, (norms, losses), words):
        for name, values in table.items():
            at = np.linspace(0, 1, len(values)) if table is norms else np.arange(len(values)) + 1
            panel.plot(at, values, ".-", label=name)
        panel.set_title(title)
        panel.set(xlabel=below, ylabel=beside)
        panel.legend(loc="best")
    panels[0].set_yscale("log")
    return figure
