"""4.5 · The transformer block: attention, then a feed-forward layer, each beside a stream that flows past it.

Vaswani et al.: Attention Is All You Need (2017), section 3.1 ("post"); Xiong et al.: On Layer Normalization in the
Transformer Architecture (2020), section 3 ("pre").
Letters: B batch, T queries, S keys, C width, H heads.
"""

from __future__ import annotations

from torch import Tensor, nn

from stage03_attention import KVCache, MultiHeadAttention

from .config import GPTConfig
from .dropout import Dropout
from .feed_forward import FeedForward
from .norms import LayerNorm, RMSNorm


def make_norm(config: GPTConfig) -> LayerNorm | RMSNorm:
    """Make the normalisation that a configuration asks for. (Given.)"""
    if config.norm == "rms":
        return RMSNorm(config.d_model, config.norm_eps)
    return LayerNorm(config.d_model, config.norm_eps, config.bias)


class TransformerBlock(nn.Module):
    """Two sublayers, attention and feed-forward, each with its norm; what a sublayer gives is *added* to the stream.

        "pre":   x = x + attention(norm1(x));      x = x + feed_forward(norm2(x))
        "post":  x = norm1(x + attention(x));      x = norm2(x + feed_forward(x))

    Dropout comes behind each sublayer, before the sum.

    Args:
        config: the sizes and kinds of all parts. Attention is causal.
        position: the relative position that attention uses, if any; blocks may share one.

    Attributes:
        norm1, norm2: what `make_norm` gives.
        attention: a `MultiHeadAttention`.
        feed_forward: a `FeedForward`.

    >>> import torch
    >>> block = TransformerBlock(GPTConfig(vocab_size=10, context_length=8, d_model=6, n_layers=1, n_heads=2))
    >>> block(torch.zeros(4, 5, 6)).shape
    torch.Size([4, 5, 6])
    """

    def __init__(self, config: GPTConfig, position: nn.Module | None = None) -> None:
        super().__init__()
        self.placement = config.placement
        # BEGIN SOLUTION 4.5: the two norms, the attention, the feed-forward layer, and a dropout
        self.norm1, self.norm2 = make_norm(config), make_norm(config)
        self.attention = MultiHeadAttention(
            config.d_model,
            config.n_heads,
            config.kv_heads,
            bias=config.bias,
            dropout=config.dropout,
            position=position,
            causal=True,
        )
        self.feed_forward = FeedForward(
            config.d_model, config.ff_width, config.activation, bias=config.bias, dropout=config.dropout
        )
        self.dropout = Dropout(config.dropout)
        # END SOLUTION

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KVCache | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Pass the stream on: (B, T, C) -> (B, T, C). x itself is not changed.

        Args:
            x: the stream.
            mask, positions, cache: what `MultiHeadAttention` takes.
            return_weights: give the weights of attention too, (B, H, T, S).
        """
        # BEGIN SOLUTION 4.5: the two lines of the placement; in pre-norm what goes into the sum is x, not its norm
        pre = self.placement == "pre"
        result = self.attention(self.norm1(x) if pre else x, None, mask, positions, cache, return_weights)
        attended, weights = result if isinstance(result, tuple) else (result, None)
        x = x + self.dropout(attended)
        if pre:
            x = x + self.feed_forward(self.norm2(x))  # which drops by itself
        else:
            x = self.norm1(x)
            x = self.norm2(x + self.feed_forward(x))
        return x if weights is None else (x, weights)
        # END SOLUTION
