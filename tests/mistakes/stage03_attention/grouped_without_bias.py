# module: multihead.py
# exercise: 3.6
# name: the bias is not handed on
"""Multi-head attention head by head, in a loop; four linear layers; a mask is a bias of -inf."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stage02_embeddings import AlibiBias, RotaryEmbedding, T5RelativeBias

from .attention import attention
from .cache import KVCache


def grouped_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """One attention for each query head, with the keys and values that it reads."""
    n_heads, n_groups = q.shape[-3], k.shape[-3]
    if n_heads % n_groups != 0:
        raise ValueError(f"{n_heads} query heads cannot share {n_groups} heads of keys")
    outputs = []
    weights = []
    for head in range(n_heads):
        source = head // (n_heads // n_groups)
        out, weight = attention(
            q[..., head, :, :],
            k[..., source, :, :],
            v[..., source, :, :],
            mask=_of_head(mask, head),
            dropout=dropout,
            return_weights=True,
        )
        outputs.append(out)
        weights.append(weight)
    output = torch.stack(outputs, dim=-3)
    if return_weights:
        return output, torch.stack(weights, dim=-3)
    return output


def _of_head(x: Tensor | None, head: int) -> Tensor | None:
    """Give what a mask or a bias holds for one head."""
    if x is None or x.dim() < 3:
        return x
    if x.shape[-3] == 1:
        head = 0
    return x[..., head, :, :]


@dataclass(frozen=True)
class Projections:
    """The weights of a multi-head attention."""

    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor
    query_bias: Tensor | None = None
    key_bias: Tensor | None = None
    value_bias: Tensor | None = None
    out_bias: Tensor | None = None


class MultiHeadAttention(nn.Module):
    """Four linear layers, and a loop over the heads between them."""

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
        if n_kv_heads is None:
            n_kv_heads = n_heads
        if n_heads <= 0 or d_model <= 0 or d_model % n_heads != 0:
            raise ValueError(f"a width of {d_model} cannot be cut into {n_heads} heads")
        if n_kv_heads <= 0 or n_heads % n_kv_heads != 0:
            raise ValueError(f"{n_heads} query heads cannot share {n_kv_heads} heads of keys")
        if dropout < 0 or dropout >= 1:
            raise ValueError(f"dropout is a share below 1, not {dropout}")
        width = d_model // n_heads
        if isinstance(position, RotaryEmbedding):
            if position(torch.zeros(1, position.head_dim)).shape[-1] != width:
                raise ValueError(f"heads of width {width}, a rotary position for {position.head_dim}")
        elif isinstance(position, (AlibiBias, T5RelativeBias)):
            made_for = len(position(1, 1))
            if made_for != n_heads:
                raise ValueError(f"{n_heads} heads, a relative bias for {made_for}")
        elif position is not None:
            raise TypeError(f"{type(position).__name__} is no relative position")
        self.d_model, self.n_heads, self.n_kv_heads = d_model, n_heads, n_kv_heads
        self.width, self.dropout, self.causal = width, dropout, causal
        self.rotary = position if isinstance(position, RotaryEmbedding) else None
        self.distance_bias = position if self.rotary is None else None
        self.to_q = nn.Linear(d_model, n_heads * width, bias=bias)
        self.to_k = nn.Linear(d_model, n_kv_heads * width, bias=bias)
        self.to_v = nn.Linear(d_model, n_kv_heads * width, bias=bias)
        self.to_out = nn.Linear(n_heads * width, d_model, bias=bias)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend, head by head."""
        if x.dim() != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x of shape {tuple(x.shape)} is not (B, T, {self.d_model})")
        if context is not None:
            if context.dim() != 3 or context.shape[-1] != self.d_model or context.shape[0] != x.shape[0]:
                raise ValueError(f"the context of shape {tuple(context.shape)} is not (B, S, {self.d_model})")
            if cache is not None or self.rotary is not None or self.distance_bias is not None:
                raise ValueError("a context goes with neither a cache nor a position")
        source = x if context is None else context
        before = cache.length if cache is not None else 0
        if positions is None:
            positions = torch.arange(x.shape[1], device=x.device) + before
        queries = [each for each in self.to_q(x).split(self.width, dim=-1)]  # H times (B, T, D)
        keys = [each for each in self.to_k(source).split(self.width, dim=-1)]
        values = torch.stack(self.to_v(source).split(self.width, dim=-1), dim=1)  # (B, G, S, D)
        if self.rotary is not None:
            queries = [self.rotary(each, positions) for each in queries]
            keys = [self.rotary(each, positions) for each in keys]
        q, k, v = torch.stack(queries, dim=1), torch.stack(keys, dim=1), values
        if cache is not None:
            k, v = cache.append(k, v)
        how_many, of = q.shape[2], k.shape[2]
        # What keeps a query from a key, and what the distance does, in one table of numbers.
        table = torch.zeros(self.n_heads, how_many, of, dtype=x.dtype, device=x.device)
        if self.distance_bias is not None:
            table = table + self.distance_bias(how_many, of)
        if self.causal:
            for i in range(how_many):
                table[:, i, max(of - how_many + i + 1, 0) :] = -torch.inf
        if mask is not None:
            if mask.dtype != torch.bool:
                raise TypeError(f"the mask holds {mask.dtype}")
            try:
                mask.expand(x.shape[0], self.n_heads, how_many, of)
            except RuntimeError:
                raise ValueError(f"the mask {tuple(mask.shape)} does not fit") from None
            table = table.masked_fill(~mask, -torch.inf)
        got = grouped_attention if self.n_kv_heads < self.n_heads else attention
        result = got(q, k, v, bias=table, dropout=self.dropout if self.training else 0.0, return_weights=True)
        assert isinstance(result, tuple)
        output = self.to_out(torch.cat(result[0].unbind(1), dim=-1))
        if return_weights:
            return output, result[1]
        return output

    def _layers(self) -> dict[str, nn.Linear]:
        return {"query": self.to_q, "key": self.to_k, "value": self.to_v, "out": self.to_out}

    def projections(self) -> Projections:
        """Copies of all."""
        found = {}
        for name, layer in self._layers().items():
            found[name] = layer.weight.detach().clone()
            found[f"{name}_bias"] = layer.bias.detach().clone() if layer.bias is not None else None
        return Projections(**found)

    def load_projections(self, projections: Projections) -> None:
        """Look at all of them first, then copy."""
        for name, layer in self._layers().items():
            weight, bias = getattr(projections, name), getattr(projections, f"{name}_bias")
            if weight.shape != layer.weight.shape:
                raise ValueError(f"{name}: {tuple(weight.shape)} came for {tuple(layer.weight.shape)}")
            if bias is not None and layer.bias is None:
                raise ValueError(f"{name}_bias: {tuple(bias.shape)} came, and there is none")
            if bias is not None and bias.shape != layer.bias.shape:
                raise ValueError(f"{name}_bias: {tuple(bias.shape)} came for {tuple(layer.bias.shape)}")
        for name, layer in self._layers().items():
            layer.weight.data.copy_(getattr(projections, name))
            bias = getattr(projections, f"{name}_bias")
            if layer.bias is not None:
                if bias is None:
                    layer.bias.data.zero_()
                else:
                    layer.bias.data.copy_(bias)
