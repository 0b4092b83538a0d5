"""4.10 + · Where to put the norm, measured: gradients by depth at the start, and what a warmup is for.

Xiong et al.: On Layer Normalization in the Transformer Architecture (2020), sections 3.3 and 4, figures 2 and 3.
Letters: B batch, T time, L layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from .gpt import GPT


def next_token_loss(model: nn.Module, ids: Tensor) -> Tensor:
    """Give the mean of −ln p of each token of (B, T) but the first, in nats. (Given; 5.4 writes its heart by hand.)"""
    logits = model(ids[:, :-1])  # (B, T - 1, V)
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def gradient_norms(model: GPT, batches: Iterable[Tensor]) -> list[float]:
    """Measure how large the gradient is in each block: the norm of that of `feed_forward.down.weight`.

    The norm of a batch's gradient, √(Σ g²), is taken batch by batch, and the mean of the norms is given. The model
    keeps its parameters, its gradients (none, if there were none) and its mode; it is measured in eval.

    Args:
        model: what is measured.
        batches: ids (B, T).

    Returns:
        L numbers, from the first block to the last.

    Raises:
        ValueError: there is no batch.
    """
    # BEGIN SOLUTION 4.10: for each batch the gradients by these L weights (torch.autograd.grad); norms; the mean
    weights = [block.feed_forward.down.weight for block in model.blocks]
    training = model.training
    model.eval()
    norms = []
    for ids in batches:
        gradients = torch.autograd.grad(next_token_loss(model, ids), weights)
        norms.append([gradient.norm().item() for gradient in gradients])
    model.train(training)
    if not norms:
        raise ValueError("there must be at least one batch; got none")
    return [sum(column) / len(norms) for column in zip(*norms)]
    # END SOLUTION


def train_with_warmup(
    model: nn.Module,
    batches: Iterable[Tensor],
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
    warmup_steps: int = 0,
    loss_of: Callable[[nn.Module, Tensor], Tensor] = next_token_loss,
) -> list[float]:
    """Train for one step on each batch, and give the losses.

    In the first `warmup_steps` steps the learning rate rises in equal steps: in step s, from 0 on, it is
    learning_rate · (s + 1) / warmup_steps; afterwards it is `learning_rate`. The loss of a step is that before the
    step. If a loss is nan or infinite, the training ends with it: what comes after says nothing.

    Args:
        model: is trained, in training mode.
        batches: ids (B, T), one for each step.
        optimizer: of the model's parameters; the rate is set in all of its `param_groups`. Only those, `zero_grad()`
            and `step()` are asked of it.
        learning_rate: after the warmup.
        warmup_steps: 0 means none.
        loss_of: gives the loss, a tensor of one number, from the model and a batch.

    Raises:
        ValueError: `warmup_steps` is negative.
    """
    if warmup_steps < 0:
        raise ValueError(f"warmup_steps must not be negative; got {warmup_steps}")
    # BEGIN SOLUTION 4.10: set the rate, forget the old gradients, loss, backward, step; note the loss
    model.train()
    losses = []
    for step, ids in enumerate(batches):
        share = min(1.0, (step + 1) / warmup_steps) if warmup_steps else 1.0
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share
        optimizer.zero_grad()
        loss = loss_of(model, ids)
        losses.append(loss.item())
        if not bool(loss.isfinite()):
            break
        loss.backward()
        optimizer.step()
    return losses
    # END SOLUTION


def plot_norm_study(norms: Mapping[str, Sequence[float]], losses: Mapping[str, Sequence[float]]) -> Figure:
    """Draw two panels side by side: gradient norms by depth, and losses by step.

    Left: a line for each entry of `norms`, against the share of the depth from 0 (the first block) to 1 (the last), so
    that models of different depth can be compared; the norms on a logarithmic scale. Right: a line for each entry of
    `losses`, against the number of the step, from 1; a run that ended in nan is drawn up to there. Both panels have a
    title, words at their axes ("depth" and "gradient norm", "step" and "loss") and a legend of the names.

    Returns:
        A matplotlib Figure that is not shown yet.

    Raises:
        ValueError: there is nothing to draw, or a line has no number.
    """
    if not norms or not losses or not all(norms.values()) or not all(losses.values()):
        raise ValueError("there must be a line at least for norms and for losses, and none of them empty")
    # BEGIN SOLUTION 4.10: two axes, a line for each name, labels, legends
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, values in norms.items():
        depth = [block / max(len(values) - 1, 1) for block in range(len(values))]
        left.plot(depth, values, marker="o", markersize=3, label=name)
    left.set(
        title="At the start", xlabel="depth, from the first block to the last", ylabel="gradient norm", yscale="log"
    )
    for name, values in losses.items():
        right.plot(range(1, len(values) + 1), values, label=name)
    right.set(title="In training", xlabel="step", ylabel="loss, nats")
    for panel in (left, right):
        panel.legend(fontsize=8)
        panel.grid(alpha=0.3)
    return figure
    # END SOLUTION
