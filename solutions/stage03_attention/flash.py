"""3.8 · Attention without the T×S matrix: tile by tile, with a softmax that is put right as it goes.

Dao et al.: FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness (2022), algorithms 1 and 4;
Milakov and Gimelshein: Online Normalizer Calculation for Softmax (2018).
Letters: T queries, S keys, D width of queries and keys, E width of values, n size of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .checks import check_attention


def flash_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, block: int = 256) -> Tensor:
    """Exact attention, forward and backward, in memory that grows with T + S and not with T·S.

    It equals `attention(q, k, v)`, with the causal mask of 3.2 (the last query stands at the last key) if asked. Of
    the scores there is never more than a tile of block × block for each leading dimension: not in the forward pass, not
    kept between the passes, and not in the backward pass, which computes the tiles again. Tiles that the causal
    mask hides wholly are not computed. In half formats the tiles are float32, and results are rounded once. torch's
    own `scaled_dot_product_attention` is not called.

    Args:
        q: (..., T, D).
        k: (..., S, D), with the same leading dimensions.
        v: (..., S, E), with the same leading dimensions.
        causal: whether query i sees only the keys j ≤ S - T + i; a query that sees none gets zeros.
        block: how many queries, and keys, there are in a tile. T and S need not be multiples of it.

    Returns:
        (..., T, E), in the format of q.

    Raises:
        TypeError: the formats of q, k and v differ, or they are not floating point.
        ValueError: shapes do not fit (they are named), or `block` is less than 1.

    >>> q, k, v = torch.zeros(3, 4), torch.zeros(3, 4), torch.tensor([[0.0], [3.0], [6.0]])
    >>> flash_attention(q, k, v, causal=True, block=2).flatten().tolist()
    [0.0, 1.5, 3.0]
    """
    check_attention(q, k, v)
    if not q.shape[:-2] == k.shape[:-2] == v.shape[:-2]:
        shapes = ", ".join(str(tuple(each.shape)) for each in (q, k, v))
        raise ValueError(f"q, k and v must have the same leading dimensions; got {shapes}")
    if block < 1:
        raise ValueError(f"block must be at least 1; got {block}")
    # A torch.autograd.Function of your own has two static methods. `forward` goes over the tiles with a running top,
    # total and mixed, and saves q, k, v, the output and top + ln(total); `backward` makes each tile of weights again.
    # BEGIN SOLUTION 3.8: write that Function, and apply it
    output: Any = _FlashAttention.apply(q, k, v, causal, block)
    return output
    # END SOLUTION


# BEGIN SOLUTION 3.8
class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, block: int) -> Tensor:
        wide = torch.promote_types(q.dtype, torch.float32)
        output = q.new_empty(*q.shape[:-1], v.shape[-1])  # (..., T, E)
        log_sum = q.new_empty(q.shape[:-1], dtype=wide)  # (..., T): the logarithm of each query's sum of exponentials
        for rows in _slices(q.shape[-2], block):
            q_tile = q[..., rows, :].to(wide) / math.sqrt(q.shape[-1])  # (..., n, D)
            top = q_tile.new_full(q_tile.shape[:-1], torch.finfo(wide).min)  # (..., n): the largest score so far
            total = torch.zeros_like(top)  # (..., n): Σ exp(score - top) so far
            mixed = q_tile.new_zeros(*top.shape, v.shape[-1])  # (..., n, E): Σ exp(score - top) · value so far
            for columns, hidden in _tiles(q, k, rows, causal, block):
                scores = q_tile @ k[..., columns, :].to(wide).mT  # (..., n, n)
                if hidden is not None:
                    scores.masked_fill_(hidden, -torch.inf)
                higher = torch.maximum(top, scores.amax(-1))
                shares = scores.sub_(higher[..., None]).exp_()  # (..., n, n)
                shrink = (top - higher).exp()  # what was summed up against the old maximum is put right
                total = total * shrink + shares.sum(-1)
                mixed = mixed * shrink[..., None] + shares @ v[..., columns, :].to(wide)
                top = higher
            output[..., rows, :] = mixed / total.where(total > 0, 1.0)[..., None]  # who saw nothing gets zeros
            log_sum[..., rows] = top + total.log()
        ctx.save_for_backward(q, k, v, output, log_sum)
        ctx.causal, ctx.block = causal, block
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override] - the decorator's
        q, k, v, output, log_sum = ctx.saved_tensors
        wide, scale = log_sum.dtype, 1 / math.sqrt(q.shape[-1])
        (grad,) = grads
        grad_q, grad_k, grad_v = (torch.zeros_like(x, dtype=wide) for x in (q, k, v))
        for rows in _slices(q.shape[-2], ctx.block):
            q_tile = q[..., rows, :].to(wide) * scale  # (..., n, D)
            grad_tile = grad[..., rows, :].to(wide)  # (..., n, E)
            inner = (grad_tile * output[..., rows, :]).sum(-1, keepdim=True)  # (..., n, 1): Σ_j weight_j · its gradient
            for columns, hidden in _tiles(q, k, rows, ctx.causal, ctx.block):
                k_tile, v_tile = k[..., columns, :].to(wide), v[..., columns, :].to(wide)
                weights = (q_tile @ k_tile.mT).sub_(log_sum[..., rows, None]).exp_()  # (..., n, n), as they were
                if hidden is not None:
                    weights.masked_fill_(hidden, 0.0)
                grad_v[..., columns, :] += weights.mT @ grad_tile
                grad_scores = (grad_tile @ v_tile.mT).sub_(inner).mul_(weights)  # the gradient of softmax
                grad_q[..., rows, :] += grad_scores @ k_tile * scale
                grad_k[..., columns, :] += grad_scores.mT @ q_tile
        return grad_q.to(q.dtype), grad_k.to(k.dtype), grad_v.to(v.dtype), None, None


def _slices(length: int, block: int) -> Iterator[slice]:
    """Cut 0 … length - 1 into blocks; the last may be shorter."""
    return (slice(start, min(start + block, length)) for start in range(0, length, block))


def _tiles(q: Tensor, k: Tensor, rows: slice, causal: bool, block: int) -> Iterator[tuple[slice, Tensor | None]]:
    """Give the blocks of keys that some query of `rows` sees, with a mask of what is hidden in it, if anything is."""
    ahead = k.shape[-2] - q.shape[-2]  # query i stands at key i + ahead
    for columns in _slices(k.shape[-2], block):
        if not causal or columns.stop - 1 <= rows.start + ahead:
            yield columns, None
        elif columns.start <= rows.stop - 1 + ahead:
            key = torch.arange(columns.start, columns.stop, device=q.device)
            query = torch.arange(rows.start, rows.stop, device=q.device) + ahead
            yield columns, key > query[:, None]  # (n, n)


# END SOLUTION
