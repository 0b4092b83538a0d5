# module: flash.py
# exercise: 3.8
# name: with causal, the first query stands at the first key
"""Attention in tiles, with einsum and logsumexp; causal from the first places on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .checks import check_attention


def _log_weights(q: Tensor, k: Tensor, first: int, start: int, causal: bool) -> Tensor:
    """Scores of a tile whose first query stands at `first` and whose first key at `start`; -inf where hidden."""
    scores = torch.einsum("bid,bjd->bij", q, k) * q.shape[-1] ** -0.5
    if causal and start + k.shape[1] - 1 > first:
        ones = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool, device=q.device)
        scores = scores.masked_fill(ones.triu(first - start + 1), -torch.inf)
    return scores


class _Flash(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool, block: int) -> Tensor:
        wide, shift = torch.promote_types(q.dtype, torch.float32), 0
        outs, logs = [q.new_zeros(len(q), 0, v.shape[-1], dtype=wide)], [q.new_zeros(len(q), 0, dtype=wide)]
        for i, rows in enumerate(q.split(block, 1) if q.shape[1] else ()):
            out, log = (
                rows.new_zeros(*rows.shape[:2], v.shape[-1], dtype=wide),
                torch.full_like(rows[..., 0], -torch.inf, dtype=wide),
            )
            for j, (key, value) in enumerate(zip(k.split(block, 1), v.split(block, 1)) if k.shape[1] else ()):
                if causal and j * block > i * block + rows.shape[1] - 1 + shift:
                    break
                scores = _log_weights(rows.to(wide), key.to(wide), i * block + shift, j * block, causal)
                both = torch.logaddexp(log, scores.logsumexp(-1))
                safe = both.nan_to_num(neginf=0.0)[..., None]
                out = out * (log[..., None] - safe).exp() + (scores - safe).exp() @ value.to(wide)
                log = both
            outs.append(out)
            logs.append(log)
        out = torch.cat(outs, 1)
        ctx.save_for_backward(q, k, v, out, torch.cat(logs, 1).nan_to_num(neginf=0.0))
        ctx.causal, ctx.block, ctx.wide, ctx.shift = causal, block, wide, shift
        return out.to(q.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        q, k, v, out, log = ctx.saved_tensors
        d_q, d_k, d_v = (torch.zeros_like(x, dtype=ctx.wide) for x in (q, k, v))
        grad = grads[0].to(ctx.wide)
        delta = torch.einsum("bie,bie->bi", grad, out)
        step = ctx.block
        for i in range(0, q.shape[1], step):
            rows = q[:, i : i + step].to(ctx.wide)
            for j in range(0, k.shape[1], step):
                if ctx.causal and j > i + rows.shape[1] - 1 + ctx.shift:
                    break
                key, value, g = k[:, j : j + step].to(ctx.wide), v[:, j : j + step].to(ctx.wide), grad[:, i : i + step]
                p = (_log_weights(rows, key, i + ctx.shift, j, ctx.causal) - log[:, i : i + step, None]).exp()
                d_v[:, j : j + step] += p.mT.bmm(g)
                d_s = p * (torch.einsum("bie,bje->bij", g, value) - delta[:, i : i + step, None]) * q.shape[-1] ** -0.5
                d_q[:, i : i + step] += torch.einsum("bij,bjd->bid", d_s, key)
                d_k[:, j : j + step] += torch.einsum("bij,bid->bjd", d_s, rows)
        return d_q.to(q.dtype), d_k.to(q.dtype), d_v.to(q.dtype), None, None


def flash_attention(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, block: int = 256) -> Tensor:
    """Flatten the leading dimensions, attend, and give them back."""
    check_attention(q, k, v)
    if len({x.shape[:-2] for x in (q, k, v)}) > 1 or block < 1:
        raise ValueError(f"{tuple(q.shape)}, {tuple(k.shape)}, {tuple(v.shape)}, block {block}")
    lead = q.shape[:-2]
    flat = (x.reshape(lead.numel(), *x.shape[-2:]).contiguous() for x in (q, k, v))
    out: Any = _Flash.apply(*flat, causal, block)
    return out.reshape(*lead, *out.shape[1:])
