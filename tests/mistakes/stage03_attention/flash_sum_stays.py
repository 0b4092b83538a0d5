# module: flash.py
# exercise: 3.8
# name: the sum of exponentials is not put right when a higher score comes
"""Attention in tiles; the maximum and the sum of each query are kept apart."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Tiled(torch.autograd.Function):
    """Keeps the maximum and the sum of each query apart, instead of their logarithm."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, values: Tensor, causal: bool, block: int) -> Tensor:
        kind = torch.float64 if queries.dtype == torch.float64 else torch.float32
        length, count = queries.size(-2), keys.size(-2)
        lead = list(queries.shape[:-2])
        maxima = torch.full([*lead, length, 1], -1e30, dtype=kind, device=queries.device)
        sums = torch.zeros([*lead, length, 1], dtype=kind, device=queries.device)
        result = torch.zeros([*lead, length, values.size(-1)], dtype=kind, device=queries.device)
        for first_key in range(0, count, block):
            last_key = min(count, first_key + block)
            tile_k = keys[..., first_key:last_key, :].to(kind)
            tile_v = values[..., first_key:last_key, :].to(kind)
            for first in range(0, length, block):
                last = min(length, first + block)
                if causal and first_key > last - 1 + count - length:
                    continue
                tile_q = queries[..., first:last, :].to(kind)
                scores, sees = _scores(tile_q, tile_k, causal, first + count - length, first_key)
                before = maxima[..., first:last, :].clone()
                after = torch.max(before, scores.max(dim=-1, keepdim=True).values)
                weights = torch.exp(scores - after)
                if sees is not None:
                    weights = weights * sees
                change = torch.exp(before - after)
                sums[..., first:last, :] = sums[..., first:last, :] + weights.sum(dim=-1, keepdim=True)
                result[..., first:last, :] = result[..., first:last, :] * change + torch.matmul(weights, tile_v)
                maxima[..., first:last, :] = after
        sums = torch.clamp(sums, min=torch.finfo(kind).tiny)
        result = result / sums
        ctx.save_for_backward(queries, keys, values, result, maxima, sums)
        ctx.options = causal, block, kind
        return result.to(queries.dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        queries, keys, values, result, maxima, sums = ctx.saved_tensors
        causal, block, kind = ctx.options
        length, count = queries.size(-2), keys.size(-2)
        above = upstream[0].to(kind)
        shared = (above * result).sum(dim=-1, keepdim=True)
        to_queries = torch.zeros(queries.shape, dtype=kind, device=queries.device)
        to_keys, to_values = [], []
        for first_key in range(0, count, block):
            last_key = min(count, first_key + block)
            tile_k = keys[..., first_key:last_key, :].to(kind)
            tile_v = values[..., first_key:last_key, :].to(kind)
            k_share, v_share = torch.zeros_like(tile_k), torch.zeros_like(tile_v)
            for first in range(0, length, block):
                last = min(length, first + block)
                if causal and first_key > last - 1 + count - length:
                    continue
                tile_q = queries[..., first:last, :].to(kind)
                scores, sees = _scores(tile_q, tile_k, causal, first + count - length, first_key)
                weights = torch.exp(scores - maxima[..., first:last, :]) / sums[..., first:last, :]
                if sees is not None:
                    weights = torch.where(sees, weights, torch.zeros_like(weights))
                tile_above = above[..., first:last, :]
                v_share = v_share + torch.matmul(weights.transpose(-2, -1), tile_above)
                to_weights = torch.matmul(tile_above, tile_v.transpose(-2, -1))
                to_scores = weights * (to_weights - shared[..., first:last, :]) / tile_q.size(-1) ** 0.5
                to_queries[..., first:last, :] += torch.matmul(to_scores, tile_k)
                k_share = k_share + torch.matmul(to_scores.transpose(-2, -1), tile_q)
            to_keys.append(k_share)
            to_values.append(v_share)
        if not to_keys:
            return to_queries.to(queries.dtype), torch.zeros_like(keys), torch.zeros_like(values), None, None
        return (
            to_queries.to(queries.dtype),
            torch.cat(to_keys, dim=-2).to(keys.dtype),
            torch.cat(to_values, dim=-2).to(values.dtype),
            None,
            None,
        )


def _scores(tile_q: Tensor, tile_k: Tensor, causal: bool, at_query: int, at_key: int) -> tuple[Tensor, Tensor | None]:
    """The scores of one tile; hidden ones are the smallest number that there is, nearly."""
    scores = torch.matmul(tile_q, tile_k.transpose(-2, -1)) / tile_q.size(-1) ** 0.5
    if not causal:
        return scores, None
    rows = torch.arange(at_query, at_query + tile_q.size(-2), device=tile_q.device).unsqueeze(1)
    columns = torch.arange(at_key, at_key + tile_k.size(-2), device=tile_q.device).unsqueeze(0)
    sees = rows >= columns
    return torch.where(sees, scores, torch.full_like(scores, -1e30)), sees


def flash_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, block: int = 256) -> Tensor:
    """Attend tile by tile."""
    if not (q.dtype == k.dtype == v.dtype and q.is_floating_point()):
        raise TypeError(f"formats: {q.dtype}, {k.dtype}, {v.dtype}")
    shapes = [tuple(x.shape) for x in (q, k, v)]
    if not (q.shape[:-2] == k.shape[:-2] == v.shape[:-2] and q.shape[-1] == k.shape[-1] and k.shape[-2] == v.shape[-2]):
        raise ValueError(f"shapes: {shapes}")
    if block <= 0:
        raise ValueError(f"a block of {block}")
    return _Tiled.apply(q, k, v, causal, block)  # type: ignore[return-value]
