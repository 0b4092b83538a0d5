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
            # TODO 4.6: the four parts; the blocks share `position`; tie; draw the weights
            raise NotImplementedError(
                "4.6 GPT.__init__: the four parts; the blocks share `position`; tie; draw the weights; "
                "hint: python -m bootcamp hint 4.6"
            )

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
        # TODO 4.6: embed, pass through the blocks, each with its own cache; norm; head
        raise NotImplementedError(
            "4.6 GPT.forward: embed, pass through the blocks, each with its own cache; norm; head; "
            "hint: python -m bootcamp hint 4.6"
        )
