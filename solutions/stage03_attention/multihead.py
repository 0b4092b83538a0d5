"""3.5, 3.6 · Multi-head attention: several attentions side by side, each on a slice of the width.

3.5: Vaswani et al.: Attention Is All You Need (2017), section 3.2.2.
3.6: Shazeer: Fast Transformer Decoding: One Write-Head is All You Need (2019); Ainslie et al.: GQA: Training
     Generalized Multi-Query Transformer Models from Multi-Head Checkpoints (2023).
Letters: B batch, T queries, S keys, C width, H heads, G key/value heads, D width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from stage02_embeddings import AlibiBias, RotaryEmbedding, T5RelativeBias

from .attention import attention
from .cache import KVCache
from .heads import merge_heads, split_heads
from .masks import causal_mask, combine


def grouped_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Attention of H query heads on G key/value heads: query head h reads key/value head h·G // H.

    With G = H this is `attention`; with G = 1 all query heads share one head of keys and values (multi-query
    attention). Arguments and results are otherwise those of `attention`.

    Args:
        q: (..., H, T, D).
        k: (..., G, S, D), where H is a multiple of G.
        v: (..., G, S, E).
        mask: bool, broadcasts to (..., H, T, S).
        bias: floating point, broadcasts to (..., H, T, S).

    Raises:
        ValueError: H is not a multiple of G (both are named); and what `attention` raises.

    >>> q = torch.zeros(4, 1, 2)  # 4 query heads, one query each
    >>> v = torch.tensor([[[1.0], [1.0]], [[5.0], [5.0]]])  # 2 value heads of two places
    >>> grouped_attention(q, torch.zeros(2, 2, 2), v).flatten().tolist()
    [1.0, 1.0, 5.0, 5.0]
    """
    heads, groups = q.shape[-3], k.shape[-3]
    if heads % groups:
        raise ValueError(
            f"the number of query heads must be a multiple of that of key/value heads; got {heads}, {groups}"
        )
    # BEGIN SOLUTION 3.6: let the query heads that share keys and values stand in a dimension of their own
    share = heads // groups
    result = attention(
        q.unflatten(-3, (groups, share)),  # (..., G, H/G, T, D)
        k.unsqueeze(-3),  # (..., G, 1, S, D): broadcast, not copied
        v.unsqueeze(-3),
        mask=_grouped(mask, groups, share),
        bias=_grouped(bias, groups, share),
        dropout=dropout,
        return_weights=return_weights,
    )
    if isinstance(result, tuple):
        output, weights = result
        return output.flatten(-4, -3), weights.flatten(-4, -3)  # (..., H, T, E) and (..., H, T, S)
    return result.flatten(-4, -3)
    # END SOLUTION


# BEGIN SOLUTION 3.6
def _grouped(x: Tensor | None, groups: int, share: int) -> Tensor | None:
    """Give a mask or a bias that broadcasts to (..., H, T, S) so that it broadcasts to (..., G, H/G, T, S)."""
    if x is None or x.dim() < 3:
        return x
    return x.unsqueeze(-3) if x.shape[-3] == 1 else x.unflatten(-3, (groups, share))


# END SOLUTION


@dataclass(frozen=True)
class Projections:
    """The weights of a multi-head attention, as those of `torch.nn.Linear`: a row for each number that comes out.

    Row h·D + d of `query` makes number d of query head h; the same for keys and values, with their own heads.
    """

    query: Tensor  # (H·D, C)
    key: Tensor  # (G·D, C)
    value: Tensor  # (G·D, C)
    out: Tensor  # (C, H·D)
    query_bias: Tensor | None = None  # (H·D,); all four biases are there, or none
    key_bias: Tensor | None = None  # (G·D,)
    value_bias: Tensor | None = None  # (G·D,)
    out_bias: Tensor | None = None  # (C,)


class MultiHeadAttention(nn.Module):
    """Attention with H heads, from projections of the input; what they find is put together by one more projection.

        heads = attention(split(x Wq), split(context Wk), split(context Wv));    output = merge(heads) Wo

    Args:
        d_model: C, the width of what comes in and goes out.
        n_heads: H, the number of query heads; each has the width D = C / H.
        n_kv_heads: G, the number of key/value heads; None means H. With fewer, query heads share them (3.6).
        bias: whether the four projections have biases.
        dropout: the dropout of the weights, in training.
        position: what tells how far apart query and key are: a `RotaryEmbedding` of width D, which turns queries and
            keys; an `AlibiBias` or a `T5RelativeBias` of H heads, which is added to the scores; or None. Layers may
            share one.
        causal: whether a query may attend only up to its own place, the last query standing at the last key.

    Attributes:
        rotary: the position if it is a `RotaryEmbedding`, else None.
        distance_bias: the position if it is an `AlibiBias` or a `T5RelativeBias`, else None.

    Raises:
        ValueError: C is not a multiple of H or H not of G, `dropout` is not in [0, 1), or the position is made for
            another width or number of heads (the numbers are named).
        TypeError: `position` is none of those.

    >>> attend = MultiHeadAttention(d_model=8, n_heads=2, causal=True)
    >>> attend(torch.zeros(3, 5, 8)).shape
    torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        position: nn.Module | None = None,
        causal: bool = False,
    ) -> None:
        super().__init__()
        n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if d_model < 1 or n_heads < 1 or d_model % n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads, both positive; got {d_model} and {n_heads}")
        if n_kv_heads < 1 or n_heads % n_kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads; got {n_heads} and {n_kv_heads}")
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"dropout must be from 0 to less than 1; got {dropout}")
        self.d_model, self.n_heads, self.n_kv_heads = d_model, n_heads, n_kv_heads
        self.head_dim = d_model // n_heads
        self.dropout, self.causal = dropout, causal
        _check_position(position, n_heads, self.head_dim)
        self.rotary = position if isinstance(position, RotaryEmbedding) else None
        self.distance_bias = None if self.rotary is position else position
        # BEGIN SOLUTION 3.5: the projections to queries (C to H·D), keys, values (C to G·D each), and out (H·D to C)
        self._widths = [width * self.head_dim for width in (n_heads, n_kv_heads, n_kv_heads)]
        self.qkv = nn.Linear(d_model, sum(self._widths), bias=bias)  # the three in one product, which is faster
        self.out = nn.Linear(d_model, d_model, bias=bias)
        # END SOLUTION

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Let each place of `x` attend to the places of `context`, or to those of x itself if there is none.

        Args:
            x: (B, T, C).
            context: (B, S, C), where keys and values come from. Without it they come from x, and S = T; or, with a
                cache, S = all that was read so far, x included.
            mask: bool, broadcasts to (B, H, T, S): True where a query may attend to a key. It comes on top of `causal`.
            positions: where the tokens of x stand, integers (T,) or (B, T), for rotary positions. None means 0 to
                T - 1; with a cache, they go on where it ends.
            cache: the keys and values of what was read before; those of x are appended to it (3.7).
            return_weights: give the weights too, for a look at them.

        Returns:
            (B, T, C); with `return_weights`, that and the weights (B, H, T, S).

        Raises:
            ValueError: x or the context is not (B, T, C); a context comes with a position or a cache, which are for
                one sequence; and what `attention` raises.
        """
        for name, each in (("x", x), ("context", context)):
            if each is not None and (each.dim() != 3 or each.shape[-1] != self.d_model or len(each) != len(x)):
                raise ValueError(f"{name} must be (B, T, {self.d_model}); got the shape {tuple(each.shape)}")
        alone = cache is None and self.rotary is None and self.distance_bias is None
        if context is not None and not alone:
            raise ValueError(
                "a context stands in no order with x: neither a cache nor a relative position goes with it"
            )
        start = 0 if cache is None else cache.length  # how many tokens were read before x
        if positions is None:
            positions = torch.arange(start, start + x.shape[1], device=x.device)  # (T,)
        # What comes below takes q (B, H, T, D), k and v (B, G, S, D) by these names.
        # BEGIN SOLUTION 3.5: q from x, k and v from x or the context, split into heads; turn q and k if rotary
        q, k, v = self._project(x, context)  # (B, H, T, D), and twice (B, G, S, D)
        if self.rotary is not None:
            q, k = self.rotary(q, positions), self.rotary(k, positions)
        # END SOLUTION
        if cache is not None:
            k, v = cache.append(k, v)  # (B, G, S, D), now with all that was read before
        attend = attention if self.n_kv_heads == self.n_heads else grouped_attention
        # BEGIN SOLUTION 3.5: the bias, if any; the causal mask with the given one; call `attend`, merge, project
        queries, keys = q.shape[-2], k.shape[-2]
        bias = None if self.distance_bias is None else self.distance_bias(queries, keys)  # (H, T, S)
        if self.causal:
            mask = combine(causal_mask(queries, keys, device=x.device), mask)
        dropout = self.dropout if self.training else 0.0
        result = attend(q, k, v, mask, bias, dropout, return_weights)
        output, weights = result if isinstance(result, tuple) else (result, None)  # (B, H, T, D), (B, H, T, S)
        output = self.out(merge_heads(output))  # (B, T, C)
        return output if weights is None else (output, weights)
        # END SOLUTION

    def projections(self) -> Projections:
        """Give the weights of the projections, without gradient; views of the parameters or copies."""
        # BEGIN SOLUTION 3.5: cut the weights apart as Projections wants them, biases too if there are any
        query, key, value = self.qkv.weight.detach().split(self._widths)
        if self.qkv.bias is None:
            return Projections(query, key, value, self.out.weight.detach())
        biases = self.qkv.bias.detach().split(self._widths)
        return Projections(
            query, key, value, self.out.weight.detach(), biases[0], biases[1], biases[2], self.out.bias.detach()
        )
        # END SOLUTION

    def load_projections(self, projections: Projections) -> None:
        """Write weights into the parameters, in place; biases count as zeros if there are none.

        Raises:
            ValueError: a tensor has another shape than the one in its place (both are named); then nothing is written.
        """
        own = self.projections()
        _check_projections(projections, own)
        # BEGIN SOLUTION 3.5: copy each into its parameter, without a gradient; `own` may hold copies
        with torch.no_grad():
            for field in fields(own):
                place, new = getattr(own, field.name), getattr(projections, field.name)
                if place is not None:
                    place.copy_(torch.zeros_like(place) if new is None else new)
        # END SOLUTION

    # BEGIN SOLUTION 3.5
    def _project(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Give queries (B, H, T, D), keys and values (B, G, S, D)."""
        if context is None:
            q, k, v = self.qkv(x).split(self._widths, dim=-1)  # (B, T, H·D), and twice (B, T, G·D)
        else:
            rows = [self._widths[0], sum(self._widths[1:])]
            biases = (None, None) if self.qkv.bias is None else self.qkv.bias.split(rows)
            to_q, to_kv = self.qkv.weight.split(rows)
            q = nn.functional.linear(x, to_q, biases[0])
            k, v = nn.functional.linear(context, to_kv, biases[1]).split(self._widths[1:], dim=-1)
        return split_heads(q, self.n_heads), split_heads(k, self.n_kv_heads), split_heads(v, self.n_kv_heads)

    # END SOLUTION

    def extra_repr(self) -> str:
        heads = f"n_heads={self.n_heads}, n_kv_heads={self.n_kv_heads}"
        return f"d_model={self.d_model}, {heads}, dropout={self.dropout}, causal={self.causal}"


def _check_position(position: Any, heads: int, width: int) -> None:
    """Hold a position to what fits heads of this number and width."""
    if isinstance(position, RotaryEmbedding):
        if position.head_dim != width:
            raise ValueError(f"the rotary position must be of the width of a head, {width}; got {position.head_dim}")
    elif isinstance(position, AlibiBias | T5RelativeBias):
        its = position(1, 1).shape[0]
        if its != heads:
            raise ValueError(f"the relative bias must be for {heads} heads; got {its}")
    elif position is not None:
        raise TypeError(f"position must be a RotaryEmbedding, AlibiBias, T5RelativeBias or None; got {position!r}")


def _check_projections(new: Projections, own: Projections) -> None:
    for field in fields(own):
        one, other = getattr(new, field.name), getattr(own, field.name)
        if one is not None and (other is None or one.shape != other.shape):
            expected = "none, since there are no biases" if other is None else str(tuple(other.shape))
            raise ValueError(f"{field.name} must be {expected}; got the shape {tuple(one.shape)}")
