# module: block.py
# exercise: 4.5
# name: the positions are not handed on to attention
"""A block that says by itself what is dropped: its feed-forward layer has no dropout, and sublayers are methods."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stage03_attention import KVCache, MultiHeadAttention

from .config import GPTConfig
from .feed_forward import FeedForward
from .norms import LayerNorm, RMSNorm


def make_norm(config: GPTConfig) -> LayerNorm | RMSNorm:
    if config.norm == "rms":
        return RMSNorm(config.d_model, eps=config.norm_eps)
    return LayerNorm(config.d_model, eps=config.norm_eps, bias=config.bias)


class TransformerBlock(nn.Module):
    def __init__(self, config: GPTConfig, position: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        self.feed_forward = FeedForward(config.d_model, config.ff_width, config.activation, config.bias, 0.0)
        self.attention = MultiHeadAttention(
            d_model=config.d_model,
            n_heads=config.n_heads,
            n_kv_heads=config.n_kv_heads,
            bias=config.bias,
            dropout=config.dropout,
            position=position,
            causal=True,
        )
        self.norm2 = make_norm(config)
        self.norm1 = make_norm(config)

    def drop(self, x: Tensor) -> Tensor:
        p = self.config.dropout
        if p == 0.0 or not self.training:
            return x
        kept = (torch.rand(x.shape, device=x.device) >= p).to(x.dtype)
        return x * kept * (1.0 / (1.0 - p))

    def attend(self, x: Tensor, **options) -> tuple[Tensor, Tensor | None]:
        if options["return_weights"]:
            found, weights = self.attention(x, **options)
        else:
            found, weights = self.attention(x, **options), None
        return self.drop(found), weights

    def think(self, x: Tensor) -> Tensor:
        return self.drop(self.feed_forward(x))

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ):
        options = dict(mask=mask, cache=cache, return_weights=return_weights)
        if self.config.placement == "pre":
            found, weights = self.attend(self.norm1(x), **options)
            middle = torch.add(x, found)
            last = torch.add(middle, self.think(self.norm2(middle)))
        else:
            found, weights = self.attend(x, **options)
            middle = self.norm1(torch.add(found, x))
            last = self.norm2(torch.add(self.think(middle), middle))
        if return_weights:
            return last, weights
        return last
