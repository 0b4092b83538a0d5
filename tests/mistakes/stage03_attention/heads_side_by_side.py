# module: multihead.py
# exercise: 3.5
# name: the heads are put side by side without moving the time before them
"""Multi-head attention by einsum, from one weight of columns; the smallest finite number keeps queries from keys."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor, nn

from .checks import check_attention
from .masks import causal_mask


def grouped_attention(q, k, v, mask=None, bias=None, dropout=0.0, return_weights=False):
    H, G = q.shape[-3], k.shape[-3]  # noqa: N806
    if H % G:
        raise ValueError(f"{H} is no multiple of {G}")
    k, v = k.repeat_interleave(H // G, -3), v.repeat_interleave(H // G, -3)
    check_attention(q, k, v, mask, bias, dropout)
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = torch.einsum("...td,...sd->...ts", q.to(wide), k.to(wide)) * q.shape[-1] ** -0.5
    scores = scores if bias is None else scores + bias
    may = torch.ones((), dtype=torch.bool) if mask is None else mask
    may = (may & (scores > -torch.inf)).expand_as(scores)
    weights = torch.softmax(torch.where(may, scores, torch.finfo(wide).min), -1) * may
    weights = nn.functional.dropout(weights, dropout)
    output = torch.einsum("...ts,...se->...te", weights, v.to(wide)).to(q.dtype)
    return (output, weights.to(q.dtype)) if return_weights else output


@dataclass(frozen=True)
class Projections:
    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    query_bias: Tensor | None = None
    key_bias: Tensor | None = None
    value_bias: Tensor | None = None
    out_bias: Tensor | None = None


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads=None, bias=True, dropout=0.0, position=None, causal=False) -> None:
        super().__init__()
        n_kv_heads = n_kv_heads or n_heads
        if n_heads < 1 or d_model % n_heads or n_heads % n_kv_heads or not 0 <= dropout < 1:
            raise ValueError(f"cannot make this: {d_model=}, {n_heads=}, {n_kv_heads=}, {dropout=}")
        self.C, self.H, self.G, self.D = d_model, n_heads, n_kv_heads, d_model // n_heads
        self.p, self.causal = dropout, causal
        kind = type(position).__name__
        if kind not in ("RotaryEmbedding", "AlibiBias", "T5RelativeBias", "NoneType"):
            raise TypeError(f"a position is no {kind}")
        self.rotary = position if kind == "RotaryEmbedding" else None
        self.distance_bias = position if self.rotary is None else None
        its = self.D if position is None else self.rotary.head_dim if self.rotary else position(2, 3).shape[0]
        if its != (self.D if position is None or self.rotary else n_heads):
            raise ValueError(f"the position is made for {its}; there are {n_heads} heads of {self.D}")
        # All four beside one another: a column for each number that comes out of them, as in x @ everything.
        columns = 2 * d_model + 2 * n_kv_heads * self.D
        self.everything = nn.Parameter(torch.randn(d_model, columns) * d_model**-0.5)
        self.added = nn.Parameter(torch.zeros(columns)) if bias else None

    def sizes(self) -> list[int]:
        return [self.C, self.G * self.D, self.G * self.D, self.C]

    def parts(self):
        weights = [each.mT for each in self.everything.split(self.sizes(), 1)]
        return weights + (4 * [None] if self.added is None else list(self.added.split(self.sizes())))

    def forward(self, x, context=None, mask=None, positions=None, cache=None, return_weights=False):
        for each in (x, x if context is None else context):
            if each.dim() != 3 or each.shape[2] != self.C or each.shape[0] != x.shape[0]:
                raise ValueError(f"expected (B, T, {self.C}), not {tuple(each.shape)}")
        if context is not None and any(each is not None for each in (cache, self.rotary, self.distance_bias)):
            raise ValueError("a context, and a cache or a position")
        parts = self.parts()
        from_whom = (x, x if context is None else context, x if context is None else context)
        q, k, v = (
            nn.functional.linear(tokens, weight, bias).view(*tokens.shape[:2], -1, self.D).permute(0, 2, 1, 3)
            for tokens, weight, bias in zip(from_whom, parts, parts[4:])
        )
        if self.rotary:
            done = cache.length if cache is not None else 0
            at = torch.arange(done, done + x.shape[1], device=x.device) if positions is None else positions
            heads = self.rotary(torch.cat([q, k], 1), at)
            q, k = heads[:, : self.H], heads[:, self.H :]
        if cache is not None:
            k, v = cache.append(k, v)
        size = (q.shape[2], k.shape[2])
        bias = self.distance_bias(*size) if self.distance_bias else None
        if self.causal:
            own = causal_mask(*size, device=x.device)
            mask = own if mask is None else own & mask
        heads, weights = grouped_attention(q, k, v, mask, bias, self.p * self.training, True)
        output = heads.contiguous().view(x.shape) @ parts[3].mT
        output = output if parts[7] is None else output + parts[7]
        return (output, weights) if return_weights else output

    def projections(self) -> Projections:
        return Projections(*(None if each is None else each.detach() for each in self.parts()))

    @torch.no_grad()
    def load_projections(self, projections) -> None:
        mine, new = astuple(self.projections()), astuple(projections)
        for name, one, other in zip(Projections.__annotations__, mine, new):
            if other is not None and (one is None or one.shape != other.shape):
                raise ValueError(f"{name} is {one is not None and tuple(one.shape)}, not {tuple(other.shape)}")
        self.everything[:] = torch.cat([each.mT for each in new[:4]], dim=1)
        if self.added is not None:
            self.added[:] = torch.cat(
                [torch.zeros(size) if each is None else each for size, each in zip(self.sizes(), new[4:])]
            )
