"""5.5 · Loss: how surprised a model is by what came, and what that is in other units.

Letters: (...) any dimensions, such as batch and time; V vocabulary.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .batch import IGNORE


def cross_entropy(logits: Tensor, targets: Tensor, ignore_index: int = IGNORE, label_smoothing: float = 0.0) -> Tensor:
    """Give the mean of -ln p(target), in nats per target, p being the softmax of the logits.

        -ln p(t)  =  ln Σ_v exp(logit_v) - logit_t

    Written with exp, log, sum and maximum; torch's own softmax, log_softmax, logsumexp and cross_entropy are not
    called. Logits of any size do not overflow, and a target that has next to no probability costs what it costs, not
    infinity.

    Args:
        logits: (..., V), in any floating point format. Half formats are computed in float32.
        targets: integers (...), from 0 to V - 1, or `ignore_index`.
        ignore_index: a target that does not count, neither in the sum nor in the number that it is divided by.
        label_smoothing: ε, from 0 to less than 1: the target gets 1 - ε of the weight, and ε is shared out evenly among
            all V, so the loss of a place is (1 - ε) · -ln p(t) + ε / V · Σ_v -ln p(v).

    Returns:
        A number (a tensor without dimensions), in float32, or in float64 if the logits are. 0 if no target counts, with
        gradients of 0.

    Raises:
        ValueError: the shapes do not fit (both are named), or `label_smoothing` is out of range.
        TypeError: the logits are not floating point, or the targets no integers.
        IndexError: a target is out of range (it and the range are named).

    >>> cross_entropy(torch.zeros(2, 8), torch.tensor([3, IGNORE]))
    tensor(2.0794)
    >>> cross_entropy(torch.tensor([[0.0, 1000.0]]), torch.tensor([0]))
    tensor(1000.)
    """
    if not logits.is_floating_point() or targets.is_floating_point() or targets.dtype == torch.bool:
        raise TypeError(f"logits must be floating point and targets integers; got {logits.dtype} and {targets.dtype}")
    if logits.dim() < 1 or logits.shape[:-1] != targets.shape:
        raise ValueError(f"targets must be {tuple(logits.shape[:-1])}, as the logits are; got {tuple(targets.shape)}")
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must be from 0 to less than 1; got {label_smoothing}")
    targets = targets.long()  # in 8 bits without a sign, -100 would be 156
    wrong = ((targets < 0) | (targets >= logits.shape[-1])) & (targets != ignore_index)
    if wrong.any():
        raise IndexError(f"target {targets[wrong][0].item()} is out of range: from 0 to {logits.shape[-1] - 1}")
    # BEGIN SOLUTION 5.5: log of the sum of exponentials, less the target's logit; the mean over those that count
    rows = logits.reshape(targets.numel(), logits.shape[-1])  # (M, V)
    loss: Any = _CrossEntropy.apply(rows, targets.flatten(), ignore_index, label_smoothing)
    return loss
    # END SOLUTION


# BEGIN SOLUTION 5.5
class _CrossEntropy(torch.autograd.Function):
    """The loss and its derivative, which is short: (softmax - what the target would have had) / number of targets.

    The exponentials are in memory once, and become the gradient in place. N targets that count.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, ignore_index: int, smoothing: float) -> Tensor:
        counts = targets != ignore_index
        number = counts.sum().clamp(min=1)
        targets = targets.where(counts, 0)[:, None]  # (M, 1)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        top = wide.amax(-1, keepdim=True)  # (M, 1)
        exp = (wide - top).exp_()  # (M, V)
        total = exp.sum(-1, keepdim=True)
        losses = total.log() - (1 - smoothing) * (wide.gather(-1, targets) - top)  # (M, 1)
        if smoothing:
            losses -= smoothing * (wide.mean(-1, keepdim=True) - top)
        scale = counts[:, None].to(exp.dtype) / number  # (M, 1): each place's part in the mean
        ctx.save_for_backward(exp, total, targets, scale)
        ctx.smoothing, ctx.dtype = smoothing, logits.dtype
        return losses[counts].sum() / number

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override] - the decorator's
        exp, total, targets, scale = ctx.saved_tensors
        scale = scale * grads[0]
        grad = exp * (scale / total)
        if ctx.smoothing:
            grad -= scale * (ctx.smoothing / grad.shape[-1])
        grad.scatter_add_(-1, targets, (ctx.smoothing - 1) * scale)
        return grad.to(ctx.dtype), None, None, None


# END SOLUTION


def perplexity(loss: float) -> float:
    """Give exp(loss): among so many equally likely tokens the model would be as unsure. Infinite if that overflows.

    >>> round(perplexity(math.log(50)), 6)
    50.0
    """
    # BEGIN SOLUTION 5.5: math.exp raises OverflowError above about 709
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
    # END SOLUTION


def bits_per_byte(loss: float, tokens: int, size: int) -> float:
    """Give the bits that a byte of the text costs, which can be compared between tokenizers.

    Args:
        loss: nats per token.
        tokens: how many tokens the loss is the mean of.
        size: how many bytes their text has in UTF-8.

    Raises:
        ValueError: `tokens` or `size` is not positive.

    >>> bits_per_byte(math.log(2), tokens=10, size=40)
    0.25
    """
    if tokens < 1 or size < 1:
        raise ValueError(f"tokens and size must be positive; got {tokens} and {size}")
    # BEGIN SOLUTION 5.5: all nats; as bits; per byte
    return loss * tokens / math.log(2) / size
    # END SOLUTION
