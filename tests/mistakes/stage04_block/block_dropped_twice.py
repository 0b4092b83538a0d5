# module: block.py
# exercise: 4.5
# name: what feed-forward gives is dropped twice
"""A block as two turns of one loop; whether a norm is asked before or behind is a matter of the identity."""

from __future__ import annotations

from torch import nn

from stage03_attention import MultiHeadAttention

from .config import GPTConfig
from .feed_forward import FeedForward
from .norms import LayerNorm, RMSNorm


def make_norm(config: GPTConfig):
    size = (config.d_model, config.norm_eps)
    return RMSNorm(*size) if config.norm == "rms" else LayerNorm(*size, config.bias)


def same(x):
    return x


class TransformerBlock(nn.Module):
    def __init__(self, config: GPTConfig, position=None) -> None:
        super().__init__()
        c = config
        parts = {
            "norm1": make_norm(c),
            "attention": MultiHeadAttention(
                c.d_model, c.n_heads, c.kv_heads, c.bias, c.dropout, position=position, causal=True
            ),
            "norm2": make_norm(c),
            "feed_forward": FeedForward(
                c.d_model, d_ff=c.d_ff, activation=c.activation, bias=c.bias, dropout=c.dropout
            ),
        }
        for name, part in parts.items():
            self.add_module(name, part)
        self.p, self.early = c.dropout, c.placement == "pre"

    def forward(self, x, mask=None, positions=None, cache=None, return_weights=False):
        seen = []

        def attend(y):
            y, weights = self.attention(y, None, mask, positions, cache, True)
            seen.append(weights)
            return nn.functional.dropout(y, self.p, self.training)

        def think(y):
            return nn.functional.dropout(self.feed_forward(y), self.p, self.training and self.early)

        for norm, sublayer in ((self.norm1, attend), (self.norm2, think)):
            before, behind = (norm, same) if self.early else (same, norm)
            x = behind(sublayer(before(x)) + x)
        return (x, *seen) if return_weights else x
