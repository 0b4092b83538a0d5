"""4.6 · GPT: an embedding, a stack of blocks, and a score for each token that might come next.

Radford et al.: Language Models are Unsupervised Multitask Learners (2019), section 2.3; the output shares the table of
the input as in Press and Wolf: Using the Output Embedding to Improve Language Models (2017).
Letters: B batch, T time, S all that was read so far, C width, H heads, L layers, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from stage02_embeddings import AlibiBias, InputEmbedding, RotaryEmbedding, T5RelativeBias, normal_
from stage03_attention import KVCache

from .block import TransformerBlock, make_norm
from .config import GPTConfig


def relative_position(config: GPTConfig) -> nn.Module | None:
    """Make the position that works in attention, if the configuration asks for one. (Given.)"""
    if config.position == "rope":
        return RotaryEmbedding(config.head_dim)
    if config.position == "alibi":
        return AlibiBias(config.n_heads)
    if config.position == "t5":
        return T5RelativeBias(config.n_heads, bidirectional=False)
    return None


class GPT(nn.Module):
    """A decoder: reads tokens, and gives for each place the scores of all tokens for the next one.

        x = embed(ids);    x = block(x), L times;    logits = head(norm(x))

    The norm before the output is there with placement "pre" only; with "post" each block ends in one.

    At the start all matrices and tables, T5's too, are drawn from N(0, init_std²), but for the token table, which is
    drawn from N(0, table_std²), tied to the output or not; all biases are 0, and the gains of the norms 1. The matrices
    that write into the stream, the last of each attention and each feed-forward layer, are drawn from
    N(0, init_std² / 2L) with placement "pre": 2L such sums make the stream no wider than one of them would.

    Args:
        config: sizes and kinds.
        generator: where the weights are drawn from; torch's own then stays as it was. None means torch's own.

    Attributes:
        config: the configuration.
        embed: an `InputEmbedding`.
        blocks: L `TransformerBlock`s, a `torch.nn.ModuleList`.
        norm: the norm before the output; None with placement "post".
        head: a `torch.nn.Linear` from C to V without bias; with `tie_weights` its weight *is* that of `embed.token`.

    >>> model = GPT(GPTConfig(vocab_size=50, context_length=8, d_model=12, n_layers=2, n_heads=3))
    >>> model(torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])).shape
    torch.Size([2, 5, 50])
    """

    # What the modules inside have, a type checker cannot know.
    embed: Any
    blocks: Any
    norm: Any

    def __init__(self, config: GPTConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        at_input: Any = config.position if config.position in ("sinusoidal", "learned") else "none"
        # Layers draw weights when they are made: with a generator, what that takes from torch's own is put back.
        with torch.random.fork_rng(devices=[], enabled=generator is not None):
            position = relative_position(config)
            # BEGIN SOLUTION 4.6: the four parts; the blocks share `position`; tie; draw the weights
            self.embed = InputEmbedding(
                config.vocab_size, config.d_model, at_input, config.context_length, dropout=config.dropout
            )
            self.blocks = nn.ModuleList(TransformerBlock(config, position) for _ in range(config.n_layers))
            self.norm = make_norm(config) if config.placement == "pre" else None
            self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
            self._draw_weights(position, generator)
            if config.tie_weights:
                self.head.weight = self.embed.token.weight
            # END SOLUTION

    # BEGIN SOLUTION 4.6
    @torch.no_grad()
    def _draw_weights(self, position: Any, generator: torch.Generator | None) -> None:
        std = self.config.init_std
        last = std / math.sqrt(2 * self.config.n_layers) if self.config.placement == "pre" else std
        normal_(self.embed.token.weight, self.config.table_std, generator)
        if self.config.position == "learned":
            normal_(self.embed.position.weight, std, generator)
        if isinstance(position, T5RelativeBias):
            normal_(position.weight, std, generator)
        for block in self.blocks:
            shapes = block.attention.projections()
            weights = {
                name: normal_(torch.empty_like(getattr(shapes, name)), std, generator)
                for name in ("query", "key", "value")
            }
            out = normal_(torch.empty_like(shapes.out), last, generator)
            biases = {f"{name}_bias": None for name in ("query", "key", "value", "out")}  # which counts as zeros
            block.attention.load_projections(replace(shapes, **weights, **biases, out=out))
            for layer in (block.feed_forward.up, block.feed_forward.gate, block.feed_forward.down):
                if layer is not None:
                    normal_(layer.weight, last if layer is block.feed_forward.down else std, generator)
                    if layer.bias is not None:
                        layer.bias.zero_()
        if not self.config.tie_weights:
            normal_(self.head.weight, std, generator)

    # END SOLUTION

    def new_cache(self) -> list[KVCache]:
        """Make an empty cache for `forward`: one `KVCache` for each block. (Given.)"""
        return [KVCache() for _ in range(self.config.n_layers)]

    def forward(
        self,
        ids: Tensor,
        cache: list[KVCache] | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, list[Tensor]]:
        """Give the logits of the next token at each place.

        Args:
            ids: integers (B, T).
            cache: what was read before, from `new_cache`; the T tokens are appended to it.
            mask: bool, broadcasts to (B, H, T, S), on top of the causal one; `padding_mask` gives it for padded
                batches.
            positions: where the tokens stand, (T,) or (B, T). None means 0, 1, …; with a cache, they go on where it
                ends.
            return_weights: give the attention weights too: for each block (B, H, T, S).

        Returns:
            (B, T, V), in the number format of the weights.

        Raises:
            ValueError: ids are not (B, T), more tokens than `context_length` come together (both numbers are named), or
                the cache is not one of L layers.
            TypeError, IndexError: ids that are no integers, or out of range.
        """
        if ids.dim() != 2:
            raise ValueError(f"ids must be (B, T); got the shape {tuple(ids.shape)}")
        if cache is not None and len(cache) != self.config.n_layers:
            raise ValueError(
                f"the cache must be of {self.config.n_layers} layers, as new_cache() gives; got {len(cache)}"
            )
        start = cache[0].length if cache else 0  # how many tokens were read before
        if start + ids.shape[1] > self.config.context_length:
            raise ValueError(
                f"the model reads at most context_length = {self.config.context_length} tokens; "
                f"got {start + ids.shape[1]}"
            )
        if positions is None:
            positions = torch.arange(start, start + ids.shape[1], device=ids.device)  # (T,)
        # BEGIN SOLUTION 4.6: embed, pass through the blocks, each with its own cache; norm; head
        x = self.embed(ids, positions)  # (B, T, C)
        weights = []
        for block, layer_cache in zip(self.blocks, cache or [None] * len(self.blocks)):
            x = block(x, mask, positions, layer_cache, return_weights)
            if return_weights:
                x, seen = x
                weights.append(seen)
        if self.norm is not None:
            x = self.norm(x)
        logits = self.head(x)  # (B, T, V)
        return (logits, weights) if return_weights else logits
        # END SOLUTION
